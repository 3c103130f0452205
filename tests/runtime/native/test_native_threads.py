"""The native engine on several threads: the same bits, in order, whatever happens in between."""

from __future__ import annotations

import ctypes
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_native import random_graph

from sparsr.export.ir import layers as L
from sparsr.export.lower.from_torch import lower
from sparsr.export.passes import optimise
from sparsr.export.writers.native import write_native
from sparsr.runtime.engines.native.load import ERROR_BYTES, NativeModel, load_library
from sparsr.runtime.errors import SparsrError
from tests.export import graphs
from tests.runtime.native.native_models import instruction_sets, keep_largest, native_run
from tests.small_networks import EVERY_NETWORK, small

THREADS = (2, 3, 5)
SETS = instruction_sets()


def assert_same_bits(graph, sizes, instruction_set=None):
    content = write_native(graph, {})
    alone = NativeModel(content, instruction_set)
    models = [NativeModel(content, instruction_set, threads=count) for count in THREADS]
    for height, width in sizes:
        image = graphs.random_image(graph, max(height, graph.minimum_size), max(width, graph.minimum_size))
        expected = native_run(alone, image)
        for model in models:
            assert np.array_equal(native_run(model, image), expected), (graph.name, model.info.threads, image.shape)


@pytest.mark.parametrize(("architecture", "scale"), EVERY_NETWORK)
def test_every_network(architecture, scale):
    assert_same_bits(optimise(lower(small(architecture, scale), architecture))[0], ((1, 1), (33, 37), (64, 21)))


@pytest.mark.parametrize("instruction_set", SETS)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 67), (3, 16), (7, 33), (13, 130), (65, 5)])
def test_odd_shapes_on_every_kernel(instruction_set, height, width):
    rng = np.random.default_rng(height)
    sparse = graphs.conv(rng, 16, 20, activation=graphs.LEAKY)
    graph = graphs.chain(
        "odd",
        graphs.conv(rng, 3, 16),
        replace(sparse, weight=keep_largest(sparse.weight, 1, 16)),
        graphs.conv(rng, 20, 16, 5),
        (L.Add(graphs.RELU), ["n2", "n0"]),
        graphs.conv(rng, 16, 12),
        L.DepthToSpace(2),
        scale=2,
    )
    assert_same_bits(graph, ((height, width),), instruction_set)


_Work = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int32)
_Run = ctypes.CFUNCTYPE(None, ctypes.c_void_p, _Work, ctypes.c_void_p, ctypes.c_int32)


class _Pool(ctypes.Structure):
    _fields_ = [("threads", ctypes.c_int32), ("context", ctypes.c_void_p), ("run", _Run)]


def _all_at_once(_, work, argument, count):
    with ThreadPoolExecutor(count) as host:
        list(host.map(lambda index: work(argument, index), range(count)))


def _last_to_first(_, work, argument, count):
    for index in reversed(range(count)):
        work(argument, index)


@pytest.mark.parametrize("schedule", [_all_at_once, _last_to_first])
@pytest.mark.parametrize("threads", THREADS)
def test_a_hosts_threads_in_whatever_order(threads, schedule):
    graph = optimise(lower(small("edsr", 2), "edsr"))[0]
    model = NativeModel(write_native(graph, {}))
    images = [graphs.random_image(graph, height, 21) for height in (1, 9, 33)]
    expected = [native_run(model, image) for image in images]
    pool, error = _Pool(threads, None, _Run(schedule)), ctypes.create_string_buffer(ERROR_BYTES)
    assert load_library().sparsr_set_pool(ctypes.c_void_p(model._handle), ctypes.byref(pool), error, ERROR_BYTES)
    for image, result in zip(images, expected, strict=True):
        assert np.array_equal(native_run(model, image), result)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_random_graphs(data):
    graph = random_graph(data.draw)
    sizes = ((data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40))),)
    assert_same_bits(graph, sizes, data.draw(st.sampled_from(SETS)))


def small_model(threads):
    return NativeModel(write_native(graphs.small_network(value_range=255.0), {}), threads=threads)


@pytest.mark.parametrize("threads", [1, 3])
def test_several_images_in_one_call(threads):
    model = small_model(threads)
    images = np.random.default_rng(0).integers(0, 256, (4, 7, 11, 3), np.uint8)
    expected = np.zeros((4, 14, 22, 3), np.uint8)
    for image, result in zip(images, expected, strict=True):
        model.run(image, result)
    rows, together = [], np.zeros_like(expected)
    assert model.run(images, together, lambda row: not rows.append(row))
    assert np.array_equal(together, expected)
    assert rows == list(range(4 * 14))
    assert model.run(images[:0], together[:0])
    assert model.run(images, together, lambda row: row < 20) is False


def test_rows_come_in_order_and_can_end_the_run():
    model = small_model(4)
    image, result = np.zeros((40, 9, 3), np.uint8), np.full((80, 18, 3), 77, np.uint8)
    for _ in range(20):
        rows = []
        assert model.run(image, result, lambda row, rows=rows: not rows.append(row))
        assert rows == list(range(80))
        rows = []
        assert not model.run(image, result, lambda row, rows=rows: rows.append(row) or row < 5)
        assert rows == list(range(6))


def test_an_error_in_the_callback_reaches_the_caller():
    def fail(row):
        raise KeyError("stop")

    model = small_model(3)
    with pytest.raises(KeyError):
        model.run(np.zeros((9, 9, 3), np.uint8), np.zeros((18, 18, 3), np.uint8), fail)
    assert model.run(np.zeros((9, 9, 3), np.uint8), np.zeros((18, 18, 3), np.uint8))


def test_callers_of_one_model_wait_for_each_other():
    model = small_model(2)
    images = np.random.default_rng(1).integers(0, 256, (6, 12, 10, 3), np.uint8)
    expected = np.zeros((6, 24, 20, 3), np.uint8)
    model.run(images, expected)
    results = np.zeros_like(expected)
    callers = [threading.Thread(target=model.run, args=pair) for pair in zip(images, results, strict=True)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert np.array_equal(results, expected)


def test_models_that_share_a_program_run_at_the_same_time():
    """Two runs of which each waits for the other's first row, after the first model is gone."""
    model = small_model(1)
    twins = [model.share(threads) for threads in (1, 2)]
    images = np.random.default_rng(2).integers(0, 256, (2, 12, 10, 3), np.uint8)
    expected = np.zeros((2, 24, 20, 3), np.uint8)
    model.run(images, expected)
    del model
    begun = threading.Barrier(2, timeout=10)
    results = np.zeros_like(expected)

    def run(number):
        twins[number].run(images[number], results[number], lambda row: row > 0 or begun.wait() >= 0)

    callers = [threading.Thread(target=run, args=(number,)) for number in range(2)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert np.array_equal(results, expected)


@pytest.mark.parametrize("kernel", ["dense", "sparse"])
def test_a_shared_program_keeps_its_plan(kernel):
    rng = np.random.default_rng(0)
    conv = graphs.conv(rng, 3, 20)
    graph = graphs.chain("sparse", replace(conv, weight=keep_largest(conv.weight, 1, 3)))
    model = NativeModel(write_native(graph, {}))
    model.set_plan(f'{{"operations": [{{"layer": "n0", "kernel": "{kernel}"}}]}}')
    twin = model.share(1)
    twin.prepare(20, 20)
    assert [operation["kernel"] for operation in twin.plan()["operations"]] == [kernel]


@pytest.mark.parametrize("threads", [0, -1, 257])
def test_impossible_numbers_of_threads(threads):
    with pytest.raises(SparsrError, match="there can be 1 to 256 threads"):
        small_model(threads)
