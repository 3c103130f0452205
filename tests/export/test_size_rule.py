"""Networks whose result is no whole multiple of their image: they eat their border, or take only some sizes."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from sparsr.export.ir import reference
from sparsr.export.lower.from_onnx import lower_onnx
from sparsr.export.lower.onnx_file import checked_onnx
from sparsr.export.lower.size_rule import SizeRule
from sparsr.export.passes import optimise
from sparsr.export.source import from_onnx_file
from sparsr.export.writers.native import write_native
from sparsr.export.writers.onnx import write_onnx
from sparsr.export.writers.tflite import write_tflite
from sparsr.runtime.engines.registry import load_engine
from sparsr.runtime.errors import SparsrError
from tests.export.graphs import random_image
from tests.export.onnx_models import integers, model, normal

WEIGHTS = {
    "first": normal(6, 3, 3, 3), "again": normal(6, 6, 3, 3), "last": normal(3, 6, 3, 3), "half": normal(6, 6, 2, 2),
    "up": normal(6, 6, 2, 2), "twice": normal(6, 3, 4, 4), "wide": normal(6, 3, 6, 6), "hw": integers(2, 3),
    "two": integers(2, 2), "minus2": integers(-2, -2), "down3": normal(3, 3, 3, 3), "even": normal(3, 3, 2, 2),
}  # fmt: skip
VALID = [("Conv", ["x", "first"], "a", {}), ("Relu", ["a"], "b", {}), ("Conv", ["b", "last"], "y", {})]
LARGER = [
    ("Conv", ["x", "first"], "a", {}),
    ("ConvTranspose", ["a", "twice"], "y", {"strides": [2, 2], "pads": [3] * 4}),
]
UNEVEN = [
    ("Conv", ["x", "first"], "a", {}),
    ("ConvTranspose", ["a", "wide"], "y", {"strides": [4, 4], "pads": [4] * 4}),
]
U_NET = [
    ("Conv", ["x", "first"], "a", {}), ("Conv", ["a", "half"], "d", {"strides": [2, 2]}),
    ("Conv", ["d", "again"], "e", {"pads": [0] * 4}), ("ConvTranspose", ["e", "up"], "u", {"strides": [2, 2]}),
    ("Slice", ["a", "two", "minus2", "hw"], "s", {}), ("Add", ["s", "u"], "j", {}), ("Conv", ["j", "last"], "y", {}),
]  # fmt: skip
ODD = [("Conv", ["x", "down3"], "a", {"strides": [2, 2]}), ("ConvTranspose", ["a", "down3"], "b", {"strides": [2, 2]}),
       ("Add", ["x", "b"], "y", {})]  # fmt: skip
RULES = {
    "borders without padding": (VALID, SizeRule(1, 4)),
    "enlarging": (LARGER, SizeRule(2, 8)),
    "a border that is no multiple of the scale": (UNEVEN, SizeRule(4, 14)),
    "a U-Net for even sizes": (U_NET, SizeRule(1, 8, 2)),
    "odd sizes only": (ODD, SizeRule(1, 0, 2, 1)),
}


def made(nodes, **options):
    used = {operand for _, inputs, _, _ in nodes for operand in inputs}
    return model(*nodes, weights={key: value for key, value in WEIGHTS.items() if key in used}, **options)


def expected(foreign, image, rule):
    """By the file itself, from an image mirrored (or repeated) around, as authors' programs do before they cut."""
    margin = next(m for m in range(99) if rule.scale * 2 * m >= rule.eaten)
    behind = [
        next(m for m in range(margin, 99) if (side + margin + m) % rule.multiple == rule.rest)
        for side in image.shape[2:]
    ]
    padded = np.pad(image, ((0, 0), (0, 0), *((margin, m) for m in behind)), mode="reflect" if margin else "edge")
    session = onnxruntime.InferenceSession(foreign.SerializeToString(), providers=["CPUExecutionProvider"])
    (result,) = session.run(None, {"x": padded})
    start = rule.scale * margin - rule.eaten // 2
    return result[:, :, start:, start:][:, :, : rule.scale * image.shape[2], : rule.scale * image.shape[3]]


@pytest.mark.parametrize("name", RULES)
def test_images_are_continued_and_the_result_is_cut(name):
    nodes, rule = RULES[name]
    foreign = made(nodes)
    graph, _ = optimise(lower_onnx(checked_onnx(made(nodes), name), name, name, None, 255.0))
    assert graph.scale == rule.scale
    ort, tflite, native = (
        load_engine(engine, content, 1)
        for engine, content in (
            ("ort", write_onnx(graph)),
            ("litert", write_tflite(graph)),
            ("native", write_native(graph, {})),
        )
    )
    runs = [lambda image: reference.run(graph, image), ort.run]
    for engine in (tflite, native):
        runs.append(lambda image, run=engine.run: run(image.transpose(0, 2, 3, 1).copy()).transpose(0, 3, 1, 2))
    for height, width in ((14, 20), (17, 13), (12, 19), (21, 21)):
        image = random_image(graph, height, width)
        truth = expected(foreign, image, rule)
        assert truth.shape[2:] == (rule.scale * height, rule.scale * width)
        for run in runs:
            np.testing.assert_allclose(run(image), truth, rtol=1e-4, atol=2e-5 * np.abs(truth).max())


def test_the_smallest_image_is_one_that_can_be_mirrored():
    graph = lower_onnx(checked_onnx(made(U_NET), "net"), "net", "net", None, 255.0)
    smallest = graph.minimum_size
    assert reference.run(graph, random_image(graph, smallest, smallest)).shape == (1, 3, smallest, smallest)
    with pytest.raises(SparsrError, match="cannot run on an array"):
        reference.run(graph, random_image(graph, smallest - 1, smallest))


@pytest.mark.parametrize("nodes", [U_NET, LARGER])
def test_a_file_for_one_size_is_taken_too_and_said_what_is_done(nodes, tmp_path):
    path = tmp_path / "net.onnx"
    onnx.save(made(nodes, size=(32, 40)), path)
    source = from_onnx_file(path, "net", None, 255.0)
    assert "4 pixels are mirrored" in source.remark if nodes is U_NET else "2 pixels are mirrored" in source.remark
    assert source.description.training["borders"] == source.remark
    image = random_image(source.graph, 15, 22)
    np.testing.assert_allclose(source.run(image), reference.run(source.graph, image), rtol=1e-3, atol=1e-2)


def test_a_network_that_takes_any_size_is_left_alone():
    nodes = [("Conv", ["x", "down3"], "y", {"pads": [1] * 4})]
    graph = lower_onnx(checked_onnx(made(nodes), "net"), "net", "net", None, 255.0)
    assert [node.layer.kind for node in graph.nodes] == ["Conv"]
    assert SizeRule(1).sentence() == ""


@pytest.mark.parametrize(
    "nodes",
    [
        [("Conv", ["x", "even"], "y", {})],  # one row less: nothing says on which side
        [("Conv", ["x", "even"], "y", {"pads": [2] * 4})],  # three rows more
    ],
)
def test_other_sizes_are_refused_with_what_was_seen(nodes):
    with pytest.raises(SparsrError, match=r"whole number from 1 to 8 \(\d+x\d+ -> \d+x\d+"):
        lower_onnx(checked_onnx(made(nodes), "net"), "net", "net", None, 255.0)
