"""Images of many sizes one after the other: what is left of one never shows in the next, and memory does not grow."""

from __future__ import annotations

import numpy as np
import pytest

from sparsr.export.lower.from_torch import lower
from sparsr.export.passes import optimise
from sparsr.export.writers.native import write_native
from sparsr.runtime.engines.native.load import NativeModel
from sparsr.train.networks import build
from tests.export import graphs
from tests.runtime.native.native_models import instruction_sets, native_run
from tests.small_networks import EVERY_NETWORK, small

SIZES = ((40, 33), (33, 40), (18, 70), (64, 17), (16, 16), (90, 21), (40, 33))


def assert_nothing_is_left(graph, instruction_set=None, threads=1):
    """After images of nothing but NaN in every size, which reach all memory, as a model that has seen none."""
    content = write_native(graph, {})
    used = NativeModel(content, instruction_set, threads=threads)
    for number, (height, width) in enumerate(SIZES):
        image = graphs.random_image(graph, height, width)
        result = native_run(used, image)
        assert np.array_equal(result, native_run(NativeModel(content, instruction_set), image)), (graph.name, number)
        native_run(used, np.full_like(image, np.nan))


@pytest.mark.parametrize(("architecture", "scale"), EVERY_NETWORK)
def test_every_network(architecture, scale):
    assert_nothing_is_left(optimise(lower(small(architecture, scale), architecture))[0])


@pytest.mark.parametrize("instruction_set", instruction_sets())
def test_every_instruction_set(instruction_set):
    assert_nothing_is_left(lower(small("rfdn", 2), "rfdn"), instruction_set, threads=2)


@pytest.mark.parametrize("instruction_set", instruction_sets())
def test_masked_blocks(instruction_set):
    rng = np.random.default_rng(0)
    assert_nothing_is_left(graphs.masked_graph(rng, 6, [[0, 2, 5], [1], [], [3, 4]]), instruction_set)


def test_memory_does_not_grow_with_the_number_of_sizes():
    content = write_native(lower(build("rfdn", 2).eval().requires_grad_(False), "rfdn"), {})
    fresh = NativeModel(content)
    fresh.prepare(96, 96)
    most = fresh.info.buffer_bytes * 5 // 4
    model = NativeModel(content, max_bytes=2 * most)
    for number in range(30):
        side = 96 - 8 * (number % 8)
        model.run(np.zeros((side, 96 - number, 3), np.uint8), np.zeros((2 * side, 192 - 2 * number, 3), np.uint8))
        assert model.info.buffer_bytes <= most
