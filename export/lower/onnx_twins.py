"""Feature maps in other shapes: pixels as one axis, channels as several, maps stacked, rows and columns exchanged.

Layer normalisation and linear layers of tokens, softmax over groups and sums over stacked maps, attention to rows and
columns are written so. Beside such a tensor its twin [1, channels, height, width] is computed by operators that say the
same of channels. Where it becomes a feature map again the twin stands in, if it has the same values for every image of
the probe: what a node means is never believed, only what it computes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import NodeProto

from sparsr.export.lower.onnx_axes import Twin, is_plain, plain_axes
from sparsr.export.lower.onnx_twin_rules import POINTWISE, RULES
from sparsr.export.lower.onnx_twin_site import Constants, NoTwin, TwinSite, Values
from sparsr.export.lower.size_rule import Size


def with_twins(
    model: onnx.ModelProto,
    constants: Constants,
    values: Values,
) -> tuple[onnx.ModelProto, dict[str, str]] | None:
    """The model with twins, and the twins that may stand in for feature maps; None if there is no such map.

    `values` are all tensors', but for constants, for some images.
    """
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    twins = _Twins(constants, values, opset)
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        nodes += [*twins.of(node), node]
    if not twins.standing_in:
        return None
    needed = set(twins.standing_in.values())
    known = {name for node in model.graph.node for name in node.output}
    for node in reversed(nodes):
        if needed.intersection(node.output):
            needed.update(node.input)
    result = onnx.ModelProto()
    result.CopyFrom(model)
    del result.graph.node[:]
    result.graph.node.extend(node for node in nodes if (known | needed).intersection(node.output))
    result.graph.initializer.extend(tensor for tensor in twins.tensors if tensor.name in needed)
    return result, twins.standing_in


class _Twins:
    """The twins so far. A tensor of lines that were joined, rows and columns, has one for each."""

    def __init__(self, constants: Constants, values: Values, opset: int) -> None:
        self._constants, self._values, self._opset = constants, values, opset
        self._twins: dict[str, list[Twin]] = {}
        self.tensors: list[onnx.TensorProto] = []
        self.standing_in: dict[str, str] = {}

    def of(self, node: NodeProto) -> list[NodeProto]:
        """What computes the twins of a node's results, if they are feature maps in other shapes."""
        strange = any(name in self._twins for name in node.input) or not self._is_map(node.output[0])
        operands = any(name in self._twins or self._is_map(name) for name in node.input)
        if not operands or not (strange or node.op_type in ("Transpose", "Concat")):
            return []
        site = TwinSite(node, self._constants, self._values, self._opset)
        try:
            found = self._made(site)
        except (NoTwin, KeyError, IndexError, ValueError, TypeError):  # parameters of a damaged file
            return []
        self.tensors += site.tensors
        for name, twins in zip(node.output, found, strict=False):
            if len(twins) > 1 or not is_plain(twins[0].axes):
                self._twins[name] = twins
            elif strange and self._is_map(name):
                self.standing_in[name] = twins[0].name
        return site.nodes

    def _made(self, site: TwinSite) -> list[list[Twin]]:
        """For each result its twin, or twins."""
        node = site.node
        kind, joined = node.op_type, [self._twins_of(name) for name in node.input]
        most = max(map(len, joined), default=0)
        if kind == "Split" and len(joined[0]) == len(node.output) > 1:
            return [[twin] for twin in joined[0]]
        if kind == "Slice" and len(joined[0]) > 1:
            return [[_line(site, joined[0])]]
        if kind == "Concat" and most == 1 and len({operand[0].axes for operand in joined if operand}) > 1:
            return [_lines(site, [operand[0] for operand in joined])]
        rule = RULES.get(kind)
        if rule is None or (most > 1 and kind not in POINTWISE | {"BatchNormalization", "Conv"}):
            raise NoTwin
        made: list[list[Twin]] = []
        for part in range(most):
            site.operands = [operand[min(part, len(operand) - 1)] if operand else None for operand in joined]
            made.append(rule(site))
        return [list(twins) for twins in zip(*made, strict=True)]

    def _is_map(self, name: str) -> bool:
        first = self._values[name][0] if name in self._values else None
        if first is None or first.dtype != np.float32 or not 2 <= first.ndim <= 4 or first.shape[0] != 1:
            return False
        return first.ndim == 4 or first.shape[2:] in ((), (1,))

    def _twins_of(self, name: str) -> list[Twin]:
        """Of constants and numbers none."""
        if name in self._twins:
            return self._twins[name]
        if name in self._constants or not self._is_map(name):
            return []
        size = self._size(name)
        return [Twin(name, plain_axes(self._values[name][0].shape, size), size)]

    def _size(self, name: str) -> tuple[Size, ...]:
        sides = ((*value.shape[2:], 1, 1) for value in self._values[name])
        return tuple((height, width) for height, width, *_ in sides)


def _lines(site: TwinSite, operands: Sequence[Twin]) -> list[Twin]:
    """Rows and columns behind each other: what a pixel becomes does not depend on the others."""
    axis = site.axis(operands[0])
    around = {(*twin.axes[:axis], *twin.axes[axis + 1 :]) for twin in operands}
    if len(around) > 1 or any(isinstance(twin.axes[axis], int) for twin in operands):
        raise NoTwin
    return list(operands)


def _line(site: TwinSite, joined: Sequence[Twin]) -> Twin:
    """Which of the joined lines a slice begins with; whether it is that is told by its values."""
    starts = site.constants.get(site.node.input[1])
    given = site.values[site.node.input[1]] if starts is None else [starts] * len(joined[0].size)
    first = [int(np.ravel(start)[0]) for start in given]
    ends = [0] * len(first)
    for twin in joined:
        if ends == first:
            return twin
        ends = [end + height * width for end, (height, width) in zip(ends, twin.size, strict=True)]
    raise NoTwin
