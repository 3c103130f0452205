"""Networks from ONNX files: the public ones against their authors' outputs, operators against ONNX Runtime."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from sparsr.export.ir import reference
from sparsr.export.lower.from_onnx import lower_onnx
from sparsr.export.lower.onnx_file import checked_onnx, open_onnx
from sparsr.export.lower.ranges import on_luma
from sparsr.export.passes import optimise
from sparsr.export.writers.onnx import write_onnx
from sparsr.export.writers.tflite import write_tflite
from sparsr.runtime.engines.registry import load_engine
from sparsr.runtime.errors import SparsrError
from tests.export.graphs import random_image
from tests.export.onnx_models import integers, model, normal

FOREIGN = Path(os.environ.get("SPARSR_DATA", Path(__file__).parents[3] / "shared/data")) / "foreign"
PUBLIC = {
    "dncnn_25": ("DnCNN_25", 1e-3),
    "realesr-animevideov3_x4": ("realesr-animevideov3_x4", 1e-3),
    "team00_SPAN_x4": ("NTIRE2026_team00_SPAN_x4", 3e-3),
}


def public(name):
    path = FOREIGN / "converted" / f"{name}.onnx"
    if not path.exists():
        pytest.skip("the public networks are not here")
    return optimise(lower_onnx(open_onnx(path), name, name, None, 1.0))[0]


def references(name):
    stored = np.load(FOREIGN / "reference_outputs" / f"{PUBLIC[name][0]}.npz")
    for tag in ("c32", "c29x37"):
        pair = stored[f"{tag}_lr"], stored[f"{tag}_sr"]
        yield tuple(np.ascontiguousarray(array.transpose(2, 0, 1)[None], np.float32) for array in pair)


def levels(values):
    return np.floor(np.clip(values, 0, 255) + 0.5)


def check_reference(run, name):
    for image, expected in references(name):
        result = run(image)
        assert np.abs(result - expected).max() < PUBLIC[name][1]
        off = np.abs(levels(result) - levels(expected))
        assert off.max() <= 1 and (off == 0).mean() >= 0.999


@pytest.mark.parametrize("name", PUBLIC)
def test_public_networks_agree_with_their_authors_outputs(name):
    graph = public(name)
    check_reference(lambda image: reference.run(graph, image), name)
    check_reference(load_engine("ort", write_onnx(graph), 1).run, name)
    tflite = load_engine("litert", write_tflite(graph), 1)
    check_reference(lambda image: tflite.run(image.transpose(0, 2, 3, 1).copy()).transpose(0, 3, 1, 2), name)


def test_a_network_for_luma_takes_rgb_and_leaves_grey_grey():
    graph = on_luma(public("dncnn_25"))
    for image, expected in references("dncnn_25"):
        result = reference.run(graph, np.repeat(image, 3, 1))
        np.testing.assert_allclose(result, np.repeat(expected, 3, 1), atol=1e-3)


W = normal(3, 3, 3, 3)
PADS = {"pads": [1] * 4}
CUT = ("Slice", ["a", "one2", "end", "hw"], "y", {})
FLOOR = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
CORNERS = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
SINGLE = {
    "add constant": [("Add", ["x", "c"], "y", {})],
    "constant minus": [("Sub", ["c", "x"], "y", {})],
    "minus": [("Conv", ["x", "w"], "a", PADS), ("Sub", ["x", "a"], "y", {})],
    "divide": [("Div", ["x", "c"], "y", {})],
    "square": [("Pow", ["x", "two"], "y", {})],
    "negative": [("Neg", ["x"], "y", {})],
    "prelu": [("PRelu", ["x", "slopes"], "y", {})],
    "clip": [("Clip", ["x", "low", "high"], "y", {})],
    "relu by clip": [("Clip", ["x", "low"], "y", {})],
    "tanh": [("Tanh", ["x"], "y", {})],
    "hard sigmoid": [("HardSigmoid", ["x"], "y", {"alpha": 0.3})],
    "hard swish": [("HardSwish", ["x"], "y", {})],
    "elu": [("Sub", ["x", "c"], "a", {}), ("Elu", ["a"], "y", {"alpha": 0.7})],
    "selu": [("Sub", ["x", "c"], "a", {}), ("Selu", ["a"], "y", {})],
    "celu": [("Sub", ["x", "c"], "a", {}), ("Celu", ["a"], "y", {"alpha": 0.4})],
    "softplus": [("Sub", ["x", "c"], "a", {}), ("Softplus", ["a"], "y", {})],
    "softsign": [("Sub", ["x", "c"], "a", {}), ("Softsign", ["a"], "y", {})],
    "exponential": [("Mul", ["x", "tiny"], "a", {}), ("Exp", ["a"], "y", {})],
    "logarithm": [("Add", ["x", "gain4"], "a", {}), ("Log", ["a"], "y", {})],
    "root": [("Sqrt", ["x"], "y", {})],
    "reciprocal": [("Add", ["x", "gain4"], "a", {}), ("Reciprocal", ["a"], "y", {})],
    "cube": [("Mul", ["x", "tiny"], "a", {}), ("Pow", ["a", "three"], "y", {})],
    "root by power": [("Pow", ["x", "high5"], "y", {})],
    "inverse square": [("Add", ["x", "gain4"], "a", {}), ("Pow", ["a", "minus2"], "y", {})],
    "any power": [("Add", ["x", "gain4"], "a", {}), ("Pow", ["a", "high"], "y", {})],
    "divided by a map": [
        ("Conv", ["x", "w"], "a", PADS),
        ("Mul", ["a", "tiny"], "s", {}),
        ("Exp", ["s"], "b", {}),
        ("Div", ["x", "b"], "y", {}),
    ],
    "divided by a channel": [("ReduceL2", ["x"], "a", {"axes": [1]}), ("Div", ["x", "a"], "y", {})],
    "divided by a pixel": [("GlobalMaxPool", ["x"], "a", {}), ("Div", ["x", "a"], "y", {})],
    "a constant divided": [("Add", ["x", "gain4"], "a", {}), ("Div", ["c", "a"], "y", {})],
    "shares of channels": [("Mul", ["x", "tiny"], "a", {}), ("Softmax", ["a"], "y", {"axis": 1})],
    "root mean square": [
        ("ReduceSumSquare", ["x"], "a", {"axes": [1]}),
        ("Sqrt", ["a"], "b", {}),
        ("Add", ["b", "high"], "d", {}),
        ("Div", ["x", "d"], "y", {}),
    ],
    "sum of sizes": [
        ("Sub", ["x", "c"], "a", {}),
        ("ReduceL1", ["a"], "b", {"axes": [1]}),
        ("Mul", ["x", "b"], "y", {}),
    ],
    "mean of everything": [("ReduceMean", ["x"], "a", {"axes": [1, 2, 3]}), ("Mul", ["x", "a"], "y", {})],
    "rows joined": [
        ("Concat", ["x", "x"], "a", {"axis": 2}),
        ("Concat", ["a", "a"], "b", {"axis": -1}),
        ("Conv", ["b", "w"], "y", PADS),
    ],
    "corners aligned": [("Resize", ["x", "", "scales"], "y", CORNERS)],
    "corners aligned, back to size": [
        ("Conv", ["x", "w"], "a", {"strides": [2, 2]}),
        ("Shape", ["x"], "size", {}),
        ("Resize", ["a", "", "", "size"], "y", CORNERS),
    ],
    "nearest, back to size": [
        ("Conv", ["x", "w"], "a", {"strides": [2, 2]}),
        ("Shape", ["x"], "size", {}),
        ("Resize", ["a", "", "", "size"], "y", FLOOR),
    ],
    "batch norm": [("BatchNormalization", ["x", "gain", "c3", "c3", "gain"], "y", {})],
    "dilated": [("Conv", ["x", "w"], "y", {"pads": [2] * 4, "dilations": [2, 2]})],
    "automatic padding": [("Conv", ["x", "even"], "y", {"auto_pad": "SAME_UPPER"})],
    "lower padding": [("Conv", ["x", "even"], "y", {"auto_pad": "SAME_LOWER"})],
    "depthwise": [("Conv", ["x", "depth"], "y", {"group": 3, **PADS})],
    "transposed": [("ConvTranspose", ["x", "up"], "y", {"strides": [2, 2], "pads": [1] * 4})],
    "transposed, cut": [
        ("ConvTranspose", ["x", "up"], "a", {"strides": [2, 2]}),
        ("Slice", ["a", "one2", "end", "hw"], "y", {}),
    ],
    "nearest": [
        (
            "Resize",
            ["x", "", "scales"],
            "y",
            {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"},
        )
    ],
    "bilinear": [("Resize", ["x", "", "scales"], "y", {"mode": "linear"})],
    "cubic": [("Resize", ["x", "", "scales"], "y", {"mode": "cubic"})],
    "shuffle": [("Conv", ["x", "wide"], "a", {}), ("DepthToSpace", ["a"], "y", {"blocksize": 2, "mode": "CRD"})],
    "depth first": [("Conv", ["x", "wide"], "a", {}), ("DepthToSpace", ["a"], "y", {"blocksize": 2})],
    "reflect": [("Pad", ["x", "pads"], "a", {"mode": "reflect"}), ("Conv", ["a", "w"], "y", {})],
    "edge": [("Pad", ["x", "pads"], "a", {"mode": "edge"}), ("Conv", ["a", "w"], "y", {})],
    "zeros": [("Pad", ["x", "pads"], "a", {}), ("Conv", ["a", "w"], "y", {})],
    "crop": [("Conv", ["x", "w"], "a", {"pads": [2] * 4}), CUT],
    "squeeze": [("GlobalAveragePool", ["x"], "a", {}), ("Sigmoid", ["a"], "b", {}), ("Mul", ["b", "x"], "y", {})],
    "one gate for all": [("ReduceMean", ["x"], "a", {"axes": [1]}), ("Mul", ["x", "a"], "y", {})],
    "split": [("Split", ["x", "parts"], "", {})],
    "back to size": [
        ("Conv", ["x", "w"], "a", {"strides": [2, 2]}),
        ("Shape", ["x"], "size", {}),
        ("Resize", ["a", "", "", "size"], "y", {"mode": "linear"}),
    ],
    "floored sizes": [
        ("MaxPool", ["x"], "a", {"kernel_shape": [3, 3], "strides": [2, 2]}),
        ("Shape", ["x"], "size", {}),
        ("Gather", ["size", "hw"], "pixels", {}),
        ("Shape", ["a"], "small", {}),
        ("Gather", ["small", "nc"], "first", {}),
        ("Concat", ["first", "pixels"], "target", {"axis": 0}),
        ("Resize", ["a", "", "", "target"], "y", {"mode": "linear"}),
    ],
}
WEIGHTS = {
    "w": W, "even": normal(3, 3, 4, 2), "depth": normal(3, 1, 3, 3), "up": normal(3, 3, 4, 4),
    "wide": normal(12, 3, 1, 1),
    "c": normal(1, 3, 1, 1) + 1, "c3": normal(3), "gain": np.abs(normal(3)) + 1, "slopes": normal(3, 1, 1) * 3,
    "two": np.float32(2), "low": np.float32(0), "high": np.float32(0.6), "scales": np.float32([1, 1, 2, 2]),
    "pads": integers(0, 0, 1, 1, 0, 0, 1, 1), "one2": integers(1, 1), "end": integers(-1, -1), "hw": integers(2, 3),
    "nc": integers(0, 1), "tiny": np.float32(0.01), "gain4": np.float32(4), "three": np.float32(3),
    "high5": np.float32(0.5), "minus2": np.float32(-2), "parts": integers(1, 2),
}  # fmt: skip


def made(name):
    nodes = SINGLE[name]
    if name == "split":
        result = model(("Identity", ["x"], "y", {}))
        del result.graph.node[:]
        result.graph.node.append(helper.make_node("Split", ["x", "parts"], ["a", "b"], axis=1))
        result.graph.node.append(helper.make_node("Concat", ["b", "a"], ["y"], axis=1))
        result.graph.initializer.append(numpy_helper.from_array(WEIGHTS["parts"], "parts"))
        return result
    used = {operand for _, inputs, _, _ in nodes for operand in inputs}
    return model(*nodes, weights={key: value for key, value in WEIGHTS.items() if key in used})


@pytest.mark.parametrize("name", SINGLE)
def test_every_operator_computes_what_onnx_runtime_does(name):
    foreign = made(name)
    session = onnxruntime.InferenceSession(foreign.SerializeToString(), providers=["CPUExecutionProvider"])
    lowered = lower_onnx(checked_onnx(foreign, name), name, name, None, 255.0)
    graph, _ = optimise(lowered)
    for height, width in ((7, 10), (12, 12), (9, 5)):
        image = random_image(graph, height, width)
        (expected,) = session.run(None, {"x": image})
        limit = 1e-6 * max(1, np.abs(expected).max())
        for found in (lowered, graph):
            np.testing.assert_allclose(reference.run(found, image), expected, rtol=1e-5, atol=limit)


def test_a_result_without_a_shape_is_read():
    foreign = model(("Conv", ["x", "w"], "y", PADS), weights={"w": W})
    foreign.graph.output[0].type.tensor_type.ClearField("shape")
    assert lower_onnx(checked_onnx(foreign, "net"), "net", "net", None, 255.0).scale == 1


def test_a_fixed_size_is_freed():
    foreign = model(("Conv", ["x", "w"], "y", PADS), weights={"w": W}, size=(24, 32))
    graph = lower_onnx(checked_onnx(foreign, "net"), "net", "net", None, 255.0)
    assert reference.run(graph, random_image(graph, 9, 40)).shape == (1, 3, 9, 40)


GATED = [("GlobalAveragePool", ["x"], "a", {}), ("Conv", ["x", "a"], "b", {}), ("Mul", ["x", "b"], "y", {})]
REFUSED = {
    "opset": (lambda: model(("Relu", ["x"], "y", {}), opset=8), "opset 8"),
    "domain": (lambda: model(("Relu", ["x"], "y", {"domain": "other"})), "domain other"),
    "operator": (lambda: model(("Erf", ["x"], "y", {})), "node y, operator Erf: there is no layer"),
    "int8": (lambda: model(("QuantizeLinear", ["x", "s"], "a", {}), weights={"s": np.float32(1)}), "quantised"),
    "two results": (lambda: model(("Relu", ["x"], "y", {}), ("Neg", ["x"], "z", {}), outputs=("y", "z")), "gives 2"),
    "cycle": (lambda: model(("Add", ["x", "b"], "y", {}), ("Relu", ["y"], "b", {})), "not a valid ONNX model"),
    "nan": (lambda: model(("Conv", ["x", "w"], "y", PADS), weights={"w": W * np.nan}), "w holds values"),
    "channels": (lambda: model(("Relu", ["x"], "y", {}), channels=4), "takes 1 x 4"),
    "half size": (lambda: model(("MaxPool", ["x"], "y", {"kernel_shape": [2, 2], "strides": [2, 2]})), "whole number"),
    "strides": (lambda: model(("Conv", ["x", "w"], "y", {"strides": [1, 2]}), weights={"w": W}), "whole number"),
    "weights by image": (lambda: model(*GATED), "node b, operator Conv: its weight depends on the image"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_exported_is_refused_by_name(name):
    make, message = REFUSED[name]
    with pytest.raises(SparsrError, match=message):
        lower_onnx(checked_onnx(make(), "net.onnx"), "net", "net.onnx", None, 1.0)


def test_a_wrong_scale_is_refused():
    with pytest.raises(SparsrError, match="enlarges x2, not x3"):
        lower_onnx(checked_onnx(made("nearest"), "net.onnx"), "net", "net.onnx", 3, 1.0)


def test_half_precision_weights_are_read_as_float32():
    foreign = made("dilated")
    weight = foreign.graph.initializer[0]
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float16), weight.name))
    for info in (*foreign.graph.input, *foreign.graph.output):
        info.type.tensor_type.elem_type = TensorProto.FLOAT16
    assert lower_onnx(checked_onnx(foreign, "net"), "net", "net", None, 1.0).scale == 1
