"""A node of an ONNX model as the rules that lower it see it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any, NoReturn, TypeVar

import numpy as np
import onnx
from numpy.typing import NDArray

from sparsr.export.ir.graph import Node
from sparsr.export.ir.layers import Activation, Add, Conv, Layer, SliceChannels
from sparsr.export.lower import phases, resampling
from sparsr.export.lower.onnx_layout import twin_of
from sparsr.export.lower.onnx_probe import Probe
from sparsr.export.lower.phases import Steps
from sparsr.export.lower.size_rule import LARGEST_SCALE
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.samples import FloatArray

_RATIOS = sorted(
    {Fraction(p, q) for p in (*range(1, LARGEST_SCALE + 1), 9, 10, 12, 15) for q in range(1, LARGEST_SCALE + 1)}
    - {Fraction(1)},
    key=lambda ratio: (ratio.denominator, ratio.numerator),
)


T = TypeVar("T")
_PRODUCTS = ("Einsum", "MatMul")
_WITHOUT_LAYER = frozenset(
    [
        "Attention", "Col2Im", "CumSum", "DFT", "DeformConv", "GRU", "GatherElements", "GridSample", "LSTM", "NonZero",
        "RNN", "RoiAlign", "ScatterElements", "TopK",
    ]
)  # fmt: skip
"""That often stand in the middle of what is no feature map."""
_FARTHEST = 64


class Lowered:
    """The nodes so far, and the graph's tensor for each of the model's."""

    def __init__(self, model: onnx.ModelProto, probe: Probe, source: str) -> None:
        self.probe, self.source = probe, source
        self.producers = {name: node for node in model.graph.node for name in node.output}
        self.readers: dict[str, list[onnx.NodeProto]] = {}
        for node in model.graph.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        self.nodes: list[Node] = []
        self.tensors: dict[str, str] = {probe.image: probe.image}

    def joined_by_next(self, node: onnx.NodeProto) -> bool:
        """Whether nothing reads the node but some of the same operator, whose rule takes both together.

        Between slices there may be a factor.
        """
        readers = self.readers.get(node.output[0], [])
        if node.op_type != "Slice":
            return self.factor_between_slices(node) is not None
        sliced = (reader.op_type == "Slice" or self.factor_between_slices(reader) is not None for reader in readers)
        return bool(readers) and all(sliced)

    def factor_between_slices(self, node: onnx.NodeProto) -> float | None:
        """What a node multiplies a slice by that is read by slices alone; None if it does anything else."""
        if node.op_type not in ("Mul", "Div") or node.input[1] not in self.probe.constants:
            return None
        number, before = self.probe.constants[node.input[1]], self.producers.get(node.input[0])
        readers = {reader.op_type for reader in self.readers.get(node.output[0], [])}
        if number.size > 1 or not number.all() or before is None or {before.op_type} | readers != {"Slice"}:
            return None
        factor = float(number.reshape(()))
        return factor if node.op_type == "Mul" else 1 / factor

    def append(self, name: str, layer: Layer, inputs: Sequence[str]) -> str:
        """Add a node and return its tensor."""
        self.nodes.append(Node(name, layer, tuple(inputs)))
        return name


class Site:
    """One node: its operands, its attributes, and where its layers go."""

    def __init__(self, node: onnx.NodeProto, lowered: Lowered) -> None:
        self.node, self._lowered, self.probe = node, lowered, lowered.probe
        self.output = node.output[0]
        self.attributes: dict[str, Any] = {
            entry.name: onnx.helper.get_attribute_value(entry) for entry in node.attribute
        }

    def refuse(self, reason: str, hint: str = "") -> NoReturn:
        """Raise `SparsrError` naming the node, its operator and the reason."""
        name = self.node.name or self.output
        raise SparsrError(
            f"{self._lowered.source}: node {name}, operator {self.node.op_type}: {reason}",
            hint or "docs/any-network.md says what can be exported",
        )

    def require(self, condition: bool, reason: str) -> None:
        """Refuse unless `condition`."""
        if not condition:
            self.refuse(reason)

    def refuse_products(self, before: bool) -> None:
        """Refuse the next product of two maps before or behind the node, if what lies between are no feature maps."""
        open_ends, seen = list(self.node.input if before else self.node.output), set[str]()
        while open_ends and len(seen) < _FARTHEST:
            name = open_ends.pop(0)
            producer = self.producer(name)
            if name in seen or name in self._lowered.tensors or (before and producer is None):
                continue
            seen.add(name)
            for node in [producer] if before and producer else self._lowered.readers.get(name, []):
                operands = [operand for operand in node.input if operand in self.probe.of_pixels]
                if node.op_type in _PRODUCTS and len(operands) > 1:
                    Site(node, self._lowered).refuse("matrix products of maps, as in attention, are not handled")
                if node.op_type in _WITHOUT_LAYER and operands:
                    Site(node, self._lowered).refuse("there is no layer for this operator")
                open_ends += node.input if before else node.output

    def with_lowered(self, function: Callable[[onnx.NodeProto, Lowered], T]) -> T:
        """What a function makes of the node and all there is so far."""
        return function(self.node, self._lowered)

    def has(self, index: int) -> bool:
        """Whether there is such an operand."""
        return index < len(self.node.input) and bool(self.node.input[index])

    def is_number(self, index: int) -> bool:
        """Whether an operand is one number that depends on the image."""
        found = self.probe.values.get(self.node.input[index], [])
        return (
            not self.is_constant(index) and bool(found) and all(value.size == 1 and value.ndim < 2 for value in found)
        )

    def is_constant(self, index: int) -> bool:
        """Whether an operand is the same for every image."""
        return self.node.input[index] in self.probe.constants

    def weights(self, index: int, what: str) -> FloatArray:
        """A constant operand of finite floats."""
        if not self.is_constant(index):
            self.refuse(f"its {what} depends on the image")
        values = np.asarray(self.probe.constants[self.node.input[index]], np.float32)
        self.require(bool(np.isfinite(values).all()), f"its {what} holds values that are not numbers")
        return values

    def setting(self, name: str, index: int, default: Any = None) -> Any:
        """A parameter that older opsets have as an attribute and newer ones as an operand; one for every image."""
        if name in self.attributes:
            return self.attributes[name]
        if not self.has(index):
            return default
        value = self.probe.number(self.node.input[index])
        self.require(value is not None, f"its {name} depends on the image's size")
        return value

    def settings(self, index: int) -> list[NDArray[Any]]:
        """An operand's values for every probe image."""
        name = self.node.input[index]
        constant = self.probe.constants.get(name)
        return [constant] * len(self.probe.sizes) if constant is not None else self.probe.values[name]

    def producer(self, name: str) -> onnx.NodeProto | None:
        """The node that computes a tensor; None of weights and the image."""
        return self._lowered.producers.get(name)

    def producing(self, name: str) -> Site | None:
        """The node that computes a tensor, to be lowered with this one."""
        node = self.producer(name)
        return None if node is None else Site(node, self._lowered)

    def map(self, index: int = 0) -> str:
        """The graph's tensor of an operand that is a feature map."""
        return self.map_called(self.node.input[index])

    def map_called(self, name: str) -> str:
        """The graph's tensor of the model's feature map `name`."""
        if name not in self._lowered.tensors:
            self.refuse_products(before=True)
            self.refuse_products(before=False)
            self.refuse(f"its input {name} is no feature map [1, channels, height, width]")
        return self._lowered.tensors[name]

    def channels(self, index: int = 0) -> int:
        """Of an operand that is a feature map, or one number."""
        if self.is_number(index):
            return 1
        if not self.probe.is_map(self.node.input[index]):
            self.map(index)
        return self.probe.channels(self.node.input[index])

    def rank(self, index: int = 0) -> int:
        """How many axes an operand has."""
        return self.probe.values[self.node.input[index]][0].ndim

    def size(self, index: int = 0) -> list[tuple[int, ...]]:
        """Height and width of an operand for every probe image."""
        return self.probe.size(self.node.input[index])

    def emit(self, layer: Layer, inputs: Sequence[str], suffix: str = "") -> str:
        """Append a layer; without a suffix it writes the node's result."""
        return self._lowered.append(self.output + suffix, layer, inputs)

    def larger(self, first: str, second: str, channels: int, sign: float, suffix: str = "") -> str:
        """The larger values of two maps for the sign 1, the smaller for -1: max(a, b) = b + relu(a - b)."""
        terms = [(first, sign), (second, -sign)]
        signed = [
            self.emit(phases.scaled(channels, factor), [term], f"{suffix}.signed{number}") if factor < 0 else term
            for number, (term, factor) in enumerate(terms)
        ]
        beyond = self.emit(Add(), signed, f"{suffix}.beyond")
        more = self.emit(Activation("relu"), [beyond], f"{suffix}.more")
        if sign < 0:
            more = self.emit(phases.scaled(channels, -1), [more], f"{suffix}.less")
        return self.emit(Add(), [second, more], suffix)

    def publish(self, output: str, layer: Layer) -> None:
        """Append a layer that writes one of several results of the node."""
        self._lowered.tensors[output] = self._lowered.append(output, layer, [self.map()])

    def chain(self, steps: Steps, source: str) -> str:
        """Append layers one after the other."""
        for suffix, layer in steps:
            source = self.emit(layer, [source], suffix)
        return source

    def first_without_twin(self) -> Site | None:
        """The first node that reads this one's result, or what is made of it, and has no form with channels first."""
        open_ends, seen = [self.output], set[str]()
        while open_ends:
            name = open_ends.pop(0)
            for reader in self._lowered.readers.get(name, []):
                if reader.op_type != "Transpose" and twin_of(reader.output[0]) not in self._lowered.producers:
                    return Site(reader, self._lowered)
                open_ends += [output for output in reader.output if output not in seen]
                seen.update(reader.output)
        return None

    def chain_of(self, operator: str) -> tuple[list[Site], float]:
        """The nodes of that operator that end here and are lowered together, this one last, and a factor among them."""
        sites, factor = [self], 1.0
        while True:
            before = self._lowered.producers.get(sites[0].node.input[0])
            if before is not None and (found := self._lowered.factor_between_slices(before)) is not None:
                factor *= found
                before = self._lowered.producers[before.input[0]]
            if before is None or before.op_type != operator or not self._lowered.joined_by_next(before):
                return sites, factor
            sites.insert(0, Site(before, self._lowered))

    def sizes_of_maps(self) -> Iterator[tuple[str, list[tuple[int, ...]]]]:
        """A tensor of the graph for every size that there is, with that size for every probe image."""
        seen: list[list[tuple[int, ...]]] = []
        for name, tensor in self._lowered.tensors.items():
            size = self.probe.size(name)
            if size not in seen:
                seen.append(size)
                yield tensor, size

    def same_size_map(self, size: Sequence[tuple[int, ...]]) -> str | None:
        """The first feature map that has that size for every probe image, if there is one."""
        found = (name for name in self._lowered.tensors if self.probe.size(name) == list(size))
        name = next(found, None)
        return None if name is None else self._lowered.tensors[name]

    def like(self, size: Sequence[tuple[int, ...]]) -> str | None:
        """A tensor of that size for every probe image: a feature map, or the image or the operand resized for that."""
        if (found := self.same_size_map(size)) is not None:
            return found
        for base in (self.probe.image, *self.node.input[:1]):
            if base not in self._lowered.tensors:
                continue
            for ratio in _RATIOS:  # the whole ones first
                if list(size) == [tuple(int(ratio * side) for side in pair) for pair in self.probe.size(base)]:
                    return self._of_ratio(base, ratio)
        return None

    def _of_ratio(self, base: str, ratio: Fraction) -> str:
        """Some map, that many times as large as another, rounded down."""
        steps: Steps = [(".one", SliceChannels(0, 1))]
        steps += resampling.enlarged(ratio.numerator)
        if ratio.denominator > 1:
            weight = np.zeros((1, 1, ratio.denominator, ratio.denominator), np.float32)
            steps.append((".like", Conv(weight, np.zeros(1, np.float32), stride=ratio.denominator)))
        return self.chain(steps, self.map_called(base))
