"""The native engine's masked blocks against the reference executor, on masks drawn pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsr.export.ir import reference
from sparsr.export.lower.from_torch import lower
from sparsr.export.passes import optimise
from sparsr.export.writers.bundle import describe, make_card
from sparsr.export.writers.native import write_native
from sparsr.runtime.engines.native.load import NativeModel
from sparsr.runtime.media.images import read_image
from sparsr.train.importers.models import load_model
from sparsr.train.run.checkpoint import card_for
from tests.export.graphs import chain, conv, drawn_graph, random_image
from tests.runtime.native.native_models import instruction_sets, native_run
from tests.small_networks import small

SETS = instruction_sets()


def draw_mask(draw, height, width):
    """Scattered pixels and rectangles."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    mask = rng.random((height, width)) < draw(st.sampled_from([0, 0.01, 0.05, 0.2, 0.6, 0.95, 1]))
    for _ in range(draw(st.integers(0, 2))):
        top, left = rng.integers(0, height), rng.integers(0, width)
        mask[top : top + rng.integers(1, 12), left : left + rng.integers(1, 12)] = draw(st.booleans())
    return mask


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_mask_any_channels_any_size(data):
    channels = data.draw(st.sampled_from([1, 3, 8, 12, 17, 33]))
    dense = data.draw(st.lists(st.sets(st.integers(0, channels - 1)).map(sorted), min_size=1, max_size=4))
    graph = drawn_graph(channels, dense, data.draw(st.integers(0, 100)))
    height, width = data.draw(st.integers(1, 22)), data.draw(st.integers(1, 40))
    mask = draw_mask(data.draw, height, width)
    image = random_image(graph, height, width)
    image[0, 2] = mask
    expected = reference.run(graph, image)
    for name in SETS:
        model = NativeModel(write_native(graph, {}), name, threads=data.draw(st.integers(1, 2)))
        error = np.abs(native_run(model, image) - expected).max() / np.abs(expected).max()
        assert error < 2e-5, (name, error)
        assert [(found.layer, found.important, found.pixels) for found in model.masks()] == [
            ("block", mask.sum(), mask.size)
        ]


@pytest.mark.parametrize("threads", [1, 2])
def test_one_size_after_another(threads):
    graph = drawn_graph(20, [[0, 3], [1], []], 1)
    model = NativeModel(write_native(graph, {}), threads=threads)
    for size in ((40, 90), (61, 50), (37, 90), (64, 50), (33, 29)):  # a row of a ring takes 3 pages, then 2
        image = random_image(graph, *size)
        expected = reference.run(graph, image)
        assert np.abs(native_run(model, image) - expected).max() < 2e-5 * np.abs(expected).max(), size


def test_a_network_without_masks_has_none():
    graph = chain("plain", conv(np.random.default_rng(0), 3, 3))
    model = NativeModel(write_native(graph, {}))
    native_run(model, random_image(graph, 5, 6))
    assert model.masks() == []


def test_the_card_tells_what_an_image_may_cost():
    network = small("smsr", 2)
    for block in network.body:
        block.body.ch_mask[..., 0], block.body.ch_mask[..., 1] = 0, 1  # no dense channel
    graph = optimise(lower(network, "g"))[0]
    card = make_card(graph, describe(network, card_for(network, "smsr")), [], [])
    assert card.masked.worst == card.gmacs_720p
    assert card.masked.best == pytest.approx(card.gmacs_720p - 2 * (4 * 9 + 4) * 12**2 * 640 * 360 / 1e9)
    assert card.masked.typical == pytest.approx((card.masked.best + card.masked.worst) / 2)


@pytest.fixture(scope="module")
def official(shared_data):
    """(torch network, its optimised graph)."""
    network, _ = load_model(shared_data / "checkpoints/SMSR_x2_model_1000.pt")
    return network.eval(), optimise(lower(network, "smsr"))[0]


@pytest.mark.parametrize("name", SETS)
def test_the_official_network_and_its_masks_equal_the_authors(shared_data, official, name):
    truth = np.load(shared_data / "reference_outputs/SMSR_x2_c32.npz")
    image = truth["c32_lr"].transpose(2, 0, 1)[None].astype(np.float32)
    graph = official[1]
    model = NativeModel(write_native(graph, {}), name)
    assert np.abs(native_run(model, image)[0].transpose(1, 2, 0) - truth["c32_sr"]).max() < 2e-3
    for module, mask in enumerate(model.masks()):
        assert mask.important == truth[f"c32_spa_smm{module}"].sum()
        logits = graph.with_nodes(list(graph.nodes), f"body.{module}.crop")
        found = native_run(NativeModel(write_native(logits, {}), name), image)[0]
        assert np.array_equal(found[1] > found[0], truth[f"c32_spa_smm{module}"] > 0)
        output = graph.with_nodes(list(graph.nodes), f"body.{module}.add")
        features = native_run(NativeModel(write_native(output, {}), name), image)[0]
        expected = truth[f"c32_out_smm{module}"]
        assert np.abs(features - expected).max() < 1e-4 * np.abs(expected).max()


def test_a_whole_image_of_the_official_network(shared_data, official):
    pixels = read_image(shared_data / "benchmarks/Set5/LR_bicubic/X2/womanx2.png").rgb[:113, :171]
    image = pixels.transpose(2, 0, 1)[None].astype(np.float32)
    with torch.no_grad():
        expected = official[0](torch.from_numpy(image.copy())).numpy()
    found = native_run(NativeModel(write_native(official[1], {}), threads=2), image)
    assert np.abs(found - expected).max() < 2e-3
