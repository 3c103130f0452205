from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

from sparsr.export.ir import layers as L
from sparsr.export.passes.tflite.pixel_shuffle import dcr_order
from sparsr.export.writers.tflite import operators, write_tflite
from sparsr.runtime.errors import SparsrError
from tests.export.graphs import chain, conv, random_image, small_network, torch_run
from tests.export.layer_graphs import layer_graphs
from tests.tflite_packages import INSTALLED, interpreters

GRAPHS = {**layer_graphs(), "small": small_network()}
ENGINES = {name: interpreters(name).Interpreter for name in INSTALLED}
SIZES = [(1, 1), (1, 6), (3, 3), (9, 17), (16, 5)]


def runner(engine, graph):
    """image NCHW -> result NCHW, through the signature."""
    # On several threads tflite_runtime 2.14 gets a 2x2 convolution of 4x4 pixels wrong where XNNPACK leaves it out.
    interpreter = ENGINES[engine](model_content=write_tflite(graph), num_threads=1)
    call = interpreter.get_signature_runner("serving_default")

    def run(image):
        return call(image=np.ascontiguousarray(image.transpose(0, 2, 3, 1)))["upscaled"].transpose(0, 3, 1, 2)

    return run


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", GRAPHS)
def test_one_file_runs_at_every_size(name, engine):
    graph = GRAPHS[name]
    run = runner(engine, graph)
    for height, width in SIZES:
        image = random_image(graph, max(height, graph.minimum_size), max(width, graph.minimum_size))
        expected = torch_run(graph, image)
        np.testing.assert_allclose(run(image), expected, rtol=1e-5, atol=2e-6 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("layer", [L.GlobalMean(), L.GlobalStd()])
def test_means_of_large_images_keep_their_precision(layer, engine):
    graph = chain("pooled", layer)
    image = random_image(graph, 700, 900) + 100
    expected = image.astype(np.float64)
    expected = expected.mean((2, 3)) if layer.kind == "GlobalMean" else expected.std((2, 3))
    np.testing.assert_allclose(runner(engine, graph)(image)[:, :, 0, 0], expected, rtol=3e-6)


def test_the_stored_shape_is_the_smallest_image():
    graph = GRAPHS["resize_like_linear"]
    for interpreter_type in ENGINES.values():
        interpreter = interpreter_type(model_content=write_tflite(graph))
        interpreter.allocate_tensors()
        interpreter.invoke()
        assert list(interpreter.get_input_details()[0]["shape"]) == [1, 3, 3, 3]
        assert list(interpreter.get_input_details()[0]["shape_signature"]) == [1, -1, -1, 3]
        assert list(interpreter.get_output_details()[0]["shape_signature"]) == [1, -1, -1, 3]


@given(st.integers(1, 4), st.integers(2, 4), st.integers(0, 2**32 - 1))
def test_dcr_order_is_what_depth_to_space_undoes(channels, block, seed):
    """DEPTH_TO_SPACE of the reordered channels, written out as its definition, is torch's pixel shuffle."""
    height, width = 2, 3
    x = torch.from_numpy(np.random.default_rng(seed).normal(size=(1, channels * block**2, height, width)))
    moved = x[:, dcr_order(channels * block**2, block)].numpy().transpose(0, 2, 3, 1)
    pixels = moved.reshape(1, height, width, block, block, channels).transpose(0, 1, 3, 2, 4, 5)
    result = pixels.reshape(1, height * block, width * block, channels).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(result, torch.pixel_shuffle(x, block).numpy())


def test_the_order_of_a_shuffle_costs_no_operator_after_a_convolution():
    assert count(GRAPHS["shuffle_twice"]) == 4
    assert count(GRAPHS["shuffle_other"]) == 4, "conv, leaky relu, the explicit order, shuffle"


def count(graph):
    table = schema.Model.GetRootAsModel(write_tflite(graph), 0)
    return table.Subgraphs(0).OperatorsLength()


def test_a_shuffled_tensor_that_is_also_the_result_keeps_its_order():
    rng = np.random.default_rng(0)
    graph = chain("seen", ("wide", conv(rng, 3, 12), ["image"]), ("shuffled", L.DepthToSpace(2), ["wide"]))
    graph = graph.with_nodes(list(graph.nodes), output="wide")
    image = random_image(graph, 4, 5)
    np.testing.assert_allclose(runner("litert", graph)(image), torch_run(graph, image), atol=1e-5)


def test_convolutions_pad_inside_the_operator_where_zeros_are_symmetric():
    assert operators(write_tflite(GRAPHS["conv"])) == ("CONV_2D",)
    assert operators(write_tflite(GRAPHS["conv_stride_valid"])) == ("CONV_2D",)
    assert operators(write_tflite(GRAPHS["conv_stride"])) == ("CONV_2D", "PAD")
    assert operators(write_tflite(GRAPHS["add_relu"])) == ("ADD", "CONV_2D"), "relu is fused"


def test_constants_are_aligned_and_versions_old_enough():
    for graph in GRAPHS.values():
        content = np.frombuffer(write_tflite(graph, {"note": "x"}), np.uint8)
        model = schema.Model.GetRootAsModel(content, 0)
        start = content.__array_interface__["data"][0]
        for index in range(model.BuffersLength()):
            if model.Buffers(index).DataLength():
                address = model.Buffers(index).DataAsNumpy().__array_interface__["data"][0]
                assert (address - start) % 64 == 0
        for index in range(model.OperatorCodesLength()):
            code = model.OperatorCodes(index)
            newest = 3 if code.BuiltinCode() == schema.BuiltinOperator.RESIZE_BILINEAR else 1
            assert code.Version() == newest


def test_weights_and_tensors_have_the_graphs_names():
    graph = small_network()
    table = schema.Model.GetRootAsModel(write_tflite(graph), 0).Subgraphs(0)
    names = {table.Tensors(index).Name().decode() for index in range(table.TensorsLength())}
    assert {"image", "upscaled", "head", "head.weight", "head.bias", "body.2", "tail.weight"} <= names


def test_metadata_is_readable():
    model = schema.Model.GetRootAsModel(write_tflite(small_network(), {"b": "two", "a": "one"}), 0)
    entries = {}
    for index in range(model.MetadataLength()):
        entry = model.Metadata(index)
        entries[entry.Name().decode()] = model.Buffers(entry.Buffer()).DataAsNumpy().tobytes().decode()
    assert entries == {"a": "one", "b": "two"}
    assert model.Description() == b"SparSR small x2"


@pytest.mark.parametrize("name", GRAPHS)
def test_the_same_graph_gives_the_same_bytes(name):
    first, second = ({**layer_graphs(), "small": small_network()}[name] for _ in range(2))
    assert write_tflite(first, {"b": "2", "a": "1"}) == write_tflite(second, {"a": "1", "b": "2"})


def test_a_layer_kind_without_writer_is_named():
    @dataclass(frozen=True, eq=False)
    class Twist(L.Layer):
        pass

    with pytest.raises(SparsrError, match=r"n0.*Twist"):
        write_tflite(chain("twisted", Twist()))
