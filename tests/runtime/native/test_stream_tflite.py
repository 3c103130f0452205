"""libsparsr's operator inside both TensorFlow Lite interpreters."""

from __future__ import annotations

import numpy as np
import pytest

from sparsr.export.forms.tflite_file import TFLiteBuilder
from sparsr.export.lower.from_torch import lower
from sparsr.export.passes import optimise
from sparsr.export.writers.native import write_native
from sparsr.export.writers.tflite import operators, write_tflite, write_tflite_stream
from sparsr.runtime.engines import tflite
from sparsr.runtime.engines.native.load import NativeModel, register_with_tflite
from sparsr.runtime.engines.registry import load_engine
from sparsr.runtime.errors import SparsrError
from tests.export.graphs import random_image, small_network, torch_run
from tests.export.layer_graphs import native_layer_graphs
from tests.runtime.native.native_models import native_run
from tests.small_networks import EVERY_NETWORK, small
from tests.tflite_packages import INSTALLED, interpreters

ENGINES = [f"{name}+sparsr" for name in INSTALLED]
GRAPHS = native_layer_graphs()


def interpreter(package, content, threads=1):
    kind = interpreters(package).InterpreterWithCustomOps
    return kind([register_with_tflite], model_content=content, num_threads=threads)


def run(engine, image):
    return engine.run(np.ascontiguousarray(image.transpose(0, 2, 3, 1))).transpose(0, 3, 1, 2)


def assert_close(result, expected):
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", GRAPHS)
def test_every_layer_at_changing_sizes(name, engine):
    graph = GRAPHS[name]
    loaded = load_engine(engine, write_tflite_stream(graph), 1)
    for height, width in [(1, 1), (3, 7), (9, 18), (3, 7)]:
        image = random_image(graph, max(height, graph.minimum_size), max(width, graph.minimum_size))
        assert_close(run(loaded, image), torch_run(graph, image))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("architecture", "scale"), EVERY_NETWORK)
def test_every_network_gives_what_the_native_engine_gives(architecture, scale, engine):
    graph = optimise(lower(small(architecture, scale), architecture))[0]
    image = random_image(graph, max(17, graph.minimum_size), max(22, graph.minimum_size))
    expected = native_run(NativeModel(write_native(graph, {})), image)
    assert np.array_equal(run(load_engine(engine, write_tflite_stream(graph), 3), image), expected)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_environment_bounds_the_memory_of_a_run(engine, monkeypatch):
    graph = small_network()
    monkeypatch.setenv("SPARSR_MAX_BYTES", "500000")
    loaded = load_engine(engine, write_tflite_stream(graph), 1)
    with pytest.raises(SparsrError, match="more than the 500000 bytes allowed"):
        run(loaded, random_image(graph, 40, 1000))
    image = random_image(graph, 6, 6)
    assert_close(run(load_engine(engine, write_tflite_stream(graph), 1), image), torch_run(graph, image))


@pytest.mark.parametrize("package", INSTALLED)
def test_several_images_in_one_call(package):
    graph = small_network()
    images = np.concatenate([random_image(graph, 8, 11, seed) for seed in range(3)])
    loaded = interpreter(package, write_tflite_stream(graph), threads=2)
    loaded.resize_tensor_input(loaded.get_input_details()[0]["index"], (3, 8, 11, 3))
    loaded.allocate_tensors()
    loaded.set_tensor(loaded.get_input_details()[0]["index"], images.transpose(0, 2, 3, 1))
    loaded.invoke()
    result = loaded.get_tensor(loaded.get_output_details()[0]["index"]).transpose(0, 3, 1, 2)
    assert_close(result, torch_run(graph, images))


def test_the_file_holds_one_operator_and_about_the_native_file():
    graph = small_network(channels=32)
    content = write_tflite_stream(graph)
    assert operators(content) == ("SparsrStream",)
    assert 0 < len(content) - len(write_native(graph, {})) < 1500
    assert write_tflite_stream(graph, {"a": "1"}) == write_tflite_stream(small_network(channels=32), {"a": "1"})


