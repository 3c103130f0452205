from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
import pytest
from graphs import chain, layer_graphs, random_image, small_network, torch_run
from onnx.reference import ReferenceEvaluator

from export.onnx_writer import operators, write_onnx
from export.stages import simplified
from runtime.errors import SparsrError
from runtime.layers import Layer

GRAPHS = {**layer_graphs(), "small": small_network()}
SIZES = [(1, 1), (1, 6), (3, 3), (9, 17), (16, 5)]


def images(graph):
    for height, width in SIZES:
        yield random_image(graph, max(height, graph.minimum_size), max(width, graph.minimum_size))


def check(graph, run):
    for image in images(graph):
        expected = torch_run(graph, image)
        np.testing.assert_allclose(run(image), expected, rtol=1e-5, atol=2e-6 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("name", GRAPHS)
def test_one_file_runs_at_every_size_in_onnx_runtime(name):
    graph = GRAPHS[name]
    session = onnxruntime.InferenceSession(write_onnx(graph), providers=["CPUExecutionProvider"])
    check(graph, lambda image: session.run(["upscaled"], {"image": image})[0])


@pytest.mark.parametrize("name", GRAPHS)
def test_the_standards_own_evaluator_agrees(name):
    graph = GRAPHS[name]
    evaluator = ReferenceEvaluator(onnx.load_from_string(write_onnx(graph)))
    image = random_image(graph, 5, 4)
    np.testing.assert_allclose(
        evaluator.run(None, {"image": image})[0],
        torch_run(graph, image),
        rtol=1e-4,
        atol=1e-5 * graph.value_range,
    )


@pytest.mark.parametrize("name", GRAPHS)
def test_onnxsim_finds_nothing_to_remove(name):
    model = write_onnx(GRAPHS[name])
    assert len(onnx.load_from_string(simplified(model)).graph.node) == len(onnx.load_from_string(model).graph.node)


@pytest.mark.parametrize("name", GRAPHS)
def test_the_same_graph_gives_the_same_bytes(name):
    first, second = ({**layer_graphs(), "small": small_network()}[name] for _ in range(2))
    assert write_onnx(first, {"b": "2", "a": "1"}) == write_onnx(second, {"a": "1", "b": "2"})


def test_names_and_shapes_are_those_of_the_graph():
    graph = small_network(scale=3)
    model = onnx.load_from_string(write_onnx(graph, {"sparsr.name": "small"}))
    assert {node.name for node in graph.nodes} <= {node.name for node in model.graph.node}
    assert {"head.weight", "head.bias", "tail.weight"} <= {tensor.name for tensor in model.graph.initializer}
    shapes = {
        info.name: dimensions(info) for info in [*model.graph.input, *model.graph.output, *model.graph.value_info]
    }
    assert shapes["image"] == [1, 3, "height", "width"]
    assert shapes["head"] == [1, 8, "height", "width"]
    assert shapes["tail"] == [1, 27, "height", "width"]
    assert shapes["upscaled"] == [1, 3, "height*3", "width*3"]
    assert {prop.key: prop.value for prop in model.metadata_props} == {"sparsr.name": "small"}
    assert model.opset_import[0].version <= 17 and model.ir_version <= 8


def dimensions(info):
    return [dim.dim_param or dim.dim_value for dim in info.type.tensor_type.shape.dim]


def test_sizes_without_a_simple_rule_stay_unknown():
    model = onnx.load_from_string(write_onnx(GRAPHS["conv_stride_valid"]))
    assert dimensions(model.graph.output[0]) == [1, 4, 0, 0]


def test_operators_are_listed_once_and_sorted():
    assert operators(write_onnx(small_network())) == ("Add", "Conv", "DepthToSpace", "Mul", "Relu")


def test_a_layer_kind_without_writer_is_named():
    @dataclass(frozen=True, eq=False)
    class Twist(Layer):
        pass

    with pytest.raises(SparsrError, match=r"n0.*Twist"):
        write_onnx(chain("twisted", Twist()))
