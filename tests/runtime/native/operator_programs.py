"""Programs of single operators, and the sum that a convolution stands for."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import save

from sparsr.runtime.engines.native.load import NativeModel
from sparsr.runtime.errors import SparsrError
from tests.runtime.native.native_models import native_run

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