@pytest.mark.parametrize("package", INSTALLED)
def test_other_operators_are_found_as_before(package):
    graph = small_network()
    image = random_image(graph, 5, 6)
    loaded = tflite.TFLiteEngine(interpreter(package, write_tflite(graph)), package, "", 1)
    assert_close(run(loaded, image), torch_run(graph, image))
    with pytest.raises((RuntimeError, ValueError), match="SparsrOther"):
        interpreter(package, stream_file(operator="SparsrOther")).allocate_tensors()


@pytest.mark.parametrize("package", INSTALLED)
def test_without_the_library_the_interpreter_names_the_operator(package):
    with pytest.raises((RuntimeError, ValueError), match="SparsrStream"):
        interpreters(package).Interpreter(model_content=stream_file()).allocate_tensors()


def stream_file(operator="SparsrStream", program=None, image=(1, 5, 6, 3), dtype=np.float32, inputs=None):
    """A file of one operator, each part of it replaceable by a wrong one."""
    builder = TFLiteBuilder()
    content = write_native(small_network(), {}) if program is None else program
    tensors = [builder.tensor("image", image, image, dtype)]
    if isinstance(content, bytes):
        tensors.append(builder.constant("program", np.frombuffer(content, np.uint8), np.uint8))
    else:
        tensors.append(builder.constant("program", content, content.dtype.type))
    result = builder.tensor("upscaled", (1, 10, 12, 3), (1, 10, 12, 3), dtype)
    builder.operator(operator, tensors[:inputs], result)
    return builder.finish({"image": tensors[0]}, {"upscaled": result}, "test", {})


WRONG = {
    "empty program": {"program": b"\0"},
    "cut program": {"program": write_native(small_network(), {})[:-40]},
    "other program": {"program": write_native(small_network(), {}).replace(b"Conv", b"Vonc")},
    "program of floats": {"program": np.zeros(9, np.float32)},
    "no program": {"inputs": 1},
    "image of four channels": {"image": (1, 5, 6, 4)},
    "image of three dimensions": {"image": (5, 6, 3)},
    "empty image": {"image": (1, 0, 6, 3)},
    "image of integers": {"dtype": np.int32},
}


@pytest.mark.parametrize("package", INSTALLED)
@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_files_are_errors(wrong, package):
    with pytest.raises(RuntimeError, match=r"SparsrStream|dimension|overflow|BytesRequired|number of elements"):
        interpreter(package, stream_file(**WRONG[wrong])).allocate_tensors()


@pytest.mark.parametrize("package", INSTALLED)
def test_damaged_programs_are_refused_or_run(package):
    content = write_native(optimise(lower(small("imdn", 2), "imdn"))[0], {})
    header = 8 + int.from_bytes(content[:8], "little")
    rng = np.random.default_rng(11)
    refused = 0
    for _ in range(60):
        damaged = bytearray(content)
        for place in rng.integers(0, header, 2):
            damaged[place] = rng.choice(list(b'0123456789,:[]{}"-'))
        try:
            loaded = interpreter(package, stream_file(program=bytes(damaged)))
            loaded.allocate_tensors()
            loaded.invoke()
        except RuntimeError:
            refused += 1
    assert refused > 20


@pytest.mark.parametrize("engine", ENGINES)
def test_versions_not_tried_are_refused(engine, monkeypatch):
    monkeypatch.setattr(tflite, "version", lambda package: "99.1.0")
    with pytest.raises(SparsrError, match=r"does not know .* 99\.1\.0") as caught:
        load_engine(engine, write_tflite_stream(small_network()), 1)
    assert "without +sparsr" in caught.value.hint


def test_what_is_no_resolver_is_refused():
    import ctypes

    table = (ctypes.c_void_p * 16)()
    resolver = ctypes.c_void_p(ctypes.addressof(table))
    with pytest.raises(SparsrError, match="resolver"):
        register_with_tflite(ctypes.addressof(resolver))
    with pytest.raises(SparsrError, match="no resolver"):
        register_with_tflite(0)
