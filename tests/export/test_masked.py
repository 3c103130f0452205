"""Masked blocks: every degenerate case against torch, in every format."""

from __future__ import annotations

import numpy as np
import pytest

from sparsr.export.ir import reference
from sparsr.export.ir.graph import Node
from sparsr.export.ir.layers import Conv, PadToEven
from sparsr.export.passes import optimise
from sparsr.export.writers.native import write_native
from sparsr.export.writers.onnx import write_onnx
from sparsr.export.writers.tflite import write_tflite
from sparsr.runtime.engines.native.load import NativeModel
from sparsr.runtime.engines.registry import load_engine
from sparsr.runtime.errors import SparsrError
from tests.export.graphs import chain, conv, masked_graph, random_image, torch_run
from tests.runtime.native.native_models import instruction_sets, native_run

CHANNELS = 6
ALL = list(range(CHANNELS))
DENSE = {
    "some": [[0, 2, 5], [1], [3, 4], [0]],
    "none": [[], [], [], []],
    "all": [ALL] * 4,
    "gaps": [[1, 2], [], [0, 3, 4], ALL],
    "first": [[0, 1, 2, 3], [], [], []],
    "last": [[], [], [], [5]],
    "single": [[4]],
}


def fixed(important):
    """Logits that do not depend on the features; None: a tie."""
    bias = np.float32([0, 0] if important is None else [0, 1] if important else [1, 0])
    return Conv(np.zeros((2, CHANNELS, 1, 1), np.float32), bias)


MASKS = {"nowhere": fixed(False), "everywhere": fixed(True), "tie": fixed(None), "somewhere": None}


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("dense", DENSE)
def test_every_format_equals_torch(dense, mask):
    graph = masked_graph(np.random.default_rng(2), CHANNELS, DENSE[dense], MASKS[mask])
    ort = load_engine("ort", write_onnx(graph), 1)
    litert = load_engine("litert", write_tflite(graph), 1)
    native = {name: NativeModel(write_native(graph, {}), name) for name in instruction_sets()}
    for size in ((1, 1), (1, 7), (6, 1), (11, 13)):
        image = random_image(graph, *size)
        expected = torch_run(graph, image)
        results = {
            "reference": reference.run(graph, image),
            "ort": ort.run(image),
            "litert": litert.run(image.transpose(0, 2, 3, 1).copy()).transpose(0, 3, 1, 2),
        } | {name: native_run(model, image) for name, model in native.items()}
        for name, result in results.items():
            np.testing.assert_allclose(result, expected, atol=2e-5, err_msg=f"{name} {size}")


def test_the_masks_of_these_tests_are_mixed():
    graph = masked_graph(np.random.default_rng(2), CHANNELS, DENSE["some"])
    logits = reference.run(graph.with_nodes(list(graph.nodes), "logits"), random_image(graph, 11, 13))
    assert 0.2 < (logits[:, 1] > logits[:, 0]).mean() < 0.8


@pytest.mark.parametrize("dense", DENSE)
def test_a_block_without_logits_becomes_plain_convolutions(dense):
    graph = masked_graph(np.random.default_rng(2), CHANNELS, DENSE[dense], MASKS["nowhere"])
    bare = graph.with_nodes(
        [Node("block", node.layer, ("features",)) if node.name == "block" else node for node in graph.nodes]
    )
    image = random_image(graph, 9, 14)
    simple = optimise(bare)[0]
    assert all(isinstance(node.layer, Conv) or node.layer.kind == "Concat" for node in simple.nodes)
    np.testing.assert_allclose(reference.run(simple, image), torch_run(graph, image), atol=2e-5)


def test_tflite_refuses_an_even_map_it_cannot_express():
    rng = np.random.default_rng(0)
    graph = chain("even", PadToEven(), conv(rng, 3, 4), conv(rng, 4, 4))
    with pytest.raises(SparsrError, match="only before"):
        write_tflite(graph)
