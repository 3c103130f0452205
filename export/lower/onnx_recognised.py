"""Functions and normalisations that exporters spell out in many nodes, known by what they compute.

There are as many spellings as exporters. As with sizes (`onnx_probe`) they are not read: the nodes between a map and
what is made of it are run, and the values compared with those of the functions there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from sparsr.export.ir.layers import Activation, ChannelNorm
from sparsr.export.lower import phases
from sparsr.export.lower.onnx_moves import Moves
from sparsr.export.lower.onnx_probe import Probe, session
from sparsr.runtime.samples import FloatArray

_NAMED = ("gelu", "gelu_tanh", "mish", "hardswish", "softplus")
_POINTWISE = frozenset(
    [
        "Abs",
        "Add",
        "Cast",
        "Clip",
        "Div",
        "Erf",
        "Exp",
        "Greater",
        "GreaterOrEqual",
        "HardSigmoid",
        "Identity",
        "Less",
        "LessOrEqual",
        "Log",
        "Max",
        "Min",
        "Mul",
        "Neg",
        "Pow",
        "Reciprocal",
        "Relu",
        "Sigmoid",
        "Softplus",
        "Sqrt",
        "Sub",
        "Tanh",
        "Where",
    ]
)
_GRID = np.concatenate([np.linspace(-12, 12, 4001), [-40, -20, 20, 40]]).astype(np.float32)
_LOWEST = -4
"""Place of the smallest value in it."""
_NEAR = 3e-6
"""Of max(1, |x|): what rounding may differ by. GELU and its approximation are 5e-4 apart."""
_LONGEST = 16
"""Nodes that one function is spelled out in; more are something else."""


@dataclass(frozen=True)
class Recognised:
    """What the layers, one after the other, make of the tensor `source`."""

    source: str
    steps: phases.Steps


def recognise(model: onnx.ModelProto, probe: Probe) -> dict[str, Recognised]:
    """By the tensor that is computed. The nodes in between are lowered only if something else needs them."""
    search = _Search(model, probe)
    found: dict[str, Recognised] = {}
    for node in reversed(model.graph.node):
        for attempt in (search.twin, search.function, search.norm, search.group_norm, search.moved):
            if node.output[0] not in found and (match := attempt(node)):
                found[node.output[0]] = match
    return found


class _Search:
    def __init__(self, model: onnx.ModelProto, probe: Probe) -> None:
        self._probe, self._moves = probe, Moves(model, probe)
        self._nodes = {name: node for node in model.graph.node for name in node.output}
        self._order = {name: place for place, node in enumerate(model.graph.node) for name in node.output}
        self._opset = list(model.opset_import)

    def twin(self, node: onnx.NodeProto) -> Recognised | None:
        """A feature map that was another tensor in between: the map that went the same way, if it holds the same."""
        result = node.output[0]
        twin = self._probe.twins.get(result)
        if twin is None or not self._is_map(result, twin):
            return None
        pairs = zip(self._probe.values[result], self._probe.values[twin], strict=True)
        same = all(a.size == b.size and _near(a.ravel(), b.ravel()) for a, b in pairs)
        return Recognised(twin, []) if same else None

    def function(self, node: onnx.NodeProto) -> Recognised | None:
        """A function of single values, up to a factor."""
        cone = self._cone(node, _POINTWISE)
        if cone is None or len(cone.nodes) < 2 or any(value.size > 1 for value in cone.constants.values()):
            return None
        values = self._evaluated(cone, node.output[0])
        if values is None or not np.isfinite(values).all():
            return None
        channels = self._probe.channels(node.output[0])
        for functions, factor in _candidates(values):
            expected = _GRID.astype(np.float64)
            for function in functions:
                expected = function.reference(expected)
            if (np.abs(values - factor * expected) <= _NEAR * max(1, abs(factor)) * np.maximum(1, np.abs(_GRID))).all():
                steps: phases.Steps = [(f".{number}", function) for number, function in enumerate(functions)]
                if factor != 1:
                    steps.append((".factor", phases.scaled(channels, factor)))
                return Recognised(cone.source, [*steps[:-1], ("", steps[-1][1])])
        return None

    def norm(self, node: onnx.NodeProto) -> Recognised | None:
        """Layer normalisation over the channels, without its gain and shift or, between transpositions, with them."""
        if transposed := self._transposed_norm(node):
            return transposed
        if node.op_type not in ("Div", "Mul"):
            return None
        cone = self._cone(node, _POINTWISE | {"ReduceMean"})
        if cone is None or not any(inner.op_type == "ReduceMean" for inner in cone.nodes):
            return None
        channels = self._probe.channels(cone.source)
        unit, zero = np.ones(channels, np.float32), np.zeros(channels, np.float32)
        for value in cone.constants.values():
            if value.size == 1 and 0 < float(value.reshape(())) < 0.1:
                norm = ChannelNorm(unit, zero, float(value.reshape(())))
                if self._computes([("", norm)], cone.source, node.output[0]):
                    return Recognised(cone.source, [("", norm)])
        return None

    def _transposed_norm(self, node: onnx.NodeProto) -> Recognised | None:
        inner = self._nodes.get(node.input[0]) if node.op_type == "Transpose" else None
        before = (
            self._nodes.get(inner.input[0]) if inner is not None and inner.op_type == "LayerNormalization" else None
        )
        if inner is None or before is None or before.op_type != "Transpose":
            return None
        channels = self._probe.channels(node.output[0])
        epsilon = next((float(entry.f) for entry in inner.attribute if entry.name == "epsilon"), 1e-5)
        tensors = [self._probe.constants.get(name) for name in inner.input[1:]]
        if any(tensor is None or tensor.size != channels for tensor in tensors):
            return None
        gain, *shift = [np.asarray(tensor, np.float32).ravel() for tensor in tensors]
        norm = ChannelNorm(gain, shift[0] if shift else np.zeros(channels, np.float32), epsilon)
        source = before.input[0]
        return Recognised(source, [("", norm)]) if self._computes([("", norm)], source, node.output[0]) else None

    def group_norm(self, node: onnx.NodeProto) -> Recognised | None:
        """Group normalisation as instance normalisation between two Reshapes, its statistics those of groups."""
        inner = self._nodes.get(node.input[0]) if node.op_type == "Reshape" else None
        before = (
            self._nodes.get(inner.input[0]) if inner is not None and inner.op_type == "InstanceNormalization" else None
        )
        if inner is None or before is None or before.op_type != "Reshape" or not self._is_map(before.input[0]):
            return None
        source, channels = before.input[0], self._probe.channels(before.input[0])
        epsilon = next((float(entry.f) for entry in inner.attribute if entry.name == "epsilon"), 1e-5)
        statistics = [self._probe.constants.get(name) for name in inner.input[1:]]
        if any(values is None or channels % len(values) for values in statistics):
            return None
        groups = self._probe.values[inner.output[0]][0].shape[1]
        gain, shift = (np.repeat(values, channels // len(values)) for values in statistics if values is not None)
        steps = phases.group_norm(gain, shift, groups, epsilon)
        return Recognised(source, steps) if steps and self._computes(steps, source, node.output[0]) else None

    def moved(self, node: onnx.NodeProto) -> Recognised | None:
        """Values that only change places, or channels of one pixel that are mixed."""
        match = self._moves.ending_at(node) or self._moves.mixing_at(node)
        return match and Recognised(*match)

    def _is_map(self, *names: str) -> bool:
        return all(name in self._probe.values and self._probe.is_map(name) for name in names)

    def _computes(self, steps: phases.Steps, source: str, result: str) -> bool:
        """Whether the layers make of the probes' values of `source` those of `result`, but for rounding."""
        if not self._is_map(source, result):
            return False
        for before, after in zip(self._probe.values[source], self._probe.values[result], strict=True):
            values = before.astype(np.float64)
            for _, layer in steps:
                values = layer.reference(values)
            if values.shape != after.shape or not _near(values, after):
                return False
        return True

    def _cone(self, root: onnx.NodeProto, operators: frozenset[str]) -> _Cone | None:
        """What lies between `root` and the nearest tensor that it depends on by; None if that has other operators."""
        nodes: dict[int, onnx.NodeProto] = {}
        constants: dict[str, NDArray[Any]] = {}
        open_ends, current = set[str](), root
        while len(nodes) < _LONGEST:
            if current.op_type not in operators:
                return None
            nodes[self._order[current.output[0]]] = current
            for name in filter(None, current.input):
                if name in self._probe.constants:
                    constants[name] = self._probe.constants[name]
                else:
                    open_ends.add(name)
            if len(open_ends) == 1:
                source = open_ends.pop()
                return (
                    _Cone(source, [nodes[place] for place in sorted(nodes)], constants)
                    if self._is_map(source)
                    else None
                )
            latest = max(open_ends, key=lambda name: self._order.get(name, -1), default="")
            if latest not in self._nodes:
                return None
            open_ends.remove(latest)
            current = self._nodes[latest]
        return None

    def _evaluated(self, cone: _Cone, result: str) -> FloatArray | None:
        """The values of the cone's function on the grid; None if ONNX Runtime cannot run it by itself."""
        kind = onnx.TensorProto.FLOAT
        ends = [onnx.helper.make_tensor_value_info(name, kind, None) for name in (cone.source, result)]
        tensors = [onnx.numpy_helper.from_array(value, name) for name, value in cone.constants.items()]
        ends[0].CopyFrom(onnx.helper.make_tensor_value_info(cone.source, kind, [1, 1, 1, len(_GRID)]))
        body = onnx.helper.make_graph(cone.nodes, "function", ends[:1], ends[1:], tensors)
        model = onnx.helper.make_model(body, opset_imports=self._opset, ir_version=8)
        try:
            (values,) = session(model.SerializeToString()).run(None, {cone.source: _GRID.reshape(1, 1, 1, -1)})
        except Exception:  # ONNX Runtime's exceptions have no common base; then the nodes are lowered one by one
            return None
        return np.asarray(values, np.float32).ravel()


@dataclass(frozen=True)
class _Cone:
    """Nodes that compute one tensor from another and constants."""

    source: str
    nodes: list[onnx.NodeProto]
    constants: Mapping[str, NDArray[Any]]


def _near(values: NDArray[Any], others: NDArray[Any]) -> bool:
    """Equal but for rounding."""
    return bool(np.abs(values - others).max() <= 1e-4 * max(1.0, np.abs(values).max()))


def _candidates(values: FloatArray) -> Iterator[tuple[list[Activation], float]]:
    """Functions that could have these values on the grid, and a factor after them: what they tend to tells numbers."""
    lowest, highest = float(values[_LOWEST]), float(values[-1])
    if highest == values[-2]:  # bounded
        yield [Activation("clip", low=lowest, high=highest)], 1.0
        return
    factor = float(f"{highest / _GRID[-1]:.6g}")  # all others tend to x
    if not factor:
        return
    yield from (([Activation(name)], factor) for name in _NAMED)
    yield [Activation("leaky_relu", float(f"{lowest / _GRID[_LOWEST] / factor:.6g}"))], factor
    yield [Activation("elu"), Activation("leaky_relu", float(f"{-lowest / factor:.6g}"))], factor
