"""The rules that lower ONNX operators which treat every value by itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sparsr.export.ir.layers import Activation, Mul
from sparsr.export.lower import phases
from sparsr.export.lower.onnx_norms import affine, per_channel
from sparsr.export.lower.onnx_site import Site

Rule = Callable[[Site], str]
"""Appends layers and returns the tensor of the node's result."""
UNBOUNDED = 3e38  # a clip without a bound


def activation(function: str) -> Rule:
    """One of the functions without parameters."""
    return lambda site: site.emit(Activation(function), [site.map()])


def leaky_relu(site: Site) -> str:
    """LeakyRelu: its alpha is 0.01 if not given."""
    return site.emit(Activation("leaky_relu", float(site.attributes.get("alpha", 0.01))), [site.map()])


def prelu(site: Site) -> str:
    """PRelu with one slope, or one for each channel."""
    slopes = per_channel(site, site.weights(1, "slope"))
    return site.emit(Activation("prelu", slopes=slopes), [site.map()])


def clip(site: Site) -> str:
    """Clip; without an upper bound and from 0 it is a relu."""
    low, high = (site.setting(name, index) for name, index in (("min", 1), ("max", 2)))
    low = -UNBOUNDED if low is None else max(float(low), -UNBOUNDED)
    high = UNBOUNDED if high is None else min(float(high), UNBOUNDED)
    if (low, high) == (-UNBOUNDED, UNBOUNDED):
        return site.map()
    if (low, high) == (0, UNBOUNDED):
        return site.emit(Activation("relu"), [site.map()])
    return site.emit(Activation("clip", low=low, high=high), [site.map()])


def hard_sigmoid(site: Site) -> str:
    """HardSigmoid: clip(alpha x + beta, 0, 1)."""
    alpha, beta = float(site.attributes.get("alpha", 0.2)), float(site.attributes.get("beta", 0.5))
    line = affine(site, site.map(), alpha, beta, ".line")
    return site.emit(Activation("clip", low=0.0, high=1.0), [line])


def elu(site: Site) -> str:
    """Elu: negative values become alpha (e^x - 1)."""
    return _elu(site, float(site.attributes.get("alpha", 1.0)), 1)


def selu(site: Site) -> str:
    """Selu: gamma times an Elu; its own numbers are those of Klambauer et al., 2017."""
    alpha = float(site.attributes.get("alpha", 1.6732632423543772))
    return _elu(site, alpha, float(site.attributes.get("gamma", 1.0507009873554805)))


def _elu(site: Site, alpha: float, gamma: float) -> str:
    """With the alpha 1, then negative values times alpha, then all times gamma."""
    steps: phases.Steps = [(".elu", Activation("elu"))]
    if alpha != 1:
        steps.append((".slope", Activation("leaky_relu", alpha)))
    if gamma != 1:
        steps.append((".gain", phases.scaled(site.probe.channels(site.output), gamma)))
    return site.chain([*steps[:-1], ("", steps[-1][1])], site.map())


def celu(site: Site) -> str:
    """Celu: alpha times the Elu of x / alpha."""
    alpha = float(site.attributes.get("alpha", 1.0))
    inner = site.emit(Activation("elu"), [affine(site, site.map(), 1 / alpha, 0, ".inner")], ".elu")
    return affine(site, inner, alpha, 0)


def neg(site: Site) -> str:
    """Neg."""
    return affine(site, site.map(), -1, 0)


def absolute(site: Site) -> str:
    """Abs: negative values times -1."""
    slopes = np.full(site.probe.channels(site.output), -1, np.float32)
    return site.emit(Activation("prelu", slopes=slopes), [site.map()])


def power(site: Site) -> str:
    """Pow with a constant exponent; any but whole and half ones take values above 0, as their logarithms do."""
    exponents = site.weights(1, "exponent").reshape(-1)
    exponent = float(exponents[0])
    site.require(bool((exponents == exponent).all()), "its exponents differ")
    source, size = site.map(), abs(exponent)
    if exponent == 1:
        return source
    if size in (0.5, 1, 2, 3, 4):
        inner = ".power" if exponent < 0 else ""
        result = source
        if size == 0.5:
            result = site.emit(Activation("sqrt"), [source], inner)
        for number in range(2, int(size) + 1):
            result = site.emit(Mul(), [result, source], inner if number == size else f".{number}")
        return site.emit(Activation("reciprocal"), [result]) if exponent < 0 else result
    logarithm = site.emit(Activation("log"), [source], ".log")
    return site.emit(Activation("exp"), [affine(site, logarithm, exponent, 0, ".scaled")])


def gelu(site: Site) -> str:
    """Gelu, exact or by a hyperbolic tangent."""
    approximate = site.attributes.get("approximate", b"none") == b"tanh"
    return site.emit(Activation("gelu_tanh" if approximate else "gelu"), [site.map()])
