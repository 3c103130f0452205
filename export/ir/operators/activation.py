"""Functions of every value by itself. A function is a row of `FUNCTIONS`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from sparsr.export.forms.native import NativeForm
from sparsr.export.forms.onnx import OnnxForm
from sparsr.export.forms.tflite import TFLiteForm
from sparsr.export.ir.layer import Pointwise, Values, per_channel
from sparsr.runtime.samples import FloatArray


@dataclass(frozen=True, eq=False)
class Activation(Pointwise):
    """Element-wise function, by its name in `FUNCTIONS`.

    slope: factor of negative values, of `leaky_relu`; slopes: the same for every channel, any numbers, of `prelu`;
    low, high: bounds of `clip`.
    """

    function: str
    slope: float = 0.0
    slopes: FloatArray | None = None
    low: float = 0.0
    high: float = 1.0

    def repeated(self, times: int) -> Activation:
        """The function of a map in which every channel stands so many times, one after the other."""
        return self if self.slopes is None else replace(self, slopes=np.repeat(self.slopes, times))

    def reference(self, *inputs: Values) -> Values:
        """The function of every value."""
        return FUNCTIONS[self.function].reference(self, inputs[0])

    def onnx(self, form: OnnxForm, name: str, inputs: list[str], output: str) -> None:
        """One operator, or those that make up the function."""
        FUNCTIONS[self.function].onnx(self, form, name, inputs[0], output)

    def tflite(self, form: TFLiteForm, name: str, inputs: list[int]) -> None:
        """One operator, or those that make up the function."""
        FUNCTIONS[self.function].tflite(self, form, name, inputs[0])

    @property
    def native_kind(self) -> str | None:  # type: ignore[override]
        """The engine knows some of the functions."""
        return "Activation" if FUNCTIONS[self.function].native else None

    def native(self, form: NativeForm, name: str) -> dict[str, Any]:
        """The function under a name of its own, as convolutions and sums carry it too."""
        entry: dict[str, Any] = {"function": self.function, "slope": self.slope}
        if self.slopes is not None:
            entry |= form.stored(name, slopes=self.slopes)
        if self.function == "clip":
            entry |= {"low": self.low, "high": self.high}
        return {"activation": entry}


class Function(NamedTuple):
    """What a function means in every form. `native`: the engine has it, alone and after convolutions and sums."""

    reference: Callable[[Activation, Values], Values]
    onnx: Callable[[Activation, OnnxForm, str, str, str], Any]
    tflite: Callable[[Activation, TFLiteForm, str, int], Any]
    native: bool = False


def _sigmoid(x: Values) -> Values:
    small = np.exp(-np.abs(x))  # exp only of negative numbers, which cannot overflow
    return np.where(x < 0, small, 1) / (1 + small)


def _onnx_op(operator: str, **attributes: Any) -> Callable[..., Any]:
    return lambda a, form, name, x, y: form.op(operator, name, [x], y, **attributes)


def _tflite_op(operator: str) -> Callable[..., Any]:
    return lambda a, form, name, x: form.operator(operator, [x], form.output(name))


def _leaky_onnx(a: Activation, form: OnnxForm, name: str, x: str, y: str) -> None:
    form.op("LeakyRelu", name, [x], y, alpha=a.slope)


def _leaky_tflite(a: Activation, form: TFLiteForm, name: str, x: int) -> None:
    form.operator("LEAKY_RELU", [x], form.output(name), alpha=a.slope)


def _prelu_onnx(a: Activation, form: OnnxForm, name: str, x: str, y: str) -> None:
    slopes = form.constant(f"{name}.slopes", a.slopes)
    axes = form.constant(f"{name}.axes", [1, 2], np.int64)
    form.op("PRelu", name, [x, form.inner("Unsqueeze", f"{name}.slopes.map", [slopes, axes])], y)


def _prelu_tflite(a: Activation, form: TFLiteForm, name: str, x: int) -> None:
    assert a.slopes is not None
    form.operator("PRELU", [x, form.constant(f"{name}.slopes", a.slopes[None, None])], form.output(name))


def _silu_onnx(a: Activation, form: OnnxForm, name: str, x: str, y: str) -> None:
    form.op("Mul", name, [x, form.inner("Sigmoid", f"{name}.gate", [x])], y)


def _silu_tflite(a: Activation, form: TFLiteForm, name: str, x: int) -> None:
    form.operator("MUL", [x, form.step("LOGISTIC", f"{name}.gate", [x])], form.output(name))


_HALF_ROOT = math.sqrt(0.5)
_GELU_TANH = (2 * math.sqrt(2 / math.pi), 2 * math.sqrt(2 / math.pi) * 0.044715)
"""The argument of the approximation's logistic function is x (a + b x^2): (1 + tanh(y)) / 2 is the logistic of 2 y."""


