"""Operators of the native engine by programs of their own, against their obvious form, over odd shapes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import save

from sparsr.runtime.engines.native.load import NativeModel
from sparsr.runtime.errors import SparsrError
from tests.runtime.native.native_models import kernels_of, native_run

SETS = ("plain", "base", "avx2", "avx512", "neon")
SIZES = ((1, 1), (5, 3), (7, 33), (4, 97))


def model_of(layers, tensors, channels, instruction_set, scale=1):
    program = {
        "input_channels": channels,
        "scale": scale,
        "minimum_size": 1,
        "value_range": 1.0,
        "layers": layers,
        "output": len(layers),
    }
    content = save(
        {name: np.ascontiguousarray(value) for name, value in tensors.items()}, {"sparsr.program": json.dumps(program)}
    )
    try:
        return NativeModel(content, instruction_set)
    except SparsrError as error:
        if "instruction set" in str(error):
            pytest.skip(f"this processor has no {instruction_set}")
        raise


def layer(kind, inputs=(0,), name="n0", **options):
    return {"kind": kind, "name": name, "inputs": list(inputs), **options}


def conv_layer(rng, weight, **options):
    outputs, _, side, _ = weight.shape
    tensors = {"w": weight, "b": rng.normal(size=outputs).astype(np.float32)}
    padding = [side // 2] * 4
    return {"stride": 1, "groups": 1, "padding": padding, "weight": "w", "bias": "b", **options}, tensors


def convolved(image, weight, bias, stride):
    side = weight.shape[2]
    padded = np.pad(image.astype(np.float64), ((0, 0), (0, 0), (side // 2,) * 2, (side // 2,) * 2))
    height, width = ((size - 1) // stride + 1 for size in image.shape[2:])
    result = np.zeros((1, len(weight), height, width)) + bias[None, :, None, None]
    for dy in range(side):
        for dx in range(side):
            seen = padded[
                :, :, dy : dy + (height - 1) * stride + 1 : stride, dx : dx + (width - 1) * stride + 1 : stride
            ]
            result += np.einsum("oc,nchw->nohw", weight[:, :, dy, dx].astype(np.float64), seen)
    return result


def image_of(rng, channels, height, width):
    return rng.normal(size=(1, channels, height, width)).astype(np.float32)


def check(model, image, expected):
    np.testing.assert_allclose(native_run(model, image), expected, rtol=0, atol=2e-5 * max(1, np.abs(expected).max()))


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


@pytest.mark.parametrize("outputs", [4, 12])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("shared", [2, 4])
@pytest.mark.parametrize("instruction_set", SETS[1:])
def test_patterns_shared_by_outputs(instruction_set, shared, stride, outputs):
    rng = np.random.default_rng(6)
    kept = (rng.random((outputs // shared, 10, 3, 3)) < 0.3).repeat(shared, 0)
    weight = np.where(kept, rng.uniform(0.5, 1, kept.shape), 0).astype(np.float32)
    options, tensors = conv_layer(rng, weight, activation={"function": "relu"})
    options["stride"] = stride
    model = model_of([layer("Conv", **options)], tensors, 10, instruction_set)
    model.set_plan(json.dumps({"operations": [{"layer": "n0", "kernel": "shared"}]}))
    for size in ((1, 1), (6, 4), (9, 34), (6, 223)):
        image = image_of(rng, 10, *size)
        check(model, image, np.maximum(convolved(image, weight, tensors["b"], stride), 0))
        if stride == 1:
            assert kernels_of(model)["n0"] == "shared"


def test_unknown_kinds_are_refused_by_name():
    with pytest.raises(SparsrError, match="layers of kind Frobnicate are not known"):
        model_of([layer("Frobnicate")], {}, 3, "plain")
    with pytest.raises(SparsrError, match="the activation frobnicate is not known"):
        model_of([layer("Activation", activation={"function": "frobnicate"})], {}, 3, "plain")
    with pytest.raises(SparsrError, match="wrong number of values"):
        prelu = {"function": "prelu", "slopes": "s"}
        model_of([layer("Activation", activation=prelu)], {"s": np.zeros(2, np.float32)}, 3, "plain")
