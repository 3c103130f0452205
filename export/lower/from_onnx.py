"""Lowering of a user's ONNX model: a rule per operator says which layers it becomes, or why it cannot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import onnx

from sparsr.export.ir import reference
from sparsr.export.ir.graph import DeployGraph
from sparsr.export.lower.multiples import MULTIPLES, on_any_size
from sparsr.export.lower.onnx_file import image_channels
from sparsr.export.lower.onnx_probe import Probe
from sparsr.export.lower.onnx_recognised import Recognised, recognise
from sparsr.export.lower.onnx_rules import RULES
from sparsr.export.lower.onnx_site import Lowered, Site
from sparsr.export.lower.ranges import in_levels
from sparsr.runtime.errors import SparsrError

LARGEST_SCALE = 8


def lower_onnx(model: onnx.ModelProto, name: str, source: str, scale: int | None, value_range: float) -> DeployGraph:
    """The DeployGraph `name` of an opened model (see `onnx_file`), as it computes it; image and result hold 0..255.

    value_range: 1 or 255, what the model's own image and result hold. `scale`: what the user says it is; it is found by
    running the model. Raises `SparsrError` naming node, operator and reason for what the layers cannot express.
    """
    return lower_probed(Probe(model, image_channels(model), source), name, source, scale, value_range)


def lower_probed(probe: Probe, name: str, source: str, scale: int | None, value_range: float) -> DeployGraph:
    """The same of a model that has been run already."""
    model = probe.model
    channels = probe.channels(probe.image)
    found = _scale(probe, model.graph.output[0].name, channels, source)
    if scale not in (None, found):
        raise SparsrError(f"{source} enlarges x{found}, not x{scale}", f"leave out --scale, or give {found}")
    lowered = Lowered(model, probe, source)
    recognised = recognise(model, probe)
    needed = _needed(model, recognised)
    for node in model.graph.node:
        if node.output[0] in needed and _computes_maps(node, probe) and not lowered.joined_by_next(node):
            _lower_node(node, lowered, recognised.get(node.output[0]))
    output = lowered.tensors.get(model.graph.output[0].name)
    if output is None:
        raise SparsrError(f"{source}: its result does not depend on the image")
    graph = DeployGraph(
        name=name,
        nodes=tuple(lowered.nodes),
        output=output,
        scale=found,
        value_range=value_range,
        input=probe.image,
        input_channels=channels,
        minimum_size=probe.minimum_size,
    )
    graph = in_levels(_with_minimum(graph))
    multiple = _multiple(graph) if probe.fixed else probe.multiple
    return graph if multiple == 1 else on_any_size(graph, multiple)


def _with_minimum(graph: DeployGraph) -> DeployGraph:
    """The graph with the smallest size that leaves every map a pixel: ONNX Runtime lets pools reach past the border."""
    size = graph.minimum_size
    while any(min(shape) < 1 for shape in graph.shapes(size, size).values()):
        size += 1
    return replace(graph, minimum_size=size)


def _multiple(graph: DeployGraph) -> int:
    """What the sides of images must be multiples of, of a graph made from a file for images of one size."""
    for multiple in (1, *MULTIPLES):
        height, width = (multiple * (-(-graph.minimum_size // multiple) | odd) for odd in (1, 3))
        image = np.zeros((1, graph.input_channels, height, width), np.float32)
        try:
            result = reference.run(graph, image)
        except ValueError:  # maps whose sizes do not fit each other
            continue
        if result.shape[2:] == (height * graph.scale, width * graph.scale):
            return multiple
    return MULTIPLES[-1]


def _lower_node(node: onnx.NodeProto, lowered: Lowered, recognised: Recognised | None) -> None:
    site = Site(node, lowered)
    if recognised:
        lowered.tensors[node.output[0]] = site.chain(recognised.steps, site.map_called(recognised.source))
        return
    if node.op_type not in RULES:
        site.refuse("there is no layer for this operator")
    try:
        lowered.tensors[node.output[0]] = RULES[node.op_type](site)
    except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:  # parameters of a damaged file
        site.refuse(f"its parameters do not fit ({type(error).__name__}: {error})"[:200])


def _computes_maps(node: onnx.NodeProto, probe: Probe) -> bool:
    """Whether a node has part in computing the image, not only sizes or constants."""
    name = node.output[0]
    return name not in probe.constants and probe.is_map(name)


def _needed(model: onnx.ModelProto, recognised: Mapping[str, Recognised]) -> set[str]:
    """The tensors that the result depends on."""
    needed = {model.graph.output[0].name}
    for node in reversed(model.graph.node):
        if needed.intersection(node.output):
            known = recognised.get(node.output[0])
            needed.update([known.source] if known else node.input)
    return needed


def _scale(probe: Probe, output: str, channels: int, source: str) -> int:
    """Output size by input size, the same whole number for every image."""
    result = probe.values[output][0]
    if result.ndim != 4 or result.shape[1] != channels:
        raise SparsrError(f"{source} gives {result.shape} for an image of {channels} channels", "images of as many are")
    factors = {
        side / given
        for found, size in zip(probe.size(output), probe.sizes, strict=True)
        for side, given in zip(found, size, strict=True)
    }
    factor = factors.pop()
    if factors or factor != int(factor) or not 1 <= factor <= LARGEST_SCALE:
        shown = ", ".join(
            f"{w}x{h} -> {ow}x{oh}" for (oh, ow), (h, w) in zip(probe.size(output), probe.sizes, strict=True)
        )
        raise SparsrError(
            f"{source} does not enlarge by a whole number from 1 to {LARGEST_SCALE} ({shown})",
            "networks whose result has another size are not handled",
        )
    return int(factor)
