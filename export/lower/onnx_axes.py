"""What the axes of a tensor hold that is a feature map in another shape: parts of channels, rows, columns, pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sparsr.export.lower.size_rule import Size

Axis = int | Literal["rows", "columns", "pixels"]
"""How many parts of the channels lie along an axis (1 where nothing does), or what else does."""
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Twin:
    """A map [1, channels, height, width] that holds a tensor's values, channels in the order of the tensor's axes."""

    name: str
    axes: tuple[Axis, ...]
    size: tuple[Size, ...]
    """Height and width for every image."""

    @property
    def parts(self) -> tuple[int, ...]:
        """Of the axes those that hold channels."""
        return tuple(axis for axis in self.axes if isinstance(axis, int))

    @property
    def channels(self) -> int:
        """Of the map."""
        return int(np.prod(self.parts))

    def like(self, axes: Sequence[Axis]) -> Twin:
        """The same map, other axes."""
        return replace(self, axes=tuple(axes))

    def numbered(self) -> Indices:
        """The numbers of the map's channels as the tensor's axes have them, those without channels left out."""
        return np.arange(self.channels).reshape(self.parts)

    def place(self, axis: int) -> int:
        """Which of the axes that hold channels one is."""
        return sum(isinstance(other, int) for other in self.axes[:axis])


def plain_axes(shape: Sequence[int], size: Sequence[Size]) -> tuple[Axis, ...]:
    """Of a feature map: [1, channels, height, width], or fewer axes where it is one pixel."""
    rows: Axis = "rows" if any(height > 1 for height, _ in size) else 1
    columns: Axis = "columns" if any(width > 1 for _, width in size) else 1
    return (1, shape[1], rows, columns)[: len(shape)]


def is_plain(axes: Sequence[Axis]) -> bool:
    """Whether they are a feature map's."""
    usual = ((1, "rows"), (1, "columns"))
    rest = all(axis in known for axis, known in zip(axes[2:], usual, strict=False))
    return 2 <= len(axes) <= 4 and axes[0] == 1 and isinstance(axes[1], int) and rest


def regrouped(twin: Twin, shapes: Sequence[Sequence[int]]) -> tuple[Axis, ...] | None:
    """The axes of the same values in other shapes, one for every image; None if some axis would hold two kinds."""
    atoms = [atom for axis in twin.axes for atom in (("rows", "columns") if axis == "pixels" else (axis,)) if atom != 1]
    found: list[Axis] = []
    for sides in zip(*shapes, strict=True):
        axis = 1 if set(sides) == {1} else _taken(atoms, list(sides), twin.size)
        if axis is None:
            return None
        found.append(axis)
    return None if atoms else tuple(found)


def _taken(atoms: list[Any], sides: list[int], size: Sequence[Size]) -> Axis | None:
    """Take from the front what an axis of these sides holds."""
    if not atoms:
        return None
    heights, widths = ([pair[axis] for pair in size] for axis in (0, 1))
    if atoms[0] == "rows" and sides == heights:
        atoms.pop(0)
        return "rows"
    if atoms[0] == "columns":
        return "columns" if sides == widths and atoms.pop(0) else None
    if atoms[:2] == ["rows", "columns"]:
        del atoms[:2]
        return "pixels" if sides == [height * width for height, width in size] else None
    return _channels_taken(atoms, sides[0]) if len(set(sides)) == 1 else None


def _channels_taken(atoms: list[Any], wanted: int) -> int | None:
    """Take so many channels from the front: several axes, or a part of one."""
    left = wanted
    while left > 1:
        if not atoms or not isinstance(atoms[0], int):
            return None
        first = atoms.pop(0)
        if left % first == 0:
            left //= first
        elif first % left == 0:
            atoms.insert(0, first // left)
            left = 1
        else:
            return None
    return wanted
