from __future__ import annotations

import numpy as np
import pytest

from sparsr.export.ir import reference
from sparsr.export.ir.layers import Add, DepthToSpace, GlobalMean, MaxPool, Mul, PadEdge
from sparsr.export.ir.receptive import peak_activation_bytes, receptive_radius
from sparsr.export.lower.from_torch import lower
from sparsr.export.passes import optimise
from sparsr.train.networks import build
from tests.export.graphs import RELU, chain, conv, random_image
from tests.small_networks import small

RNG = np.random.default_rng(3)


@pytest.mark.parametrize(
    ("architecture", "scale", "radius"),
    [("ledsr", 2, 35), ("ledsr", 3, 35), ("ledsr", 4, 35), ("edsr", 2, 36), ("edsr", 4, 36), ("carn_m", 4, 21)],
)
def test_radii_of_the_networks(architecture, scale, radius):
    options = {} if architecture == "carn_m" else {"channels": 4}
    graph = lower(build(architecture, scale, **options), "g")
    assert receptive_radius(graph) == radius
    assert receptive_radius(optimise(graph)[0]) == radius


@pytest.mark.parametrize("architecture", ["imdn", "rfdn"])
def test_attention_sees_the_whole_image(architecture):
    assert receptive_radius(lower(small(architecture, 2), "g")) is None


def test_what_the_output_does_not_read_does_not_matter():
    graph = chain("g", ("a", conv(RNG, 3, 3), ["image"]), ("b", GlobalMean(), ["a"]), ("c", RELU, ["a"]))
    assert receptive_radius(graph) == 1
    assert receptive_radius(chain("g", ("a", GlobalMean(), ["image"]), ("b", Mul(), ["image", "a"]))) is None
    assert receptive_radius(chain("g", MaxPool(1, 2))) is None
    assert receptive_radius(chain("g", conv(RNG, 3, 3, stride=2))) is None


LOPSIDED = conv(RNG, 3, 3, padding=(2, 1, 0, 1))
GRAPHS = {
    "ledsr": lambda: lower(build("ledsr", 2, channels=4, blocks=1), "g"),
    "edsr x2": lambda: lower(build("edsr", 2, channels=4, blocks=1), "g"),
    "edsr x3": lambda: lower(build("edsr", 3, channels=4, blocks=1), "g"),
    "edsr x4": lambda: lower(build("edsr", 4, channels=4, blocks=1), "g"),
    "replicated border": lambda: chain("g", PadEdge((2,) * 4), conv(RNG, 3, 3, 5, padding=(0, 0, 0, 0))),
    "lopsided padding": lambda: chain("g", LOPSIDED),
    "two paths": lambda: chain("g", conv(RNG, 3, 3, 5), ("s", conv(RNG, 3, 3), ["image"]), (Add(), ["n0", "s"])),
    "fine taps": lambda: chain("g", conv(RNG, 3, 12), DepthToSpace(2), conv(RNG, 3, 3, 7), scale=2),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_a_changed_pixel_reaches_the_radius_and_not_beyond(name):
    graph = GRAPHS[name]()
    radius = receptive_radius(graph)
    size = 2 * radius + 7
    centre = size // 2
    image = random_image(graph, size, size)
    changed = image.copy()
    changed[:, :, centre, centre] = graph.value_range - changed[:, :, centre, centre]
    different = (reference.run(graph, image) != reference.run(graph, changed)).any(axis=(0, 1))
    cells = different.reshape(size, graph.scale, size, graph.scale).any(axis=(1, 3))  # by input pixel
    rows, columns = np.nonzero(cells)
    assert max(abs(rows - centre).max(), abs(columns - centre).max()) == radius


def test_peak_memory_of_a_chain_is_its_largest_pair_of_maps():
    graph = chain("g", conv(RNG, 3, 8), conv(RNG, 8, 16), conv(RNG, 16, 4))
    assert peak_activation_bytes(graph, 5, 7) == 4 * 5 * 7 * (8 + 16)


def test_peak_memory_counts_skips_until_their_last_reader():
    layers = [("head", conv(RNG, 3, 8), ["image"]), ("a", conv(RNG, 8, 20), ["head"]), ("b", conv(RNG, 20, 8), ["a"])]
    graph = chain("g", *layers, ("c", Add(), ["b", "head"]), ("d", conv(RNG, 8, 40), ["c"]))
    assert peak_activation_bytes(graph, 3, 3) == 4 * 9 * (8 + 40)
    assert peak_activation_bytes(graph.with_nodes(list(graph.nodes[:4]), "c"), 3, 3) == 4 * 9 * (8 + 20 + 8)


def test_peak_memory_of_ledsr_is_three_maps_of_the_stream():
    graph, _ = optimise(lower(build("ledsr", 2, channels=48), "g"))
    # the long skip, the block's input, and its inner map or result: 4 with nothing computed in place
    assert peak_activation_bytes(graph, 10, 10) == 4 * 100 * 4 * 48
