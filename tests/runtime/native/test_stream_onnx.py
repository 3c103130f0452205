"""libsparsr's operator inside ONNX Runtime: the values of the function that defines it, errors instead of crashes."""

from __future__ import annotations

import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from sparsr.export.lower.from_torch import lower
from sparsr.export.passes import optimise
from sparsr.export.writers.onnx import write_onnx
from sparsr.runtime.engines.native.build import library_path
from sparsr.runtime.engines.registry import load_engine
from sparsr.runtime.errors import SparsrError
from tests.export.graphs import (
    Foreign,
    chain,
    conv,
    random_image,
    small_network,
    torch_run,
)
from tests.export.layer_graphs import native_layer_graphs
from tests.runtime.native.native_models import keep_largest
from tests.small_networks import EVERY_NETWORK, small

GRAPHS = native_layer_graphs()
ENGINE_ERRORS = (
    onnxruntime.capi.onnxruntime_pybind11_state.Fail,
    onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument,
    onnxruntime.capi.onnxruntime_pybind11_state.InvalidGraph,
    onnxruntime.capi.onnxruntime_pybind11_state.RuntimeException,
)


def session(model, library=True, threads=1, profile=False):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    options.enable_profiling = profile
    options.profile_file_prefix = str(Path(tempfile.gettempdir()) / "profile")
    if library:
        options.register_custom_ops_library(str(library_path()))
    content = model if isinstance(model, bytes) else model.SerializeToString()
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def run(loaded, image):
    return loaded.run(None, {"image": image})[0]


def assert_close(result, expected):
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5 * max(1, np.abs(expected).max()))


def sparse_network():
    graph = small_network(channels=24)
    for name in ("body.0", "body.1"):
        layer = graph.node(name).layer
        graph = graph.with_layer(name, replace(layer, weight=keep_largest(layer.weight, 2, 32)))
    return graph


@pytest.mark.parametrize("name", GRAPHS)
def test_every_layer_at_changing_sizes(name):
    graph = GRAPHS[name]
    loaded = session(write_onnx(graph))
    for height, width in [(1, 1), (3, 7), (9, 18), (3, 7)]:
        image = random_image(graph, max(height, graph.minimum_size), max(width, graph.minimum_size))
        assert_close(run(loaded, image), torch_run(graph, image))


@pytest.mark.parametrize(("architecture", "scale"), EVERY_NETWORK)
def test_every_network_with_and_without_the_library(architecture, scale):
    graph = optimise(lower(small(architecture, scale), architecture))[0]
    content = write_onnx(graph)
    image = random_image(graph, max(17, graph.minimum_size), max(22, graph.minimum_size))
    assert_close(run(session(content), image), run(session(content, library=False), image))


def test_the_library_takes_over_and_sparse_weights_work():
    graph = sparse_network()
    content = write_onnx(graph)
    image = random_image(graph, 19, 33)
    assert_close(run(session(content), image), torch_run(graph, image))
    assert load_engine("ort+sparsr", content, 1).name == "ort+sparsr"
    assert executed_operators(content, library=True) == {"Stream"}
    assert "Conv" in executed_operators(content, library=False)


def executed_operators(content, library):
    """The operators ONNX Runtime has run, from its own profile."""
    loaded = session(content, library, profile=True)
    run(loaded, np.zeros((1, 3, 4, 4), np.float32))
    profile = Path(loaded.end_profiling())
    events = json.loads(profile.read_text())
    profile.unlink()
    return {event["args"]["op_name"] for event in events if "op_name" in event.get("args", {})}


def test_several_images_in_one_call():
    graph = small_network()
    model = onnx.load_from_string(write_onnx(graph))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "n"
    images = np.concatenate([random_image(graph, 8, 11, seed) for seed in range(3)])
    assert_close(run(session(model), images), torch_run(graph, images))


def test_one_session_may_run_in_several_threads_at_once():
    graph = sparse_network()
    content = write_onnx(graph)
    sessions = [session(content, threads=2), session(content)]
    images = [random_image(graph, 8 + index % 5, 30 + index % 3, index) for index in range(24)]
    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(lambda item: run(sessions[item[0] % 2], item[1]), enumerate(images)))
    for image, result in zip(images, results, strict=True):
        assert_close(result, torch_run(graph, image))


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ([1, 3, "h", "w"], [1, 3, "h*2", "w*2"]),
        (["n", 3, 5, "w"], ["n", 3, 10, "w*2"]),
        ([1, 3, None, 7], []),
    ],
)
def test_the_shape_of_the_result_is_inferred(declared, expected):
    model = onnx.load_from_string(write_onnx(small_network()))
    image, upscaled = model.graph.input[0], model.graph.output[0]
    image.CopyFrom(onnx.helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, declared))
    upscaled.type.tensor_type.ClearField("shape")
    assert session(model).get_outputs()[0].shape == expected


