"""ncnn's two files: the graph as text (.param) and the weights one after the other (.bin).

Nothing is believed that the files do not hold: counts are compared with the lines, sizes with the bytes left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.samples import FloatArray

Number = int | float
_MAGIC = "7767517"
_MOST_TEXT = 16 << 20  # bytes; the largest graphs have thousands of lines
_FLOAT16 = 0x01306B47  # before weights in half precision
_FLOAT32 = (0, 0x0002C056)
_ARRAY = -23300  # a parameter's number from here downwards: a list of values


@dataclass(frozen=True)
class NcnnLayer:
    """A line of the graph."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    parameters: dict[int, Number | tuple[Number, ...]]

    def whole(self, number: int, default: int) -> int:
        """A parameter that is a whole number."""
        value = self.parameters.get(number, default)
        if isinstance(value, tuple) or int(value) != value:
            raise SparsrError(f"layer {self.name} ({self.kind}): parameter {number} is no whole number", _AGAIN)
        return int(value)

    def number(self, number: int, default: float) -> float:
        """A parameter that is a number."""
        value = self.parameters.get(number, default)
        if isinstance(value, tuple):
            raise SparsrError(f"layer {self.name} ({self.kind}): parameter {number} is no number", _AGAIN)
        return float(value)

    def values(self, number: int) -> tuple[Number, ...]:
        """A parameter that is a list."""
        value = self.parameters.get(number, ())
        return value if isinstance(value, tuple) else (value,)


_AGAIN = "convert or copy the model again"


def is_ncnn(path: Path) -> bool:
    """By its name: either of the two files."""
    return path.suffix.lower() in (".param", ".bin")


def read_graph(path: Path) -> list[NcnnLayer]:
    """The layers of a .param file in order. Raises `SparsrError` if it is damaged or in ncnn's binary form."""
    if not path.is_file():
        raise SparsrError(f"the graph {path} does not exist", "an ncnn model is two files, NAME.param and NAME.bin")
    if path.stat().st_size > _MOST_TEXT:
        raise SparsrError(f"{path} has more than {_MOST_TEXT >> 20} MB, which no graph needs")
    try:
        lines = [line for line in path.read_text(encoding="ascii").splitlines() if line.strip()]
        if lines[0].strip() != _MAGIC:
            raise ValueError("it does not begin with 7767517")
        layers = [_layer(line) for line in lines[2:]]
        if int(lines[1].split()[0]) != len(layers):
            raise ValueError(f"it announces {lines[1].split()[0]} layers and has {len(layers)}")
    except (ValueError, IndexError, OverflowError) as error:
        raise SparsrError(f"{path} is not an ncnn graph in text form ({error})", _AGAIN) from error
    _check_order(layers, path)
    return layers


def _layer(line: str) -> NcnnLayer:
    kind, name, inputs, outputs, *rest = line.split()
    ends = int(inputs), int(inputs) + int(outputs)
    if not 0 <= ends[0] <= ends[1] <= len(rest):
        raise ValueError(f"the layer {name} names fewer tensors than it announces")
    parameters = dict(_parameter(text) for text in rest[ends[1] :])
    return NcnnLayer(kind, name, tuple(rest[: ends[0]]), tuple(rest[ends[0] : ends[1]]), parameters)


def _parameter(text: str) -> tuple[int, Number | tuple[Number, ...]]:
    key, sign, value = text.partition("=")
    if not sign:
        raise ValueError(f"{text!r} is no parameter")
    if int(key) > _ARRAY:
        return int(key), _number(value)
    count, *values = value.split(",")
    if int(count) != len(values):
        raise ValueError(f"{text!r} holds {len(values)} values")
    return _ARRAY - int(key), tuple(map(_number, values))


def _number(text: str) -> Number:
    number = float(text) if any(sign in text.lower() for sign in ".en") else int(text)
    if not math.isfinite(number):
        raise ValueError(f"{text!r} is no finite number")
    return number


def _check_order(layers: list[NcnnLayer], path: Path) -> None:
    """Every tensor must be written once, before it is read: no cycles."""
    known: set[str] = set()
    for layer in layers:
        if missing := [name for name in layer.inputs if name not in known]:
            raise SparsrError(f"{path}: layer {layer.name} reads {missing[0]}, which nothing before it writes", _AGAIN)
        if twice := [name for name in layer.outputs if name in known]:
            raise SparsrError(f"{path}: {twice[0]} is written twice", _AGAIN)
        known |= set(layer.outputs)


class WeightFile:
    """A .bin file, read from its start to its end as the layers ask for their weights."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise SparsrError(f"the weights {path} do not exist", "an ncnn model is two files, NAME.param and NAME.bin")
        self.path = path
        self._data = memoryview(path.read_bytes())
        self._place = 0

    def weights(self, count: int, layer: NcnnLayer) -> FloatArray:
        """The next `count` weights, after the word that says how they are stored: float32 or float16."""
        word = int.from_bytes(self._bytes(4, layer), "little")
        if word == _FLOAT16:
            values = np.frombuffer(self._bytes(2 * count, layer), "<f2").astype(np.float32)
            self._bytes(-2 * count % 4, layer)
            return self._finite(values, layer)
        if word not in _FLOAT32:
            raise SparsrError(
                f"{self.path}: the weights of layer {layer.name} are quantised or damaged", "give a float model"
            )
        return self.plain(count, layer)

    def plain(self, count: int, layer: NcnnLayer) -> FloatArray:
        """The next `count` float32 values."""
        return self._finite(np.frombuffer(self._bytes(4 * count, layer), "<f4").astype(np.float32), layer)

    def finish(self) -> None:
        """Raise `SparsrError` if weights are left: then they were read for the wrong layers."""
        if left := len(self._data) - self._place:
            raise SparsrError(f"{self.path} holds {left} bytes more than its graph needs", "give the pair of files")

    def _bytes(self, count: int, layer: NcnnLayer) -> memoryview:
        if not 0 <= count <= len(self._data) - self._place:
            raise SparsrError(
                f"{self.path}: layer {layer.name} needs more weights than are left", "give the pair of files whole"
            )
        self._place += count
        return self._data[self._place - count : self._place]

    def _finite(self, values: FloatArray, layer: NcnnLayer) -> FloatArray:
        if not np.isfinite(values).all():
            raise SparsrError(f"{self.path}: layer {layer.name} holds values that are not numbers", _AGAIN)
        return values
