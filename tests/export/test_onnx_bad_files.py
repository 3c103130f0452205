"""ONNX files that are damaged, hostile or of no kind that is read: refused in a sentence, and nothing of them runs."""

from __future__ import annotations

import itertools

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from sparsr.export.exporter import export_model
from sparsr.export.lower.from_onnx import lower_onnx
from sparsr.export.lower.onnx_file import checked_onnx, open_onnx
from sparsr.runtime.errors import SparsrError
from tests.export.onnx_models import integers, model, normal

W = normal(3, 3, 3, 3)
PADS = {"pads": [1] * 4}
FLOOR = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}


def dilated():
    return model(("Conv", ["x", "w"], "y", {"pads": [2] * 4, "dilations": [2, 2]}), weights={"w": W})


def enlarged():
    return model(("Resize", ["x", "", "s"], "y", FLOOR), weights={"s": np.float32([1, 1, 2, 2])})


def test_loops_are_refused_unrun():
    body = helper.make_graph([], "body", [], [])
    loop = model(("Loop", ["", "", "x"], "y", {"body": body}))
    with pytest.raises(SparsrError, match="control flow"):
        checked_onnx(loop, "net.onnx")


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/passwd", ""])
def test_weights_outside_the_folder_are_refused(tmp_path, location):
    onnx.save(external(location), tmp_path / "net.onnx")
    with pytest.raises(SparsrError, match="outside the model's folder"):
        open_onnx(tmp_path / "net.onnx")


def test_weights_beside_the_model_are_read(tmp_path):
    onnx.save(dilated(), tmp_path / "net.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    graph = lower_onnx(open_onnx(tmp_path / "net.onnx"), "net", "net", None, 255.0)
    assert graph.scale == 1


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x07" * 50])
def test_damaged_files_are_refused(tmp_path, content):
    (tmp_path / "net.onnx").write_bytes(content)
    with pytest.raises(SparsrError):
        open_onnx(tmp_path / "net.onnx")


def branch():
    return helper.make_graph([], "branch", [], [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)])


def claiming(dims):
    """A weight that says it has so many values and holds four bytes."""
    foreign = dilated()
    tensor = foreign.graph.initializer[0]
    tensor.ClearField("dims")
    tensor.dims.extend(dims)
    tensor.raw_data = b"1234"
    return foreign


ZEROS = [("ConstantOfShape", ["huge"], "a", {}), ("ReduceMean", ["a"], "b", {}), ("Add", ["x", "b"], "y", {})]
COUNTS = [
    ("Range", ["a", "b", "d"], "r", {}),
    ("Cast", ["r"], "f", {"to": 1}),
    ("ReduceMean", ["f"], "m", {}),
    ("Add", ["x", "m"], "y", {}),
]
BORDERS = integers(0, 0, 100_000, 100_000, 0, 0, 100_000, 100_000)
BAD = {
    "if": (lambda: model(("If", ["c"], "y", {"then_branch": branch(), "else_branch": branch()})), "control flow"),
    "scan": (lambda: model(("Scan", ["x"], "y", {"body": branch(), "num_scan_inputs": 1})), "control flow"),
    "two gigabytes claimed": (lambda: claiming([1 << 29, 1]), "values of w are damaged"),
    "more than any memory claimed": (lambda: claiming([1 << 40, 1 << 20]), "values of w are damaged"),
    "a negative size": (lambda: claiming([-1, 3]), "w"),
    "zeros without end": (lambda: model(*ZEROS, weights={"huge": integers(1 << 20, 1 << 20)}), "more than 2 GB"),
    "cycle": (lambda: model(("Add", ["x", "b"], "y", {}), ("Relu", ["y"], "b", {})), "not a valid ONNX model"),
    "a range without end": (
        lambda: model(*COUNTS, weights={"a": np.int64(0), "b": np.int64(10**11), "d": np.int64(1)}),
        r"operator Range: it counts from 0 to 1e.11",
    ),
    "a huge enlargement": (
        lambda: model(("Resize", ["x", "", "s"], "y", FLOOR), weights={"s": np.float32([1, 1, 3000, 3000])}),
        "more than 2 GB",
    ),
    "huge borders": (lambda: model(("Pad", ["x", "p"], "y", {}), weights={"p": BORDERS}), "more than 2 GB"),
    "a name that is no text": (lambda: damaged_name(), "names that are no text"),
    "a name inside a function that is no text": (lambda: damaged_function(), "names that are no text"),
    "unknown operator": (lambda: model(("Frobnicate", ["x"], "y", {})), "not a valid ONNX model"),
    "infinite weights": (lambda: model(("Conv", ["x", "w"], "y", PADS), weights={"w": W * np.inf}), "not numbers"),
    "quantised products": (lambda: model(("QLinearMatMul", ["x"] * 8, "y", {})), "quantised to integers"),
    "dequantised": (
        lambda: model(("DequantizeLinear", ["x", "s"], "y", {}), weights={"s": np.float32(1)}),
        "quantised",
    ),
    "a number that is none": (
        lambda: model(("Mul", ["x", "n"], "y", {}), weights={"n": np.float32(np.nan)}),
        "not numbers",
    ),
    "lists of tensors": (lambda: model(("SequenceConstruct", ["x"], "y", {})), "operator SequenceConstruct: lists"),
    "functions that call themselves": (lambda: of_functions(1, 1), "call themselves"),
    "functions that double": (lambda: of_functions(40, 2), "more than 10000 nodes"),
    "nodes without end": (lambda: long_chain(10_001), "more than 10000 nodes"),
    "weights of no name": (lambda: external("a\0b"), "outside the model's folder"),
    "integers in": (lambda: integer_image(), "no floating-point image"),
}


