"""How large results are for an image's size, and what stands around networks where that is no factor of it.

Some networks only take sides of multiple * k + rest. Others eat their border, because their convolutions pad nothing
(VDSR without borders, U-Nets, waifu2x, Real-CUGAN): what they give is scale * image - eaten. Neither is asked of the
user: the image is continued, and of the result its place is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from sparsr.export.ir.graph import DeployGraph, Node
from sparsr.export.ir.layers import Crop, CropLike, Layer, Nearest, PadEdge, PadReflect, PadToMultiple
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.samples import FloatArray

LARGEST_SCALE = 8
Size = tuple[int, int]
"""Height and width."""
Residue = tuple[int, int]
"""A multiple and a rest."""
_MULTIPLES = (1, 2, 4, 8, 16)
PLAIN_RESIDUES: tuple[Residue, ...] = tuple((multiple, 0) for multiple in _MULTIPLES)
OTHER_RESIDUES: tuple[Residue, ...] = tuple((multiple, rest) for multiple in _MULTIPLES for rest in range(1, multiple))


@dataclass(frozen=True)
class SizeRule:
    """The result has scale * side - eaten pixels of a side of multiple * k + rest."""

    scale: int
    eaten: int = 0
    multiple: int = 1
    rest: int = 0

    @property
    def margin(self) -> int:
        """Pixels mirrored on each side of an image, so that what the network leaves holds all of the image's place."""
        return -(-self.eaten // (2 * self.scale))

    @property
    def offset(self) -> int:
        """Row and column of the result where the image's place begins."""
        return self.scale * self.margin - self.eaten // 2

    def grown(self, image: FloatArray) -> FloatArray:
        """[1, c, h, w] as the network takes it."""
        behind = [self.margin + (self.rest - side - 2 * self.margin) % self.multiple for side in image.shape[2:]]
        amounts = [(0, 0), (0, 0), *((self.margin, amount) for amount in behind)]
        return np.pad(image, amounts, mode="reflect" if self.eaten else "edge")

    def kept(self, result: FloatArray, size: Iterable[int]) -> FloatArray:
        """The place of an image of that size in what the network makes of it `grown`."""
        height, width = (slice(self.offset, self.offset + self.scale * side) for side in size)
        return result[:, :, height, width]

    def sentence(self) -> str:
        """What is done to images, for people; empty if nothing."""
        sides = f"{self.multiple} k + {self.rest}" if self.rest else f"multiples of {self.multiple}"
        if self.eaten:
            more = f", more on the right and below until its sides are {sides}" if self.multiple > 1 else ""
            return f"{self.margin} pixels are mirrored around the image{more}; the network uses up its border"
        return f"the last row and column are repeated until the sides are {sides}" if self.multiple > 1 else ""


def find_rule(
    results: Callable[[Residue], tuple[list[Size], list[Size]] | None], residues: Iterable[Residue], source: str
) -> SizeRule | None:
    """The first rule that explains what a network makes of images; None if it takes none of them.

    `results`: of a residue sizes of images and those of what the network makes of them; None if it does not take them.
    Raises `SparsrError` if it takes images, and no rule explains its results.
    """
    strange: tuple[list[Size], list[Size]] | None = None
    for residue in residues:
        found = results(residue)
        rule = found and _fitted(*found, residue)
        if rule:
            return rule
        strange = strange or found
    if strange is None:
        return None
    shown = ", ".join(f"{w}x{h} -> {ow}x{oh}" for (h, w), (oh, ow) in zip(*strange, strict=True))
    raise SparsrError(
        f"{source} does not enlarge by a whole number from 1 to {LARGEST_SCALE} ({shown})",
        "networks that lose a border, the same on every side, are handled too; other sizes are not",
    )


def _fitted(images: list[Size], results: list[Size], residue: Residue) -> SizeRule | None:
    pairs = {pair for sizes in zip(images, results, strict=True) for pair in zip(*sizes, strict=True)}
    (small, first), (large, last) = min(pairs), max(pairs)
    scale = (last - first) // max(large - small, 1)
    eaten = scale * large - last
    exact = all(after == scale * before - eaten for before, after in pairs)
    if not exact or not 1 <= scale <= LARGEST_SCALE or eaten < 0 or eaten % 2:
        return None
    return SizeRule(scale, eaten, *residue)


def on_any_size(graph: DeployGraph, rule: SizeRule) -> DeployGraph:
    """The same network for images of any size, its result that many times as large."""
    if not rule.eaten and rule.multiple == 1:
        return graph
    nodes: list[Node] = []

    def add(name: str, layer: Layer, *inputs: str) -> str:
        nodes.append(Node(f"around.{name}", layer, inputs))
        return nodes[-1].name

    source, margin, spare = graph.input, rule.margin, rule.multiple - 1
    if rule.eaten:
        source = add("mirrored", PadReflect((margin, margin, margin + spare, margin + spare)), source)
    if spare:
        continued = graph.input
        for number, layer in enumerate(_to_residue(rule, graph.input_channels)):
            continued = add(f"continued{number}", layer, continued)
        source = add("taken", CropLike(spare), source, continued) if rule.eaten else continued
    nodes += [node.reading({graph.input: source}) for node in graph.nodes]
    result, offset = graph.output, rule.offset
    behind = 0 if spare else offset
    if offset:
        result = add("place", Crop((offset, offset, behind, behind), graph.input_channels), result)
    if spare:
        like = add("size", Nearest(rule.scale), graph.input) if rule.scale > 1 else graph.input
        result = add("cut", CropLike(rule.scale * spare + offset), result, like)
    smallest = max(1, graph.minimum_size - 2 * margin - spare, margin + spare + 1 if rule.eaten else 1)
    return replace(graph, nodes=tuple(nodes), output=result, minimum_size=smallest)


def _to_residue(rule: SizeRule, channels: int) -> list[Layer]:
    """Layers that repeat the last row and column until the sides are what the network takes, both margins counted."""
    ahead = (2 * rule.margin - rule.rest) % rule.multiple
    whole = PadToMultiple(rule.multiple, rule.multiple)
    steps = [_behind(ahead, channels), whole, _behind(2 * rule.margin - ahead, channels)]
    return [layer for layer in steps if layer is not None]


def _behind(amount: int, channels: int) -> Layer | None:
    """So many rows and columns more on the right and below, or fewer."""
    if amount > 0:
        return PadEdge((0, 0, amount, amount))
    return Crop((0, 0, -amount, -amount), channels) if amount else None
