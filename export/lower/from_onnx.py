"""Lowering of a user's ONNX model: a rule per operator says which layers it becomes, or why it cannot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import onnx

from sparsr.export.ir import reference
from sparsr.export.ir.graph import DeployGraph
from sparsr.export.ir.layers import PadReflect
from sparsr.export.lower.onnx_file import image_channels
from sparsr.export.lower.onnx_plain_maps import plain_map
from sparsr.export.lower.onnx_probe import Probe
from sparsr.export.lower.onnx_recognised import Recognised, recognise
from sparsr.export.lower.onnx_rules import RULES
from sparsr.export.lower.onnx_scatter import writes, written_maps
from sparsr.export.lower.onnx_site import Lowered, Site
from sparsr.export.lower.ranges import in_levels
from sparsr.export.lower.size_rule import (
    OTHER_RESIDUES,
    PLAIN_RESIDUES,
    Residue,
    Size,
    SizeRule,
    find_rule,
    on_any_size,
)
from sparsr.runtime.errors import SparsrError

_STEPS = ((0, 3), (1, 2))  # above the smallest size: images that a graph is tried on by its reference


def lower_onnx(model: onnx.ModelProto, name: str, source: str, scale: int | None, value_range: float) -> DeployGraph:
    """The DeployGraph `name` of an opened model (see `onnx_file`), as it computes it; image and result hold 0..255.

    value_range: 1 or 255, what the model's own image and result hold. `scale`: what the user says it is; it is found by
    running the model. Raises `SparsrError` naming node, operator and reason for what the layers cannot express.
    """
    return lower_probed(Probe(model, image_channels(model), source), name, source, scale, value_range)[0]


def lower_probed(
    probe: Probe, name: str, source: str, scale: int | None, value_range: float
) -> tuple[DeployGraph, SizeRule]:
    """The same of a model that has been run already, and how large its own results are."""
    model = probe.model
    channels = probe.channels(probe.image)
    _check_result(probe, model.graph.output[0].name, channels, source)
    if probe.rule:
        _check_scale(probe.rule, scale, source)
    lowered = Lowered(model, probe, source)
    recognised = recognise(model, probe)
    needed = _needed(model, recognised, lowered)
    for node in model.graph.node:
        if node.output[0] in needed and _computes_maps(node, probe) and not lowered.joined_by_next(node):
            _lower_node(node, lowered, recognised.get(node.output[0]) if node.output[0] in probe.of_pixels else None)
    output = lowered.tensors.get(model.graph.output[0].name)
    if output is None or model.graph.output[0].name not in probe.of_pixels:
        raise SparsrError(f"{source}: its result does not depend on the image")
    graph = DeployGraph(
        name=name,
        nodes=tuple(lowered.nodes),
        output=output,
        scale=1,
        value_range=value_range,
        input=probe.image,
        input_channels=channels,
        minimum_size=probe.minimum_size,
    )
    graph = _with_minimum(graph, probe.rule.multiple if probe.rule else 1)
    rule = probe.rule or _rule_of(graph, source)
    _check_scale(rule, scale, source)
    return on_any_size(in_levels(replace(graph, scale=rule.scale)), rule), rule


def _with_minimum(graph: DeployGraph, step: int) -> DeployGraph:
    """The graph with the smallest size that leaves every map a pixel, and more pixels than are mirrored.

    ONNX Runtime lets pools reach past the border.
    """
    size = graph.minimum_size
    while not _fits(graph, size):
        size += step
    return replace(graph, minimum_size=size)


def _fits(graph: DeployGraph, size: int) -> bool:
    shapes = graph.shapes(size, size)
    mirrored = [(node.layer.padding, node.inputs[0]) for node in graph.nodes if isinstance(node.layer, PadReflect)]
    large = all(min(shapes[name][1:]) > max(padding) for padding, name in mirrored)
    return large and all(min(shape) >= 1 for shape in shapes.values())


def _rule_of(graph: DeployGraph, source: str) -> SizeRule:
    """How large the results are of a graph made from a file for images of one size."""

    def results(residue: Residue) -> tuple[list[Size], list[Size]] | None:
        multiple, rest = residue
        smallest = graph.minimum_size + (rest - graph.minimum_size) % multiple
        sizes = [(smallest + multiple * height, smallest + multiple * width) for height, width in _STEPS]
        try:
            found = [
                reference.run(graph, np.zeros((1, graph.input_channels, *size), np.float32)).shape for size in sizes
            ]
        except (ValueError, SparsrError):  # maps whose sizes do not fit each other
            return None
        return sizes, [(shape[2], shape[3]) for shape in found]

    rule = find_rule(results, PLAIN_RESIDUES, source) or find_rule(results, OTHER_RESIDUES, source)
    if rule is None:
        raise SparsrError(
            f"{source}: its maps fit each other at one size alone", "export it with free height and width"
        )
    return rule


def _check_scale(rule: SizeRule, scale: int | None, source: str) -> None:
    if scale not in (None, rule.scale):
        raise SparsrError(f"{source} enlarges x{rule.scale}, not x{scale}", f"leave out --scale, or give {rule.scale}")


def _lower_node(node: onnx.NodeProto, lowered: Lowered, recognised: Recognised | None) -> None:
    site = Site(node, lowered)
    if recognised:
        lowered.tensors[node.output[0]] = site.chain(recognised.steps, site.map_called(recognised.source))
        return
    rule = RULES.get(node.op_type) if node.output[0] in lowered.probe.of_pixels else plain_map
    if rule is None:
        site.refuse("there is no layer for this operator")
    try:
        lowered.tensors[node.output[0]] = rule(site)
    except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:  # parameters of a damaged file
        site.refuse(f"its parameters do not fit ({type(error).__name__}: {error})"[:200])


def _computes_maps(node: onnx.NodeProto, probe: Probe) -> bool:
    """Whether a node has part in computing the image, not only sizes or constants."""
    name = node.output[0]
    return name not in probe.constants and probe.is_map(name)


def _needed(model: onnx.ModelProto, recognised: Mapping[str, Recognised], lowered: Lowered) -> set[str]:
    """The tensors that the result depends on. What follows from sizes alone is made by itself."""
    needed = {model.graph.output[0].name}
    for node in reversed(model.graph.node):
        if needed.intersection(node.output) and node.output[0] in lowered.probe.of_pixels:
            known = recognised.get(node.output[0])
            needed.update([known.source] if known else _operands(node, lowered))
    return needed


def _operands(node: onnx.NodeProto, lowered: Lowered) -> list[str]:
    """What a rule reads: of nodes that write into one map, those that are written and that they are written into."""
    return written_maps(node, lowered) if writes(node, lowered) else list(node.input)


def _check_result(probe: Probe, output: str, channels: int, source: str) -> None:
    result = probe.values[output][0]
    if result.ndim != 4 or result.shape[1] != channels:
        raise SparsrError(f"{source} gives {result.shape} for an image of {channels} channels", "images of as many are")