def _gelu(x: Values) -> Values:
    return x * 0.5 * np.vectorize(math.erfc, otypes=[np.float64])(-_HALF_ROOT * x)


def _gelu_onnx(a: Activation, form: OnnxForm, name: str, x: str, y: str) -> None:
    root, one, half = (
        form.constant(f"{name}.{key}", v) for key, v in (("root", _HALF_ROOT), ("one", 1), ("half", 0.5))
    )
    share = form.inner("Erf", f"{name}.erf", [form.inner("Mul", f"{name}.scaled", [x, root])])
    doubled = form.inner("Mul", f"{name}.doubled", [x, form.inner("Add", f"{name}.share", [share, one])])
    form.op("Mul", name, [doubled, half], y)


def _gelu_tanh_onnx(a: Activation, form: OnnxForm, name: str, x: str, y: str) -> None:
    linear, cubic = (form.constant(f"{name}.{key}", v) for key, v in zip(("linear", "cubic"), _GELU_TANH, strict=True))
    bent = form.inner("Mul", f"{name}.bent", [form.inner("Mul", f"{name}.square", [x, x]), cubic])
    inner = form.inner("Mul", f"{name}.inner", [x, form.inner("Add", f"{name}.slope", [bent, linear])])
    form.op("Mul", name, [x, form.inner("Sigmoid", f"{name}.gate", [inner])], y)


def _gelu_tflite(approximate: bool) -> Callable[..., Any]:
    return lambda a, form, name, x: form.operator("GELU", [x], form.output(name), approximate=approximate)


def _mish(x: Values) -> Values:
    return x * np.tanh(np.logaddexp(0, x))


def _mish_onnx(a: Activation, form: OnnxForm, name: str, x: str, y: str) -> None:
    gate = form.inner("Tanh", f"{name}.gate", [form.inner("Softplus", f"{name}.softplus", [x])])
    form.op("Mul", name, [x, gate], y)


def _mish_tflite(a: Activation, form: TFLiteForm, name: str, x: int) -> None:
    """tanh(log(1 + e^x)) = n / (n + 2), n = e^x (e^x + 2); from x = 20 on it is 1 in float32."""
    bounded = form.step("MINIMUM", f"{name}.bounded", [x, form.constant(f"{name}.largest", [20])])
    two = form.constant(f"{name}.two", [2])
    power = form.step("EXP", f"{name}.power", [bounded])
    over = form.step("MUL", f"{name}.over", [power, form.step("ADD", f"{name}.more", [power, two])])
    gate = form.step("DIV", f"{name}.gate", [over, form.step("ADD", f"{name}.under", [over, two])])
    form.operator("MUL", [x, gate], form.output(name))


def _reciprocal_tflite(a: Activation, form: TFLiteForm, name: str, x: int) -> None:
    form.operator("DIV", [form.constant(f"{name}.one", [1]), x], form.output(name))


def _softsign_tflite(a: Activation, form: TFLiteForm, name: str, x: int) -> None:
    distance = form.step("ABS", f"{name}.distance", [x])
    under = form.step("ADD", f"{name}.under", [distance, form.constant(f"{name}.one", [1])])
    form.operator("DIV", [x, under], form.output(name))


def _softplus_tflite(a: Activation, form: TFLiteForm, name: str, x: int) -> None:
    """log(1 + e^x) = max(x, 0) + log(1 + e^-|x|), which cannot overflow."""
    distance = form.step("NEG", f"{name}.distance", [form.step("ABS", f"{name}.size", [x])])
    more = form.step(
        "ADD", f"{name}.more", [form.step("EXP", f"{name}.power", [distance]), form.constant(f"{name}.one", [1])]
    )
    bend = form.step("LOG", f"{name}.bend", [more])
    form.operator("ADD", [form.step("RELU", f"{name}.line", [x]), bend], form.output(name))


def _clip_onnx(a: Activation, form: OnnxForm, name: str, x: str, y: str) -> None:
    bounds = [form.constant(f"{name}.{key}", value) for key, value in (("low", a.low), ("high", a.high))]
    form.op("Clip", name, [x, *bounds], y)


def _clip_tflite(a: Activation, form: TFLiteForm, name: str, x: int) -> None:
    raised = form.step("MAXIMUM", f"{name}.raised", [x, form.constant(f"{name}.low", [a.low])])
    form.operator("MINIMUM", [raised, form.constant(f"{name}.high", [a.high])], form.output(name))


