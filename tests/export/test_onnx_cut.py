"""Networks inside ONNX files that do more: named by the tensors they begin and end with."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from sparsr.export.cli import main
from sparsr.export.ir import reference
from sparsr.export.lower.from_onnx import lower_onnx
from sparsr.export.lower.onnx_cut import Between
from sparsr.export.lower.onnx_file import checked_onnx, open_onnx
from sparsr.runtime.errors import SparsrError
from tests.export.graphs import random_image
from tests.export.onnx_models import model, normal

SUBPIXEL = "onnxruntime-inference-examples/pytorch_superresolution_with_pre_post_processing_op18.onnx"
PADS = {"pads": [1] * 4}
STEPS = [
    ("DecodeImage", ["x"], "pixels", {"domain": "com.example"}), ("Div", ["pixels", "white"], "image", {}),
    ("Conv", ["image", "w"], "a", PADS), ("Relu", ["a"], "b", {}), ("Conv", ["b", "w"], "c", PADS),
    ("Clip", ["c"], "d", {}), ("Mul", ["d", "white"], "e", {}), ("Round", ["e"], "f", {}),
    ("EncodeImage", ["f"], "y", {"domain": "com.example"}),
]  # fmt: skip


def decorated(outputs=("y",)):
    return model(*STEPS, weights={"w": normal(3, 3, 3, 3), "white": np.float32(255)}, outputs=outputs)


def test_a_network_between_decoding_and_encoding_gives_its_authors_output(shared_data):
    path = shared_data / "foreign" / SUBPIXEL
    if not path.exists():
        pytest.skip("the public networks are not here")
    with pytest.raises(SparsrError, match="DecodeImage") as caught:
        open_onnx(path)
    assert "--from _ppp5_expanded --to output" in caught.value.hint
    graph = lower_onnx(open_onnx(path, Between("_ppp5_expanded", "output")), "net", "net", None, 1.0)
    stored = np.load(shared_data / "foreign/reference_outputs/ort_subpixel_cnn_x3.npz")
    for tag in ("c32", "c29x37"):
        image, expected = (stored[f"{tag}_{end}"].transpose(2, 0, 1)[None].astype(np.float32) for end in ("lr", "sr"))
        np.testing.assert_allclose(reference.run(graph, image), expected, atol=1e-3)


def test_the_hint_names_tensors_that_hold_the_network():
    with pytest.raises(SparsrError, match=r"domain com\.example") as caught:
        checked_onnx(decorated(), "net")
    assert "--from image --to e" in caught.value.hint
    whole = checked_onnx(decorated(), "net", None, Between("image", "d"))
    assert [node.op_type for node in whole.graph.node] == ["Conv", "Relu", "Conv", "Clip"]
    graph = lower_onnx(whole, "net", "net", None, 1.0)
    assert graph.scale == 1


def test_one_of_several_results_is_chosen():
    def two():
        nodes = [("Conv", ["x", "w"], "y", PADS), ("Relu", ["y"], "z", {})]
        return model(*nodes, weights={"w": WEIGHT}, outputs=("y", "z"))

    with pytest.raises(SparsrError, match=r"gives 2 tensors \(y, z\)") as caught:
        checked_onnx(two(), "net")
    assert "--to" in caught.value.hint
    graph = lower_onnx(checked_onnx(two(), "net", None, Between(end="z")), "net", "net", None, 255.0)
    assert reference.run(graph, random_image(graph, 6, 7)).min() >= 0
    graph = lower_onnx(checked_onnx(two(), "net", None, Between(end="y")), "net", "net", None, 255.0)
    assert reference.run(graph, random_image(graph, 6, 7)).min() < 0


WEIGHT = normal(3, 3, 3, 3)
WRONG = {
    "no such beginning": (Between("nowhere", "y"), "no tensor nowhere"),
    "no such end": (Between(end="nowhere"), "no tensor nowhere"),
    "not computed from it": (Between("c", "a"), "from x, too, not from c alone"),
    "nothing between": (Between("y", "a"), "from x, too"),
}


@pytest.mark.parametrize("name", WRONG)
def test_tensors_that_hold_no_network_are_refused(name):
    between, message = WRONG[name]
    with pytest.raises(SparsrError, match=message):
        checked_onnx(decorated(), "net", None, between)


def test_the_command_takes_them(tmp_path, monkeypatch, capsys):
    onnx.save(decorated(), tmp_path / "net.onnx")
    arguments = ["export", str(tmp_path / "net.onnx"), "--from", "image", "--to", "d", "--format", "onnx"]
    monkeypatch.setattr("sys.argv", [*arguments, "--out", str(tmp_path / "bundle")])
    main()
    assert "net, foreign x1, imported" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["export", "net.pth", "--to", "d", "--out", str(tmp_path / "bundle")])
    with pytest.raises(SparsrError, match="all of which is the network"):
        main()
