"""SMSR's masked block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto

from sparsr.export.forms.native import NativeForm
from sparsr.export.forms.onnx import OnnxForm
from sparsr.export.forms.tflite import SAME, VALID, TFLiteForm, with_channels
from sparsr.export.ir.layer import BoolArray, Layer, Shape, Values, per_channel
from sparsr.export.ir.operators.conv import Conv
from sparsr.runtime.samples import FloatArray


@dataclass(frozen=True, eq=False)
class MaskedBlock(Layer):
    """SMSR's sparse-mask block: 3x3 convolutions that compute each pixel and channel only where masks ask for it.

    Inputs are features and logits (unimportant, important), as large as the features; a pixel is important where the
    second logit is larger, and nowhere without logits. Layer l computes its dense channels everywhere, from nothing but
    the dense channels of the layer before where the pixel is not important; its other channels are 0 there. A ReLU
    follows. All layers' results side by side go through one 1x1 convolution.

    weights: per layer [channels, channels, 3, 3], no bias; dense: bool [layers, channels];
    fuse_weight: [out, layers * channels]; fuse_bias: [out].
    """

    native_kind = "MaskedBlock"

    weights: tuple[FloatArray, ...]
    dense: BoolArray
    fuse_weight: FloatArray
    fuse_bias: FloatArray

    def output_shape(self, *inputs: Shape) -> Shape:
        """(out, height, width)."""
        return (len(self.fuse_bias), *inputs[0][1:])

    def reference(self, *inputs: Values) -> Values:
        """Layer by layer, everything computed and then chosen from."""
        x, *logits = inputs
        important = logits[0][:, 1:] > logits[0][:, :1] if logits else False
        dense_before = np.ones(self.dense.shape[1])
        results = []
        for weight, dense in zip(self.weights, self.dense, strict=True):
            conv = Conv(weight, np.zeros(len(weight), np.float32), padding=(1, 1, 1, 1))
            elsewhere = conv.reference(x * per_channel(dense_before)) * per_channel(dense)
            x = np.maximum(np.where(important, conv.reference(x), elsewhere), 0)
            dense_before = dense
            results.append(x)
        fuse = Conv(self.fuse_weight[:, :, None, None], self.fuse_bias)
        return fuse.reference(np.concatenate(results, axis=1))

    def onnx(self, form: OnnxForm, name: str, inputs: list[str], output: str) -> None:
        """Plain convolutions, and products with the mask."""
        source, logits = inputs
        mask, rest = _onnx_masks(form, name, logits)
        results = []
        for index, part in enumerate(plain_layers(self)):
            own = f"{name}.{index}"
            weight = form.constant(f"{name}.weight{index}", part.weight)
            whole = _onnx_conv(form, f"{own}.whole", source, weight)
            share = mask
            if part.everywhere.any():
                dense = form.constant(f"{own}.dense", part.everywhere.reshape(1, -1, 1, 1))
                share = form.inner("Max", f"{own}.share", [mask, dense])
            linear = form.inner("Mul", f"{own}.masked", [whole, share])
            if part.quiet is not None:
                kept = form.constant(f"{own}.kept", part.quiet[:, :, None, None])
                quiet_weight = form.inner("Mul", f"{own}.quiet_weight", [weight, kept])
                quiet = _onnx_conv(form, f"{own}.quiet", source, quiet_weight)
                linear = form.inner(
                    "Add", f"{own}.both", [linear, form.inner("Mul", f"{own}.elsewhere", [quiet, rest])]
                )
            source = form.inner("Relu", own, [linear])
            results.append(source)
        joined = form.inner("Concat", f"{name}.joined", results, axis=1)
        weight = form.constant(f"{name}.fuse_weight", self.fuse_weight[:, :, None, None])
        bias = form.constant(f"{name}.fuse_bias", self.fuse_bias)
        form.op("Conv", name, [joined, weight, bias], output, kernel_shape=[1, 1])

    def tflite(self, form: TFLiteForm, name: str, inputs: list[int]) -> None:
        """Plain convolutions, and products with the mask."""
        source, logits = inputs
        shapes = form.shapes_of(source)
        mask, rest = _tflite_masks(form, name, logits)
        results = []
        for index, part in enumerate(plain_layers(self)):
            own = f"{name}.{index}"
            whole = _tflite_conv(form, f"{own}.whole", source, part.weight)
            share = mask
            if part.everywhere.any():
                dense = form.constant(f"{own}.dense", part.everywhere)
                share = form.step("MAXIMUM", f"{own}.share", [mask, dense], shapes)
            linear = form.step("MUL", f"{own}.masked", [whole, share])
            if part.quiet is not None:
                quiet = _tflite_conv(form, f"{own}.quiet", source, part.weight * part.quiet[:, :, None, None])
                linear = form.step("ADD", f"{own}.both", [linear, form.step("MUL", f"{own}.elsewhere", [quiet, rest])])
            source = form.step("RELU", own, [linear])
            results.append(source)
        wide = with_channels(shapes, self.fuse_weight.shape[1])
        joined = form.step("CONCATENATION", f"{name}.joined", results, wide, axis=3)
        form.conv(name, joined, self.fuse_weight[:, :, None, None], self.fuse_bias, form.output(name), VALID)

    def native(self, form: NativeForm, name: str) -> dict[str, Any]:
        """Every layer's weights, the numbers of its dense channels, and the 1x1 convolution."""
        weights = {f"weight{part}": weight for part, weight in enumerate(self.weights)}
        entry: dict[str, Any] = {"weights": list(form.stored(name, **weights).values())}
        entry["dense"] = [np.flatnonzero(dense).tolist() for dense in self.dense]
        return entry | form.stored(name, fuse_weight=self.fuse_weight[:, :, None, None], fuse_bias=self.fuse_bias)

    @property
    def macs_per_pixel(self) -> int:
        """As if the pixel were important."""
        return sum(weight.size for weight in self.weights) + self.fuse_weight.size


