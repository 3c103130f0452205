"""Channels last: as exporters of TensorFlow write networks, and as torch works around layer normalisation."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from sparsr.export.ir import reference
from sparsr.export.lower.from_onnx import lower_onnx
from sparsr.export.lower.onnx_file import checked_onnx
from sparsr.runtime.errors import SparsrError
from tests.export.graphs import random_image
from tests.export.onnx_models import integers, model, normal

FIRST, LAST, PADS = {"perm": [0, 3, 1, 2]}, {"perm": [0, 2, 3, 1]}, {"pads": [1] * 4}
NEAREST = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
IN, OUT = ("Transpose", ["x"], "f", FIRST), ("Transpose", ["d"], "y", LAST)
SHUFFLE = [("Conv", ["t", "w12", "b12"], "c", PADS), ("DepthToSpace", ["c"], "d", {"blocksize": 2}), OUT]
BACK = ("Transpose", ["r"], "t", FIRST)
TENSORFLOW = {
    "bias and activation": [
        IN, ("Conv", ["f", "w8"], "a", PADS), ("Transpose", ["a"], "n", LAST), ("Add", ["n", "b8"], "m", {}),
        ("PRelu", ["m", "slopes"], "r", {}), BACK, *SHUFFLE,
    ],
    "joins, means and products": [
        IN, ("Conv", ["f", "w8"], "a", PADS), ("Transpose", ["a"], "n", LAST),
        ("ReduceMean", ["n"], "m", {"axes": [1, 2]}),
        ("Mul", ["n", "m"], "g", {}), ("Concat", ["g", "n"], "k", {"axis": 3}), ("MatMul", ["k", "matrix"], "p", {}),
        ("Add", ["b8", "p"], "r", {}), BACK, *SHUFFLE,
    ],
    "borders, sizes and parts": [
        ("Pad", ["x", "pads"], "p", {"mode": "reflect"}), ("Transpose", ["p"], "f", FIRST),
        ("Conv", ["f", "w8"], "a", {}), ("Transpose", ["a"], "n", LAST), ("Resize", ["n", "", "scales"], "u", NEAREST),
        ("Transpose", ["u"], "s", FIRST), ("Conv", ["s", "w12of8"], "c", PADS), ("Transpose", ["c"], "l", LAST),
        ("Slice", ["l", "zero", "three", "axis3"], "y", {}),
    ],
    "a skip of the image": [
        ("Mul", ["x", "half"], "i", {}), ("Transpose", ["i"], "f", FIRST), ("Conv", ["f", "w8"], "t8", PADS),
        ("Conv", ["t8", "w12of8", "b12"], "c", PADS), ("DepthToSpace", ["c"], "d", {"blocksize": 2}),
        ("Transpose", ["d"], "e", LAST), ("Resize", ["f", "", "scales_first"], "u", {"mode": "linear"}),
        ("Transpose", ["u"], "v", LAST), ("Add", ["e", "v"], "y", {}),
    ],
}  # fmt: skip
WEIGHTS = {
    "w8": normal(8, 3, 3, 3), "b8": normal(8), "slopes": normal(1, 1, 8), "w12": normal(12, 8, 3, 3), "b12": normal(12),
    "matrix": normal(16, 8), "pads": integers(0, 1, 1, 0, 0, 1, 1, 0), "scales": np.float32([1, 2, 2, 1]),
    "w12of8": normal(12, 8, 3, 3), "zero": integers(0), "three": integers(3), "axis3": integers(3),
    "half": np.float32(0.5),
    "scales_first": np.float32([1, 1, 2, 2]), "gain": normal(8) + 1, "wide": normal(8, 16), "narrow": normal(16, 8),
}  # fmt: skip


def made(nodes, **options):
    used = {operand for _, inputs, _, _ in nodes for operand in inputs}
    return model(*nodes, weights={key: value for key, value in WEIGHTS.items() if key in used}, opset=13, **options)


@pytest.mark.parametrize("size", [(None, None), (24, 32)])
@pytest.mark.parametrize("name", TENSORFLOW)
def test_networks_with_channels_last(name, size):
    foreign = made(TENSORFLOW[name], last=True, size=size)
    plain = onnxruntime.InferenceSession(foreign.SerializeToString(), providers=["CPUExecutionProvider"])
    graph = lower_onnx(checked_onnx(foreign, name), name, name, None, 255.0)
    for height, width in [(9, 14), (12, 8)] if size == (None, None) else [size]:
        image = random_image(graph, height, width)
        (expected,) = plain.run(None, {"x": np.ascontiguousarray(image.transpose(0, 2, 3, 1))})
        limit = 2e-6 * np.abs(expected).max()
        np.testing.assert_allclose(
            reference.run(graph, image), expected.transpose(0, 3, 1, 2), rtol=1e-5, atol=limit, err_msg=name
        )


def test_torch_around_layer_norm():
    """ConvNeXt's block: a convolution, LayerNorm, two linear layers on the last axis, a factor a channel."""
    nodes = [
        ("Conv", ["x", "w8"], "a", PADS), ("Transpose", ["a"], "n", LAST),
        ("LayerNormalization", ["n", "gain", "b8"], "l", {"epsilon": 1e-6}), ("MatMul", ["l", "wide"], "m", {}),
        ("Relu", ["m"], "s", {}), ("MatMul", ["s", "narrow"], "o", {}), ("Mul", ["gain", "o"], "r", {}), BACK,
        ("Conv", ["t", "w12", "b12"], "c", PADS), ("DepthToSpace", ["c"], "y", {"blocksize": 2}),
    ]  # fmt: skip
    foreign = made(nodes)
    foreign.opset_import[0].version = 17
    session = onnxruntime.InferenceSession(foreign.SerializeToString(), providers=["CPUExecutionProvider"])
    graph = lower_onnx(checked_onnx(foreign, "net"), "net", "net", None, 255.0)
    image = random_image(graph, 9, 14)
    (expected,) = session.run(None, {"x": image})
    np.testing.assert_allclose(reference.run(graph, image), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_what_has_no_form_with_channels_first_is_named():
    nodes = [
        ("Conv", ["x", "w8"], "a", PADS), ("Transpose", ["a"], "n", LAST), ("LogSoftmax", ["n"], "r", {"axis": 1}),
        BACK, *SHUFFLE[:-1], ("Identity", ["d"], "y", {}),
    ]  # fmt: skip
    with pytest.raises(SparsrError, match=r"node r, operator LogSoftmax: .* channels last"):
        lower_onnx(checked_onnx(made(nodes), "net"), "net", "net", None, 1.0)
