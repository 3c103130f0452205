"""The estimator in numpy against its torch twin, and what it makes of damaged files."""

import contextlib
import json
import struct

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_adaptive import random_estimator

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.upscale.adaptive.estimator import LUMA, Estimator, load_estimator, metadata
from sparsr.train.adaptive.estimator import EstimatorNetwork, write_estimator

FILE = random_estimator(3)


def picture(height, width):
    rng = np.random.default_rng(height * width)
    coarse = rng.integers(0, 256, (-(-height // 4), -(-width // 4), 3))
    return coarse.repeat(4, 0).repeat(4, 1)[:height, :width].astype(np.uint8)


@pytest.mark.parametrize("patch", [12, 16, 33])
def test_gives_what_torch_gives(patch):
    torch.manual_seed(0)
    network = EstimatorNetwork(4)
    image = picture(2 * patch, 3 * patch)
    patches = torch.tensor(np.dot(image.astype(np.float32), LUMA)).reshape(2, patch, 3, patch).permute(0, 2, 1, 3)
    with torch.no_grad():
        expected = network(patches.reshape(6, patch, patch)).exp().T.reshape(4, 2, 3).numpy()
    found = Estimator.read(write_estimator(network, {}))(image, patch)
    assert found.shape == (4, 2, 3)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_a_patch_is_estimated_alone():
    estimator, image = Estimator.read(FILE), picture(50, 70)
    whole = estimator(image, 16)
    assert whole.shape == (3, 4, 5)
    np.testing.assert_allclose(estimator(image[16:32, 32:48], 16)[:, 0, 0], whole[:, 1, 2], rtol=1e-5)
    edge = np.pad(image[48:, 64:], ((0, 14), (0, 10), (0, 0)), mode="edge")
    np.testing.assert_allclose(estimator(edge, 16)[:, 0, 0], whole[:, 3, 4], rtol=1e-5)


def test_counts_multiply_adds():
    # By hand: 15x15 of 16 x 4x4, 7x7 of 24 x 16 x 3x3, 24 x 32, 32 x 3.
    assert Estimator.read(FILE).macs(32) == 15**2 * 16 * 16 + 7**2 * 24 * 144 + 24 * 32 + 32 * 3


def test_errors_stay_within_what_is_possible():
    found = Estimator.read(random_estimator(2, (1e30, -1e30)))(picture(16, 16), 16)
    np.testing.assert_allclose(found[:, 0, 0], (255**2, 0))


def test_metadata():
    assert metadata(write_estimator(EstimatorNetwork(2), {"patch": "24"})) == {"patch": "24"}


def rewritten(change):
    length = struct.unpack("<Q", FILE[:8])[0]
    header = json.loads(FILE[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + FILE[8 + length :]


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header.pop("conv1.bias"),
        lambda header: header.update({"conv1.weight": 7}),
        lambda header: header["conv1.weight"].update(dtype="F64"),
        lambda header: header["conv1.weight"].update(shape=[16, 1, 4, 2**40]),
        lambda header: header["conv1.weight"].update(shape=[16, 1, -4, -4]),
        lambda header: header["conv2.weight"].update(shape=[16, 24, 3, 3]),
        lambda header: header["dense1.weight"].update(data_offsets=[0, 2**50]),
        lambda header: header["dense1.weight"].update(data_offsets=[-4, 3068]),
        lambda header: header["dense2.bias"].update(shape=[]),
        lambda header: header["dense2.bias"].update(shape=[0], data_offsets=[0, 0]),
    ],
)
def test_refuses_damaged_tensors(change):
    with pytest.raises(SparsrError, match="is not an estimator"):
        load_estimator(rewritten(change), "file")


def test_refuses_weights_that_are_no_numbers():
    network = EstimatorNetwork(2)
    with torch.no_grad():
        network.conv1.weight[0] = torch.nan
    with pytest.raises(SparsrError, match="no numbers"):
        load_estimator(write_estimator(network, {}), "file")


@pytest.mark.parametrize("content", [b"", b"\0" * 8, b"\xff" * 30, struct.pack("<Q", 2) + b"[]", FILE[:100]])
def test_refuses_other_files(content):
    with pytest.raises(SparsrError, match="is not an estimator"):
        load_estimator(content, "file")


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 700), st.binary(min_size=1, max_size=4))
def test_any_damage_is_read_or_refused(position, bytes_):
    damaged = FILE[:position] + bytes_ + FILE[position + len(bytes_) :]
    with contextlib.suppress(ValueError):
        Estimator.read(damaged)
