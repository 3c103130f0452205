from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator

from sparsr.export.ir.layers import Layer
from sparsr.export.parity.stages import simplified
from sparsr.export.writers.onnx import operators, write_onnx
from sparsr.runtime.errors import SparsrError
from tests.export.graphs import Foreign, chain, conv, random_image, small_network, torch_run
from tests.export.layer_graphs import layer_graphs
from tests.runtime.native.native_models import keep_largest, share_places

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
    (node,), (function,) = model.graph.node, model.functions
    assert (node.domain, node.op_type) == (function.domain, function.name) == ("sparsr", "Stream")
    assert {node.name for node in graph.nodes} <= {node.name for node in function.node}
    tensors = {tensor.name for tensor in model.graph.initializer}
    assert {"head.weight", "head.bias", "tail.weight", "add_mean.factor"} <= tensors == set(node.input[1:])
    shapes = {info.name: dimensions(info) for info in [*model.graph.input, *model.graph.output]}
    assert shapes == {"image": [1, 3, "height", "width"], "upscaled": [1, 3, "height*3", "width*3"]}
    assert {prop.key: prop.value for prop in model.metadata_props} == {"sparsr.name": "small"}
    assert model.opset_import[0].version <= 17 and model.ir_version <= 8


def dimensions(info):
    return [dim.dim_param or dim.dim_value for dim in info.type.tensor_type.shape.dim]


def test_sizes_without_a_simple_rule_stay_unknown():
    model = onnx.load_from_string(write_onnx(GRAPHS["conv_stride_valid"]))
    assert dimensions(model.graph.output[0]) == [1, 4, 0, 0]


def test_operators_are_listed_once_and_sorted():
    names = ("Add", "Constant", "Conv", "DepthToSpace", "Mul", "Relu", "Unsqueeze", "sparsr.Stream")
    assert operators(write_onnx(small_network())) == names


@pytest.mark.parametrize(("n", "m", "inputs"), [(1, 4, 16), (2, 32, 70), (3, 8, 33), (0, 4, 5)])
def test_sparse_weights_are_stored_compressed_and_spread_out_by_the_function(n, m, inputs):
    rng = np.random.default_rng(n)
    wide, sparse = conv(rng, 3, inputs, 1), conv(rng, inputs, 6)
    weight = keep_largest(sparse.weight, n, m)
    weight[1, :, 0] = 0  # a group with fewer weights than others
    graph = chain("sparse", wide, replace(sparse, weight=weight))
    content = write_onnx(graph)
    dense = write_onnx(chain("dense", wide, sparse))
    assert len(dense) - len(content) > sparse.weight.size * (4 - 5 * (n + 0.6) / m) - 3000
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    check(graph, lambda image: session.run(None, {"image": image})[0])
    image = random_image(graph, 5, 4)
    result = ReferenceEvaluator(onnx.load_from_string(content)).run(None, {"image": image})[0]
    np.testing.assert_allclose(result, torch_run(graph, image), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("outputs", [4, 6, 9])
@pytest.mark.parametrize("v", [2, 4])
def test_places_that_outputs_share_are_spread_out(v, outputs):
    rng = np.random.default_rng(v)
    wide, sparse = conv(rng, 3, 70, 1), conv(rng, 70, outputs)
    graph = chain("shared", wide, replace(sparse, weight=share_places(rng, outputs, 70, 3, v)))
    content = write_onnx(graph)
    stored = {tensor.name: tensor.dims[0] for tensor in onnx.load_from_string(content).graph.initializer}
    assert stored["n1.indices"] == -(-outputs // v)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    check(graph, lambda image: session.run(None, {"image": image})[0])


def test_onnx_runtime_folds_the_function_into_plain_convolutions(tmp_path):
    rng = np.random.default_rng(0)
    wide, sparse = conv(rng, 3, 32, 1), conv(rng, 32, 12)
    content = write_onnx(chain("sparse", wide, replace(sparse, weight=keep_largest(sparse.weight, 4, 32))))
    assert "Stream" in operators(content)[-1]
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(tmp_path / "folded.onnx")
    onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    assert [node.op_type for node in onnx.load(tmp_path / "folded.onnx").graph.node] == ["Conv", "Conv"]


def test_a_network_the_native_engine_does_not_know_is_plain_onnx():
    graph = chain(
        "reflected", Foreign((1, 1, 1, 1)), conv(np.random.default_rng(0), 3, 4, padding=(0,) * 4), minimum_size=2
    )
    model = write_onnx(graph)
    assert operators(model) == ("Conv", "Pad")
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    check(graph, lambda image: session.run(None, {"image": image})[0])


def test_a_layer_kind_without_writer_is_named():
    @dataclass(frozen=True, eq=False)
    class Twist(Layer):
        pass

    with pytest.raises(SparsrError, match=r"n0.*Twist"):
        write_onnx(chain("twisted", Twist()))
