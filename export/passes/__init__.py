"""Passes: small rules that rewrite a DeployGraph without changing what it computes, a file per rule.

Every rule's file starts with its pattern and result. A rule rewrites at one node, or says why it does not. Graphs
change nowhere else: what all files gain from is in `common/`, what one runtime needs in `native/` or `tflite/`.
"""

from __future__ import annotations

from sparsr.export.ir.graph import DeployGraph
from sparsr.export.passes.common.block_without_logits import block_without_logits
from sparsr.export.passes.common.compose_affines import compose_affines
from sparsr.export.passes.common.dead_nodes import remove_dead_nodes
from sparsr.export.passes.common.diagonal_conv import diagonal_conv
from sparsr.export.passes.common.fold_into_next import fold_into_next
from sparsr.export.passes.common.fold_into_previous import fold_into_previous
from sparsr.export.passes.common.fuse_activation import fuse_activation
from sparsr.export.passes.common.identities import remove_identities
from sparsr.export.passes.common.nearest_phases import nearest_phases
from sparsr.export.passes.common.parallel_convs import parallel_convs
from sparsr.export.passes.common.pointwise_into_next import pointwise_into_next
from sparsr.export.passes.common.scale_before_sum import scale_before_sum
from sparsr.export.passes.common.shift_before_add import shift_before_add
from sparsr.export.passes.common.silu import silu
from sparsr.export.passes.native.shuffle_after_sum import shuffle_after_sum
from sparsr.export.passes.native.sum_of_parts import sum_of_parts
from sparsr.export.passes.rewrite import Rule, rewrite
from sparsr.export.passes.tflite.odd_sizes import check_odd_sizes
from sparsr.export.passes.tflite.pixel_shuffle import dcr_shuffles

# Colour convolutions become affine maps, which then meet and disappear into convolutions, the earlier one first
# because only there an offset always folds. Branches join once everything in them has. Activations come late: they
# would stand in the way of folding; and enlargements last, which take them along.
RULES: tuple[Rule, ...] = (
    remove_identities,
    remove_dead_nodes,
    block_without_logits,
    silu,
    diagonal_conv,
    scale_before_sum,
    compose_affines,
    remove_identities,
    shift_before_add,
    fold_into_previous,
    pointwise_into_next,
    parallel_convs,
    fold_into_next,
    fuse_activation,
    nearest_phases,
)

NATIVE_RULES: tuple[Rule, ...] = (shuffle_after_sum,)
TFLITE_RULES: tuple[Rule, ...] = (check_odd_sizes, dcr_shuffles)
Rewritten = tuple[DeployGraph, list[str]]
"""A graph, and what every rule did or why it did not, a line each."""


def optimise(graph: DeployGraph) -> Rewritten:
    """The simplified graph; it differs from `graph` only by float32 rounding of folded weights."""
    return _rewritten(graph, RULES)


def for_native(graph: DeployGraph) -> Rewritten:
    """The graph as the native engine takes it, with what is better computed early marked."""
    graph, report = _rewritten(graph, NATIVE_RULES)
    return sum_of_parts(graph), report


def for_tflite(graph: DeployGraph) -> Rewritten:
    """The graph as TFLite takes it. Raises `SparsrError` for what its operators cannot express."""
    return _rewritten(graph, TFLITE_RULES)


def _rewritten(graph: DeployGraph, rules: tuple[Rule, ...]) -> Rewritten:
    report: list[str] = []
    for rule in rules:
        graph, lines = rewrite(graph, rule)
        report += lines
    return graph, report


__all__ = ["RULES", "for_native", "for_tflite", "optimise"]
