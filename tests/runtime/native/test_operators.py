"""Operators of the native engine by programs of their own, against their obvious form, over odd shapes."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from sparsr.runtime.errors import SparsrError
from tests.runtime.native.native_models import native_run
from tests.runtime.native.operator_programs import SETS, SIZES, check, conv_layer, convolved, image_of, layer, model_of


@pytest.mark.parametrize("instruction_set", SETS)
def test_slopes_of_any_size_by_channel(instruction_set):
    rng = np.random.default_rng(1)
    slopes = np.array([-1.61, 0, 1.9, 0.25, 1], np.float32)
    activation = {"function": "prelu", "slopes": "s"}
    model = model_of([layer("Activation", activation=activation)], {"s": slopes}, 5, instruction_set)
    for size in SIZES:
        image = image_of(rng, 5, *size)
        check(model, image, np.where(image < 0, slopes[None, :, None, None] * image, image))


@pytest.mark.parametrize("kernel", ["plain", "sparse", "dense", "winograd"])
@pytest.mark.parametrize("instruction_set", SETS)
def test_slopes_by_channel_in_every_store(instruction_set, kernel):
    rng = np.random.default_rng(2)
    weight = rng.normal(size=(13, 12, 3, 3)).astype(np.float32) * (rng.random((13, 12, 3, 3)) < 0.4)
    slopes = rng.uniform(-2, 2, 13).astype(np.float32)
    options, tensors = conv_layer(rng, weight, activation={"function": "prelu", "slopes": "s"})
    model = model_of([layer("Conv", **options)], {**tensors, "s": slopes}, 12, instruction_set)
    model.set_plan(json.dumps({"operations": [{"layer": "n0", "kernel": kernel}]}))
    for size in SIZES:
        image = image_of(rng, 12, *size)
        result = convolved(image, weight, tensors["b"], 1)
        check(model, image, np.where(result < 0, slopes[None, :, None, None] * result, result))


@pytest.mark.parametrize("instruction_set", SETS)
def test_slopes_by_channel_before_and_after_depth_to_space(instruction_set):
    rng = np.random.default_rng(3)
    weight = rng.normal(size=(12, 3, 3, 3)).astype(np.float32)
    before, slopes = rng.uniform(-2, 2, 12).astype(np.float32), np.array([-1, 0.5, 2], np.float32)
    options, tensors = conv_layer(rng, weight, activation={"function": "prelu", "slopes": "before"})
    activation = {"function": "prelu", "slopes": "s"}
    layers = [
        layer("Conv", **options),
        layer("DepthToSpace", (1,), "n1", block=2),
        layer("Activation", (2,), "n2", activation=activation),
    ]
    model = model_of(layers, {**tensors, "s": slopes, "before": before}, 3, instruction_set, scale=2)
    for height, width in SIZES:
        image = image_of(rng, 3, height, width)
        result = convolved(image, weight, tensors["b"], 1)
        result = np.where(result < 0, before[None, :, None, None] * result, result).reshape(1, 3, 2, 2, height, width)
        result = result.transpose(0, 1, 4, 2, 5, 3).reshape(1, 3, 2 * height, 2 * width)
        check(model, image, np.where(result < 0, slopes[None, :, None, None] * result, result))


@pytest.mark.parametrize("instruction_set", SETS)
def test_silu(instruction_set):
    rng = np.random.default_rng(4)
    model = model_of([layer("Activation", activation={"function": "silu"})], {}, 3, instruction_set)
    for size in SIZES:
        image = 8 * image_of(rng, 3, *size)
        check(model, image, image / (1 + np.exp(-image.astype(np.float64))))


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
@pytest.mark.parametrize("instruction_set", SETS)
def test_nearest_enlargement(instruction_set, factor):
    rng = np.random.default_rng(5)
    weight = rng.normal(size=(3, 3, 3, 3)).astype(np.float32)
    options, tensors = conv_layer(rng, weight)
    layers = [layer("UpsampleNearest", factor=factor), layer("Conv", (1,), "n1", **options)]
    model = model_of(layers, tensors, 3, instruction_set, scale=factor)
    for size in SIZES:
        image = image_of(rng, 3, *size)
        large = image.repeat(factor, 2).repeat(factor, 3)
        check(model, image, convolved(large, weight, tensors["b"], 1))


def test_unknown_kinds_are_refused_by_name():
    with pytest.raises(SparsrError, match="layers of kind Frobnicate are not known"):
        model_of([layer("Frobnicate")], {}, 3, "plain")
    with pytest.raises(SparsrError, match="the activation frobnicate is not known"):
        model_of([layer("Activation", activation={"function": "frobnicate"})], {}, 3, "plain")
    with pytest.raises(SparsrError, match="wrong number of values"):
        prelu = {"function": "prelu", "slopes": "s"}
        model_of([layer("Activation", activation=prelu)], {"s": np.zeros(2, np.float32)}, 3, "plain")


FUNCTIONS = {
    "gelu": lambda x: F.gelu(x),
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "mish": F.mish,
    "hardswish": F.hardswish,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "sin": torch.sin,
    "cos": torch.cos,
    "sign": torch.sign,
    "floor": torch.floor,
    "ceil": torch.ceil,
    "round": torch.round,
}


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("instruction_set", SETS)
def test_functions_against_torch_in_double_precision(instruction_set, function):
    """Over all values that matter: within 3e-7 of max(1, |x|), and the limits far out."""
    model = model_of([layer("Activation", activation={"function": function})], {}, 1, instruction_set)
    values = np.concatenate([np.linspace(-15, 15, 99 * 101 - 6), [-1e4, -100, -50, 50, 100, 1e4]]).astype(np.float32)
    image = values.reshape(1, 1, 101, 99)
    expected = FUNCTIONS[function](torch.from_numpy(image.astype(np.float64))).numpy()
    error = np.abs(native_run(model, image) - expected) / np.maximum(1, np.abs(image))
    assert error.max() < 3e-7


@pytest.mark.parametrize("instruction_set", SETS)
def test_clips(instruction_set):
    rng = np.random.default_rng(8)
    weight = rng.normal(size=(4, 3, 3, 3)).astype(np.float32)
    options, tensors = conv_layer(rng, weight, activation={"function": "clip", "low": -0.5, "high": 1.5})
    model = model_of([layer("Conv", **options)], tensors, 3, instruction_set)
    for size in SIZES:
        image = image_of(rng, 3, *size)
        check(model, image, np.clip(convolved(image, weight, tensors["b"], 1), -0.5, 1.5))


@pytest.mark.parametrize("padding", [(2, 0, 1, 3), (0, 4, 4, 0), (1, 1, 1, 1)])
@pytest.mark.parametrize("mode", ["edge", "reflect"])
@pytest.mark.parametrize("instruction_set", SETS)
def test_borders_before_and_after_a_convolution(instruction_set, mode, padding):
    """Tall images too, whose rows live in rings: what mirrors the last rows must still be there."""
    rng = np.random.default_rng(9)
    weight = rng.normal(size=(3, 3, 3, 3)).astype(np.float32)
    options, tensors = conv_layer(rng, weight)
    pad = {"edge": "PadEdge", "reflect": "PadReflect"}[mode]
    layers = [
        layer("Conv", **options),
        layer(pad, (1,), "n1", padding=list(padding)),
        layer("Conv", (2,), "n2", **options),
    ]
    model = model_of(layers, tensors, 3, instruction_set)
    top, left, bottom, right = padding
    for size in ((5, 5), (5, 33), (70, 9), (37, 16)):
        image = image_of(rng, 3, *size)
        once = convolved(image, weight, tensors["b"], 1)
        padded = np.pad(once, ((0, 0), (0, 0), (top, bottom), (left, right)), mode=mode)
        check(model, image, convolved(padded, weight, tensors["b"], 1))


def test_images_too_small_to_mirror_are_refused():
    model = model_of([layer("PadReflect", padding=[0, 3, 0, 0])], {}, 3, "plain")
    with pytest.raises(SparsrError, match="too small for the layer n0"):
        model.prepare(5, 3)


@pytest.mark.parametrize("kind", ["ChannelNorm", "InstanceNorm"])
@pytest.mark.parametrize("instruction_set", SETS)
def test_normalisations(instruction_set, kind):
    """Also of values far from 0, whose mean square is no way to their variance."""
    rng = np.random.default_rng(10)
    gain, shift = rng.normal(size=(2, 7)).astype(np.float32)
    options = {"gain": "g", "shift": "s", "epsilon": 1e-5}
    model = model_of([layer(kind, **options)], {"g": gain, "s": shift}, 7, instruction_set)
    axes = 1 if kind == "ChannelNorm" else (2, 3)
    for size in SIZES:
        image = image_of(rng, 7, *size) + np.float32(10)
        exact = image.astype(np.float64)
        centred = exact - exact.mean(axes, keepdims=True)
        single = centred / np.sqrt((centred**2).mean(axes, keepdims=True) + 1e-5)
        check(model, image, single * gain[None, :, None, None] + shift[None, :, None, None])


@pytest.mark.parametrize("instruction_set", SETS)
def test_largest_values_do_not_see_beyond_the_image(instruction_set):
    rng = np.random.default_rng(11)
    model = model_of([layer("GlobalMax")], {}, 3, instruction_set)
    for size in SIZES:
        image = -1 - np.abs(image_of(rng, 3, *size))
        np.testing.assert_array_equal(native_run(model, image), image.max((2, 3), keepdims=True))


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("instruction_set", SETS)
def test_rows_and_columns_become_one_value_each(instruction_set, axis):
    rng = np.random.default_rng(13)
    for kind, numbers in (("LineMean", np.mean), ("LineMax", np.max)):
        model = model_of(
            [layer(kind, axis=axis), layer("ResizeLike", (1, 0), "n1", mode="nearest")], {}, 3, instruction_set
        )
        for size in SIZES:
            image = -1 - np.abs(image_of(rng, 3, *size))
            lines = numbers(image.astype(np.float64), 2 + axis, keepdims=True)
            check(model, image, np.broadcast_to(lines, image.shape))


@pytest.mark.parametrize(("groups", "outputs"), [(6, 6), (6, 12), (3, 9), (2, 8)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("instruction_set", SETS)
def test_depthwise_and_grouped_convolutions(instruction_set, stride, groups, outputs):
    rng = np.random.default_rng(12)
    weight = rng.normal(size=(outputs, 6 // groups, 3, 3)).astype(np.float32)
    options, tensors = conv_layer(rng, weight)
    options |= {"groups": groups, "stride": stride}
    model = model_of([layer("Conv", **options)], tensors, 6, instruction_set)
    for size in SIZES:
        image = image_of(rng, 6, *size)
        tensor, whole, bias = (torch.from_numpy(array).double() for array in (image, weight, tensors["b"]))
        check(model, image, F.conv2d(tensor, whole, bias, stride, 1, groups=groups).numpy())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "Activation", "activation": {"function": "clip", "low": 1, "high": 0}}, "out of order"),
        ({"kind": "PadEdge", "padding": [1, 1]}, "not four numbers"),
        ({"kind": "PadReflect", "padding": [1, -1, 0, 0]}, "padding"),
        ({"kind": "ChannelNorm", "gain": "g", "shift": "g", "epsilon": 0}, "epsilon"),
    ],
)
def test_parameters_out_of_range_are_refused(options, message):
    with pytest.raises(SparsrError, match=message):
        model_of([{"name": "n0", "inputs": [0], **options}], {"g": np.zeros(3, np.float32)}, 3, "plain")


@pytest.mark.parametrize("instruction_set", SETS)
def test_parts_and_joins(instruction_set):
    layers = [
        layer("PadToMultiple", rows=6, columns=4),
        layer("Part", (1,), "right", axis=1, index=1, count=2),
        layer("Part", (1,), "left", axis=1, index=0, count=2),
        layer("Join", (2, 3), "swapped", axis=1),
        layer("Part", (4,), "middle", axis=0, index=1, count=3),
        layer("Join", (5, 5, 5), "thrice", axis=0),
        layer("CropLike", (6, 0), "cut"),
    ]
    model = model_of(layers, {}, 3, instruction_set)
    rng = np.random.default_rng(5)
    for height, width in SIZES:
        image = rng.random((1, 3, height, width), np.float32)
        whole = np.pad(image, [(0, 0)] * 2 + [(0, -height % 6), (0, -width % 4)], "edge")
        left, right = np.split(whole, 2, 3)
        middle = np.split(np.concatenate([right, left], 3), 3, 2)[1]
        expected = np.concatenate([middle] * 3, 2)[:, :, :height, :width]
        np.testing.assert_array_equal(native_run(model, image), expected)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([layer("Part", axis=2, index=0, count=2)], "axis"),
        ([layer("Part", axis=0, index=2, count=2)], "index"),
        ([layer("Part", axis=0, index=0, count=0)], "count"),
        ([layer("PadToMultiple", rows=0, columns=4)], "rows"),
        ([layer("PadToMultiple", rows=4, columns=1 << 20)], "columns"),
        ([layer("Part", axis=0, index=0, count=2)], "cannot cut 5 pixels into 2 equal parts"),
        (
            [layer("Part", name="half", axis=1, index=0, count=2), layer("Join", (0, 1), "joined", axis=0)],
            "joined",
        ),
    ],
)
def test_parts_that_are_none_are_refused(bad, message):
    with pytest.raises(SparsrError, match=message):
        native_run(model_of(bad, {}, 3, "plain"), np.zeros((1, 3, 5, 6), np.float32))
