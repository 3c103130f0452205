"""How far a network sees, and how much memory its feature maps take."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sparsr.export.ir.graph import DeployGraph, Node

FLOAT_BYTES = 4


@dataclass(frozen=True)
class _View:
    """What the pixels of a tensor see along one axis.

    The tensor has len(first) pixels per input pixel. Its pixel number p, lying in input pixel p // len(first), sees
    the input pixels first[phase] .. last[phase] counted from there, phase = p % len(first).
    """

    first: tuple[int, ...]
    last: tuple[int, ...]

    def shifted(self, low: int, high: int) -> _View:
        """Of a tensor whose pixel p reads the pixels p + low .. p + high of this one."""
        size = len(self.first)
        # Views move along with the pixel, so the outermost reads decide.
        lowest = [divmod(phase + low, size) for phase in range(size)]
        highest = [divmod(phase + high, size) for phase in range(size)]
        return _View(
            tuple(self.first[phase] + step for step, phase in lowest),
            tuple(self.last[phase] + step for step, phase in highest),
        )

    def enlarged(self, factor: int) -> _View:
        """Of a tensor with every pixel of this one `factor` times."""
        return _View(*(tuple(v for v in side for _ in range(factor)) for side in (self.first, self.last)))


def receptive_radius(graph: DeployGraph) -> int | None:
    """Input pixels an output pixel sees in each direction, counted from the input pixel it lies in.

    Tiles with that many pixels of surroundings give exactly the whole image's result. None if the output depends on
    the whole image (global mean or deviation) or on the image's alignment (strides, pooling, resizing).
    """
    radius = 0
    for axis in (0, 1):
        views: dict[str, _View | None] = {graph.input: _View((0,), (0,))}
        for node in graph.nodes:
            views[node.name] = _view(node, [views[name] for name in node.inputs], axis)
        view = views[graph.output]
        if view is None:
            return None
        radius = max(radius, -min(view.first), max(view.last))
    return radius


def _view(node: Node, inputs: list[_View | None], axis: int) -> _View | None:
    reach = node.layer.reach(axis)
    known = [view for view in inputs if view is not None]
    if reach is None or len(known) < len(inputs) or len({len(view.first) for view in known}) > 1:
        return None
    seen = [view.shifted(reach.low, reach.high) for view in known]
    first = tuple(map(min, zip(*(view.first for view in seen), strict=True)))
    last = tuple(map(max, zip(*(view.last for view in seen), strict=True)))
    return _View(first, last).enlarged(reach.enlarged)


def peak_activation_bytes(graph: DeployGraph, height: int, width: int) -> int:
    """Most bytes of float32 feature maps alive at once when the nodes run in order, for an input of that size.

    While a node runs its inputs, its result and everything read later are alive; nothing is computed in place.
    """
    sizes = {name: FLOAT_BYTES * math.prod(shape) for name, shape in graph.shapes(height, width).items()}
    last_use = {name: node.name for node in graph.nodes for name in node.inputs}
    alive, peak = sizes[graph.input], sizes[graph.input]
    for node in graph.nodes:
        alive += sizes[node.name]
        peak = max(peak, alive)
        alive -= sum(sizes[name] for name in set(node.inputs) if last_use[name] == node.name and name != graph.output)
    return peak
