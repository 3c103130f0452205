"""Passes: small rules that simplify a DeployGraph without changing what it computes, a file per rule.

Every rule's file starts with its pattern and result. A rule rewrites at one node, or says why it does not.
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
from sparsr.export.passes.common.shift_before_add import shift_before_add
from sparsr.export.passes.rewrite import Rule, rewrite

# Colour convolutions become affine maps, which then meet and disappear into convolutions, the earlier one first
# because only there an offset always folds. Activations last: they would stand in the way of folding.
RULES: tuple[Rule, ...] = (
    remove_identities,
    remove_dead_nodes,
    block_without_logits,
    diagonal_conv,
    compose_affines,
    shift_before_add,
    fold_into_previous,
    fold_into_next,
    fuse_activation,
)


def optimise(graph: DeployGraph) -> tuple[DeployGraph, list[str]]:
    """The simplified graph, and what every rule did or why it did not, a line each.

    The result differs from `graph` only by float32 rounding of folded weights.
    """
    report: list[str] = []
    for rule in RULES:
        graph, lines = rewrite(graph, rule)
        report += lines
    return graph, report


__all__ = ["RULES", "optimise"]
