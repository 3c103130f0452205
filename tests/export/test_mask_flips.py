"""Comparing networks given the same masks: a pixel that rounding turned is found, any other difference stays."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from sparsr.export.lower.from_torch import lower
from sparsr.export.parity import certificate as parity
from sparsr.export.parity.certificate import Probe, Stage
from sparsr.export.parity.mask_flips import LARGEST_MARGIN, NOISE, as_torch, settler
from sparsr.export.parity.stages import torch_run
from sparsr.export.passes import optimise
from sparsr.export.writers.native import write_native
from sparsr.runtime.engines.native.load import NativeModel
from sparsr.runtime.errors import CheckFailedError
from sparsr.runtime.media.images import read_image
from sparsr.train.importers.models import load_model
from tests.runtime.native.native_models import native_run
from tests.small_networks import image, small

HEIGHT, WIDTH = 19, 24


def shifted(network, difference, block=0):
    """The same network, whose logits for "important" are larger by `difference` in one block."""
    other = copy.deepcopy(network)
    other.body[block].spa_mask[5].bias[1] += difference
    return other


def logit_difference(network, picture, block=0):
    """([h, w] of a block's mask, the largest logit)."""
    found = []
    handle = network.body[block].body.register_forward_pre_hook(lambda _, inputs: found.append(inputs[1][0]))
    network(picture)
    handle.remove()
    return (found[0][1] - found[0][0]).numpy(), float(found[0].abs().max())


@pytest.fixture
def on_the_edge():
    """(network, image, its largest logit): one pixel's decision is a matter of rounding, all others are far."""
    network = small("smsr", 2)
    for module in network.body:
        module.body.ch_mask[..., 0], module.body.ch_mask[..., 1] = 0, 1  # every channel hangs on the mask
    picture = image(network, HEIGHT, WIDTH)
    difference, largest = logit_difference(network, picture)
    edge = np.sort(difference.ravel())[difference.size // 2]
    network = shifted(network, 1e-6 * largest - edge)
    return network, picture.numpy(), largest


def test_a_pixel_turned_by_rounding_is_found(on_the_edge):
    network, picture, largest = on_the_edge
    truth, other = (torch_run(of, 255) for of in (network, shifted(network, -2e-6 * largest)))
    expected, found = truth(picture), other(picture)
    assert np.abs(found - expected).max() > 1e-4 * 255
    settled = settler(network, 255)(picture, expected, found)
    assert np.abs(found - settled.output).max() < NOISE * 255
    assert len(settled.margins) == 1 and 0 < settled.margins[0] < 2e-6


def test_the_certificate_counts_it_and_passes(on_the_edge):
    network, picture, largest = on_the_edge
    stages = [Stage("rounded", lambda: torch_run(shifted(network, -2e-6 * largest), 255))]
    lines = []
    trial = parity.Trial(
        [Probe("edge", picture, False)], [torch_run(network, 255)(picture)], 255, settler(network, 255)
    )
    differences = parity.certify(trial, stages, lines.append)
    lines += parity.table(differences)
    (entry,) = parity.certificate(differences)
    assert entry.flips == 1 and 0 < entry.flip_margin < 2e-6 and entry.max_abs < NOISE
    assert any("1 mask pixel" in line for line in lines)
    with pytest.raises(CheckFailedError, match="rounded"):  # and without knowing of masks it would not
        parity.certify(replace(trial, settle=as_torch), stages, lines.append)


def test_a_pixel_turned_by_more_fails(on_the_edge):
    network, picture, largest = on_the_edge
    wrong = shifted(network, 3e-2 * largest)
    difference, _ = logit_difference(network, torch.from_numpy(picture))
    turned = (difference <= 0) & (difference + 3e-2 * largest > 0)
    assert turned.any() and np.abs(difference[turned]).min() > LARGEST_MARGIN * largest
    stages = [Stage("wrong", lambda: torch_run(wrong, 255))]
    trial = parity.Trial(
        [Probe("edge", picture, False)], [torch_run(network, 255)(picture)], 255, settler(network, 255)
    )
    with pytest.raises(CheckFailedError, match="wrong"):
        parity.certify(trial, stages, print)


def test_any_other_difference_stays(on_the_edge):
    network, picture, _ = on_the_edge
    expected = torch_run(network, 255)(picture)
    found = expected.copy()
    found[0, 1, 7, 9] += 1
    settled = settler(network, 255)(picture, expected, found)
    assert np.abs(found - settled.output).max() > 0.9
    assert np.isnan(settler(network, 255)(picture, expected, np.full_like(expected, np.nan)).output).sum() == 0


def test_a_network_without_masks_is_compared_as_it_is():
    assert settler(small("edsr", 2), 255) is as_torch


@pytest.fixture(scope="module")
def official(shared_data):
    """(torch network, its native program)."""
    network, _ = load_model(shared_data / "checkpoints/SMSR_x2_model_1000.pt")
    return network, write_native(optimise(lower(network.eval(), "smsr"))[0], {})


@pytest.mark.parametrize("name", ["Set5/LR_bicubic/X2/birdx2", "Set14/LR_bicubic/X2/zebrax2"])
def test_whole_images_of_the_official_network_given_the_same_masks(shared_data, official, name):
    network, program = official
    pixels = read_image(shared_data / f"benchmarks/{name}.png").rgb
    picture = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32)
    expected = torch_run(network, 255)(picture)
    found = native_run(NativeModel(program), picture)
    settled = settler(network, 255)(picture, expected, found)
    assert np.abs(found - settled.output).max() < 1e-3
    assert len(settled.margins) <= 2 and all(margin < 1e-6 for margin in settled.margins)