def test_sizes_without_a_rule_are_left_open():
    model = onnx.load_from_string(write_onnx(GRAPHS["conv_stride_valid"]))
    model.graph.output[0].type.tensor_type.ClearField("shape")
    assert session(model).get_outputs()[0].shape == []
    assert run(session(model), np.zeros((1, 3, 9, 5), np.float32)).shape == (1, 4, 4, 2)


def attribute(model, name):
    return next(item for item in model.graph.node[0].attribute if item.name == name)


def another_program(model):
    attribute(model, "program").s = b'{"layers":[]}'


def no_program(model):
    attribute(model, "program").s = b""


def another_scale(model):
    attribute(model, "scale").i = 3


def huge_scale(model):
    attribute(model, "scale").i = 2**62


def other_channels(model):
    attribute(model, "channels").i = 7


def missing_tensor(model):
    del model.graph.node[0].input[-1]


def swapped_tensors(model):
    inputs = model.graph.node[0].input
    place = list(inputs).index("head.weight")
    inputs[1], inputs[place] = inputs[place], inputs[1]


def other_type(model):
    tensor = model.graph.initializer[0]
    tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor).astype(np.float64), tensor.name))


def variable_weight(model):
    tensor = model.graph.initializer[0]
    value = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
    model.graph.input.append(value)
    model.graph.initializer.remove(tensor)


@pytest.mark.parametrize(
    "damage",
    [
        another_program,
        no_program,
        another_scale,
        huge_scale,
        other_channels,
        missing_tensor,
        swapped_tensors,
        other_type,
        variable_weight,
    ],
)
def test_a_wrong_model_is_an_error_of_the_session(damage):
    model = onnx.load_from_string(write_onnx(sparse_network()))
    damage(model)
    with pytest.raises(ENGINE_ERRORS):
        run(session(model), np.zeros((1, 3, 4, 4), np.float32))


def test_damaged_programs_are_refused_or_run():
    original = onnx.load_from_string(write_onnx(optimise(lower(small("imdn", 2), "imdn"))[0]))
    rng = np.random.default_rng(3)
    image, refused = np.zeros((1, 3, 7, 9), np.float32), 0
    for _ in range(150):
        model = onnx.ModelProto()
        model.CopyFrom(original)
        program = bytearray(attribute(model, "program").s)
        for _ in range(rng.integers(1, 4)):
            program[rng.integers(0, len(program))] = rng.choice(list(b'0123456789,:[]{}"-'))
        attribute(model, "program").s = bytes(program)
        attribute(model, "scale").i = 0
        try:
            run(session(model), image)
        except ENGINE_ERRORS:
            refused += 1
    assert refused > 50


def test_wrong_images_are_errors_and_the_session_lives_on():
    graph = chain("valid", conv(np.random.default_rng(0), 3, 4, padding=(0, 0, 0, 0)), minimum_size=3)
    model = onnx.load_from_string(write_onnx(graph))
    model.graph.input[0].type.tensor_type.ClearField("shape")
    loaded = session(model)
    for shape in [(1, 3, 2, 8), (1, 4, 8, 8), (1, 3, 8), (1, 3, 0, 8)]:
        with pytest.raises(ENGINE_ERRORS):
            run(loaded, np.zeros(shape, np.float32))
    image = random_image(graph, 6, 6)
    assert_close(run(loaded, image), torch_run(graph, image))


def test_the_environment_bounds_the_memory_of_a_run(monkeypatch):
    graph = small_network()
    monkeypatch.setenv("SPARSR_MAX_BYTES", "500000")
    loaded = session(write_onnx(graph))
    with pytest.raises(ENGINE_ERRORS, match="more than the 500000 bytes allowed"):
        run(loaded, random_image(graph, 40, 1000))
    image = random_image(graph, 6, 6)
    assert_close(run(loaded, image), torch_run(graph, image))


def test_a_file_without_the_operator_is_refused_by_the_engine():
    graph = chain("plain", Foreign((1, 1, 1, 1)), minimum_size=2)
    with pytest.raises(SparsrError, match="no operator of libsparsr") as caught:
        load_engine("ort+sparsr", write_onnx(graph), 1)
    assert "--engine ort" in caught.value.hint
