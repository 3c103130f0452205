"""The rules of ncnn layers, and of what convolutions carry, that are functions of single values or pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sparsr.export.lower.ncnn_file import NcnnLayer
from sparsr.export.lower.ncnn_writer import Writer

Rule = Callable[[Writer, NcnnLayer], None]


def linear(layer: NcnnLayer) -> str:
    """Suffix of what comes before the layer's activation, if it has one."""
    return ".linear" if layer.whole(9, 0) else ""


def activation(writer: Writer, layer: NcnnLayer, x: str) -> None:
    """What is fused into a convolution."""
    kind, values = layer.whole(9, 0), layer.values(10)
    if kind in (0, 1):
        _ = writer.add("Relu", layer, [x]) if kind else None
    elif kind == 2:
        writer.add("LeakyRelu", layer, [x], alpha=float(values[0]))
    elif kind == 3:
        _clipped(writer, layer, x, float(values[0]), float(values[1]))
    elif kind == 4:
        writer.add("Sigmoid", layer, [x])
    elif kind == 5:
        _mish(writer, layer, x)
    elif kind == 6:
        _hard_swish(writer, layer, x, float(values[0]), float(values[1]))
    else:
        writer.refuse(layer, f"the activation {kind} is not handled")


def _clipped(writer: Writer, layer: NcnnLayer, x: str, low: float, high: float) -> None:
    bounds = [
        writer.constant(f"{layer.name}.{key}", np.float32(value)) for key, value in (("low", low), ("high", high))
    ]
    writer.add("Clip", layer, [x, *bounds])


def _clip(writer: Writer, layer: NcnnLayer) -> None:
    _clipped(writer, layer, writer.inputs(layer)[0], layer.number(0, -3e38), layer.number(1, 3e38))


def _relu(writer: Writer, layer: NcnnLayer) -> None:
    slope = layer.number(0, 0)
    if slope:
        writer.add("LeakyRelu", layer, writer.inputs(layer), alpha=slope)
    else:
        writer.add("Relu", layer, writer.inputs(layer))


def _prelu(writer: Writer, layer: NcnnLayer) -> None:
    slopes = writer.weights.plain(layer.whole(0, 0), layer)
    writer.require(slopes.size > 0, layer, "it has no slopes")
    writer.add("PRelu", layer, [*writer.inputs(layer), writer.constant(f"{layer.name}.slopes", slopes[:, None, None])])


def _swish(writer: Writer, layer: NcnnLayer) -> None:
    (x,) = writer.inputs(layer)
    writer.add("Mul", layer, [x, writer.add("Sigmoid", layer, [x], ".gate")])


def _mish(writer: Writer, layer: NcnnLayer, x: str = "") -> None:
    source = x or writer.inputs(layer)[0]
    gate = writer.add("Tanh", layer, [writer.add("Softplus", layer, [source], ".softplus")], ".gate")
    writer.add("Mul", layer, [source, gate])


def _hard_swish(writer: Writer, layer: NcnnLayer, x: str, alpha: float, beta: float) -> None:
    gate = writer.add("HardSigmoid", layer, [x], ".gate", alpha=alpha, beta=beta)
    writer.add("Mul", layer, [x, gate])


def _gelu(writer: Writer, layer: NcnnLayer) -> None:
    """By the error function or, if fast, a hyperbolic tangent; either is recognised by its values."""
    (x,) = writer.inputs(layer)

    def constant(name: str, value: float) -> str:
        return writer.constant(f"{layer.name}.{name}", np.float32(value))

    if layer.whole(0, 0):
        cubic = writer.add(
            "Mul", layer, [writer.add("Mul", layer, [x, x], ".square"), constant("cubic", 0.044715)], ".bent"
        )
        slope = writer.add("Add", layer, [cubic, constant("one", 1)], ".slope")
        inner = writer.add(
            "Mul", layer, [writer.add("Mul", layer, [x, slope], ".bow"), constant("root", 0.79788456)], ".inner"
        )
        share = writer.add("Tanh", layer, [inner], ".share")
    else:
        inner = writer.add("Mul", layer, [x, constant("root", 0.70710678)], ".inner")
        share = writer.add("Erf", layer, [inner], ".share")
    more = writer.add("Add", layer, [share, constant("unit", 1)], ".more")
    writer.add("Mul", layer, [writer.add("Mul", layer, [x, more], ".double"), constant("half", 0.5)])


_UNARY = {0: "Abs", 1: "Neg", 5: "Sqrt", 7: "Exp", 8: "Log", 15: "Reciprocal", 16: "Tanh"}


def _unary(writer: Writer, layer: NcnnLayer) -> None:
    kind, (x,) = layer.whole(0, 0), writer.inputs(layer)
    writer.require(kind in (4, 6, *_UNARY), layer, f"the function {kind} is not handled")
    if kind == 4:
        writer.add("Mul", layer, [x, x])
    elif kind == 6:
        writer.add("Reciprocal", layer, [writer.add("Sqrt", layer, [x], ".root")])
    else:
        writer.add(_UNARY[kind], layer, [x])


def _with_numbers(operator: str, **numbers: tuple[int, float]) -> Rule:
    """An operator whose attributes are numbers of the layer: by name, which one and its default."""

    def rule(writer: Writer, layer: NcnnLayer) -> None:
        found: dict[str, Any] = {name: layer.number(place, default) for name, (place, default) in numbers.items()}
        writer.add(operator, layer, writer.inputs(layer), **found)

    return rule


def _softmax(writer: Writer, layer: NcnnLayer) -> None:
    writer.require(layer.whole(0, 0) in (0, -3), layer, "only shares of channels are handled")
    writer.add("Softmax", layer, writer.inputs(layer), axis=1)


def _plain(operator: str) -> Rule:
    return lambda writer, layer: (writer.add(operator, layer, writer.inputs(layer)), None)[1]


FUNCTIONS: dict[str, Rule] = {
    "Clip": _clip,
    "ELU": _with_numbers("Elu", alpha=(0, 0.1)),
    "GELU": _gelu,
    "HardSigmoid": _with_numbers("HardSigmoid", alpha=(0, 0.2), beta=(1, 0.5)),
    "HardSwish": lambda writer, layer: _hard_swish(
        writer, layer, writer.inputs(layer)[0], layer.number(0, 0.2), layer.number(1, 0.5)
    ),
    "Mish": _mish,
    "PReLU": _prelu,
    "ReLU": _relu,
    "SELU": _with_numbers("Selu", alpha=(0, 1.67326324), gamma=(1, 1.050700987)),
    "Sigmoid": _plain("Sigmoid"),
    "Softmax": _softmax,
    "Softplus": _plain("Softplus"),
    "Swish": _swish,
    "TanH": _plain("Tanh"),
    "UnaryOp": _unary,
}
"""By the layer's kind."""