FUNCTIONS: dict[str, Function] = {
    "relu": Function(lambda a, x: np.maximum(x, 0), _onnx_op("Relu"), _tflite_op("RELU"), native=True),
    "leaky_relu": Function(lambda a, x: np.where(x < 0, a.slope * x, x), _leaky_onnx, _leaky_tflite, native=True),
    "prelu": Function(
        lambda a, x: np.where(x < 0, per_channel(np.asarray(a.slopes)) * x, x), _prelu_onnx, _prelu_tflite, native=True
    ),
    "sigmoid": Function(lambda a, x: _sigmoid(x), _onnx_op("Sigmoid"), _tflite_op("LOGISTIC"), native=True),
    "silu": Function(lambda a, x: x * _sigmoid(x), _silu_onnx, _silu_tflite, native=True),
    "gelu": Function(lambda a, x: _gelu(x), _gelu_onnx, _gelu_tflite(False), native=True),
    "gelu_tanh": Function(
        lambda a, x: x * _sigmoid(x * (_GELU_TANH[0] + _GELU_TANH[1] * x**2)),
        _gelu_tanh_onnx,
        _gelu_tflite(True),
        native=True,
    ),
    "mish": Function(lambda a, x: _mish(x), _mish_onnx, _mish_tflite, native=True),
    "hardswish": Function(
        lambda a, x: x * np.clip(x / 6 + 0.5, 0, 1), _onnx_op("HardSwish"), _tflite_op("HARD_SWISH"), native=True
    ),
    "tanh": Function(lambda a, x: np.tanh(x), _onnx_op("Tanh"), _tflite_op("TANH"), native=True),
    "clip": Function(lambda a, x: np.clip(x, a.low, a.high), _clip_onnx, _clip_tflite, native=True),
    "elu": Function(
        lambda a, x: np.where(x < 0, np.expm1(np.minimum(x, 0)), x), _onnx_op("Elu"), _tflite_op("ELU"), native=True
    ),
    "softplus": Function(lambda a, x: np.logaddexp(0, x), _onnx_op("Softplus"), _softplus_tflite, native=True),
    "softsign": Function(lambda a, x: x / (1 + np.abs(x)), _onnx_op("Softsign"), _softsign_tflite, native=True),
    "exp": Function(lambda a, x: np.exp(x), _onnx_op("Exp"), _tflite_op("EXP"), native=True),
    "log": Function(lambda a, x: np.log(x), _onnx_op("Log"), _tflite_op("LOG"), native=True),
    "sqrt": Function(lambda a, x: np.sqrt(x), _onnx_op("Sqrt"), _tflite_op("SQRT"), native=True),
    "sin": Function(lambda a, x: np.sin(x), _onnx_op("Sin"), _tflite_op("SIN"), native=True),
    "cos": Function(lambda a, x: np.cos(x), _onnx_op("Cos"), _tflite_op("COS"), native=True),
    "sign": Function(lambda a, x: np.sign(x), _onnx_op("Sign"), _tflite_op("SIGN"), native=True),
    "floor": Function(lambda a, x: np.floor(x), _onnx_op("Floor"), _tflite_op("FLOOR"), native=True),
    "ceil": Function(lambda a, x: np.ceil(x), _onnx_op("Ceil"), _tflite_op("CEIL"), native=True),
    "round": Function(lambda a, x: np.round(x), _onnx_op("Round"), _tflite_op("ROUND"), native=True),
    "reciprocal": Function(lambda a, x: 1 / x, _onnx_op("Reciprocal"), _reciprocal_tflite, native=True),
}


def activated(activation: Activation | None, x: Values) -> Values:
    """The reference of a layer's fused activation, if any."""
    return x if activation is None else activation.reference(x)


def fused_onnx(
    form: OnnxForm,
    operator: str,
    name: str,
    inputs: list[str],
    output: str,
    activation: Activation | None,
    **options: Any,
) -> None:
    """Append an operator called `name`, followed by the activation its layer carries, if any."""
    if activation is None:
        form.op(operator, name, inputs, output, **options)
        return
    linear = form.op(operator, name, inputs, f"{name}.linear", **options)
    activation.onnx(form, f"{name}.{activation.function}", [linear], output)


def fused_tflite(
    form: TFLiteForm, operator: str, name: str, inputs: list[int], activation: Activation | None, **options: Any
) -> None:
    """Append a layer's operator and its activation: inside the operator if it is a relu, else after it."""
    if activation is None or activation.function == "relu":
        fusion = schema.ActivationFunctionType
        options["fusedActivationFunction"] = fusion.RELU if activation else fusion.NONE
        form.operator(operator, inputs, form.output(name), **options)
    else:
        linear = form.step(operator, f"{name}.linear", inputs, form.shapes[name], **options)
        activation.tflite(form, name, [linear])


def fused_native(form: NativeForm, name: str, activation: Activation | None) -> dict[str, Any]:
    """The program's entry of a layer's fused activation, if any."""
    return {} if activation is None else activation.native(form, f"{name}.{activation.function}")