def long_chain(length):
    names = ["x", *(f"t{number}" for number in range(length - 1)), "y"]
    return model(*(("Relu", [before], after, {}) for before, after in itertools.pairwise(names)))


def external(location):
    foreign = dilated()
    tensor = foreign.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.ClearField("raw_data")
    tensor.external_data.add(key="location", value=location)
    return foreign


def of_functions(count, calls):
    """Functions of a file's own, each of which calls the next so many times; the last one the first, if it is alone."""
    foreign = model(("F0", ["x"], "y", {}))
    foreign.graph.node[0].domain = "own"
    foreign.opset_import.append(helper.make_opsetid("own", 1))
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    for number in range(count):
        following = f"F{(number + 1) % count}" if number < count - 1 or count == 1 else "Relu"
        domain = "" if following == "Relu" else "own"
        names = ["a", *(f"b{call}" for call in range(calls))]
        body = [helper.make_node(following, [names[call]], [names[call + 1]], domain=domain) for call in range(calls)]
        foreign.functions.append(helper.make_function("own", f"F{number}", ["a"], names[-1:], body, opsets))
    return foreign


def test_functions_of_a_file_are_read():
    foreign = of_functions(3, 1)
    graph = lower_onnx(checked_onnx(foreign, "net"), "net", "net", None, 255.0)
    assert [node.layer.kind for node in graph.nodes] == ["Activation"]


def damaged_name():
    foreign = model(("Relu", ["x"], "y", {}))
    content = foreign.SerializeToString()
    return onnx.ModelProto.FromString(content.replace(b"Relu", b"Re\xff\xfe"))


def damaged_function():
    foreign = model(("F", ["x"], "y", {}))
    foreign.graph.node[0].domain = "own"
    opsets = [helper.make_opsetid("", 17)]
    foreign.functions.append(
        helper.make_function("own", "F", ["a"], ["b"], [helper.make_node("Softsign", ["a"], ["b"])], opsets)
    )
    content = foreign.SerializeToString()
    return onnx.ModelProto.FromString(content.replace(b"Softsign", b"Soft\xff\xfegn"))


def integer_image():
    foreign = model(("Identity", ["x"], "y", {}))
    for info in (*foreign.graph.input, *foreign.graph.output):
        info.type.tensor_type.elem_type = TensorProto.UINT8
    return foreign


@pytest.mark.parametrize("name", BAD)
def test_bad_files_end_in_one_sentence_and_leave_nothing(tmp_path, name, monkeypatch):
    """By the exporter itself; nothing of them is run, nothing is written."""
    monkeypatch.setattr(onnxruntime, "InferenceSession", None)
    make, message = BAD[name]
    path = tmp_path / "net.onnx"
    path.write_bytes(make().SerializeToString())
    with pytest.raises(SparsrError, match=message) as caught:
        export_model(path, tmp_path / "bundle", report=lambda line: None)
    assert caught.value.exit_code == 2 and "net.onnx" in str(caught.value) and len(str(caught.value)) < 600
    assert list(tmp_path.iterdir()) == [path]


def test_a_wrong_scale_leaves_nothing(tmp_path):
    onnx.save(enlarged(), tmp_path / "net.onnx")
    with pytest.raises(SparsrError, match="enlarges x2, not x4"):
        export_model(tmp_path / "net.onnx", tmp_path / "bundle", scale=4, report=lambda line: None)
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]


def test_weights_behind_a_link_out_of_the_folder_are_refused(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(324))
    onnx.save(dilated(), tmp_path / "model/net.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    (tmp_path / "model/w.bin").unlink()
    (tmp_path / "model/w.bin").symlink_to(tmp_path / "secret.bin")
    with pytest.raises(SparsrError, match="outside the model's folder"):
        open_onnx(tmp_path / "model/net.onnx")