@dataclass(frozen=True)
class PlainLayer:
    """One layer in terms of plain convolutions: relu(max(mask, everywhere) * conv(x, weight)), or with `quiet`
    relu(mask * conv(x, weight) + (1 - mask) * conv(x, weight * quiet)). The mask is 1 at important pixels and else 0.

    weight: [channels, channels, 3, 3]; everywhere: bool [channels]; quiet: bool [channels, channels].
    """

    weight: FloatArray
    everywhere: BoolArray
    quiet: BoolArray | None


def plain_layers(block: MaskedBlock) -> list[PlainLayer]:
    """The block's layers. A second convolution is needed only where dense channels read a part of their inputs."""
    layers = []
    before = np.ones(block.dense.shape[1], bool)
    for weight, dense in zip(block.weights, block.dense, strict=True):
        quiet = dense[:, None] & before if dense.any() and before.any() and not before.all() else None
        layers.append(PlainLayer(weight, dense & before.all(), quiet))
        before = dense
    return layers


def _onnx_masks(form: OnnxForm, name: str, logits: str) -> tuple[str, str]:
    """1 at important pixels and 0 elsewhere; and the other way round."""
    halves = [
        form.inner("Slice", f"{name}.logit{i}", [logits, *form.bounds(f"{name}.logit{i}", [i], [i + 1], [1])])
        for i in range(2)
    ]
    larger = form.inner("Greater", f"{name}.important", halves[::-1])
    mask = form.inner("Cast", f"{name}.mask", [larger], to=TensorProto.FLOAT)
    return mask, form.inner("Sub", f"{name}.rest", [form.constant(f"{name}.one", [1.0]), mask])


def _onnx_conv(form: OnnxForm, name: str, source: str, weight: str) -> str:
    """A 3x3 convolution without bias."""
    return form.inner("Conv", name, [source, weight], kernel_shape=[3, 3], pads=[1] * 4)


def _tflite_masks(form: TFLiteForm, name: str, logits: int) -> tuple[int, int]:
    """1 at important pixels and 0 elsewhere; and the other way round."""
    shapes = with_channels(form.shapes_of(logits), 1)
    halves = [
        form.strided_slice(f"{name}.logit{i}", logits, {3: i}, {3: i + 1}, form.feature_map(f"{name}.logit{i}", shapes))
        for i in range(2)
    ]
    larger = form.operator("GREATER", halves[::-1], form.feature_map(f"{name}.important", shapes, np.bool_))
    mask = form.cast(larger, form.feature_map(f"{name}.mask", shapes))
    return mask, form.step("SUB", f"{name}.rest", [form.constant(f"{name}.one", [1.0]), mask], shapes)


def _tflite_conv(form: TFLiteForm, name: str, source: int, weight: FloatArray) -> int:
    """A 3x3 convolution without bias."""
    target = form.feature_map(name, form.shapes_of(source))
    return form.conv(name, source, weight, np.zeros(len(weight)), target, SAME)
