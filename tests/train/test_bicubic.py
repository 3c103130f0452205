"""The bicubic against the official LR images and against a naive reading of MATLAB's imresize."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.media.images import list_images, read_image
from sparsr.train.data.bicubic import crop_to_multiple, downscale, upscale


def naive_resize_rows(image, output, factor):
    """imresize along the first dimension, sample by sample as documented."""

    def kernel(x):
        x = abs(x)
        if x <= 1:
            return 1.5 * x**3 - 2.5 * x**2 + 1
        return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x <= 2 else 0.0

    length, stretch = len(image), min(factor, 1)
    result = np.empty((output, *image.shape[1:]))
    for i in range(output):
        centre = (i + 0.5) / factor - 0.5
        total, weights = 0.0, 0.0
        for j in range(math.floor(centre - 2 / stretch) - 1, math.ceil(centre + 2 / stretch) + 2):
            mirrored = j % (2 * length)
            mirrored = mirrored if mirrored < length else 2 * length - 1 - mirrored
            weight = kernel(stretch * (centre - j))
            total, weights = total + weight * image[mirrored].astype(float), weights + weight
        result[i] = total / weights
    return np.clip(np.floor(result + 0.5), 0, 255).astype(np.uint8)


def naive_resize(image, height, width, factor):
    rows = naive_resize_rows(image, height, factor)
    return naive_resize_rows(rows.swapaxes(0, 1), width, factor).swapaxes(0, 1)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_official_lr_images_bit_for_bit(shared_data, scale):
    compared = 0
    for name in ("Set5", "Set14"):
        folder = shared_data / "benchmarks" / name
        for path in list_images(folder / "HR"):
            official = read_image(folder / f"LR_bicubic/X{scale}/{path.stem}x{scale}.png").rgb
            np.testing.assert_array_equal(downscale(crop_to_multiple(read_image(path).rgb, scale), scale), official)
            compared += 1
    assert compared == 19  # 57 over the three scales


shapes = st.tuples(st.integers(1, 23), st.integers(1, 23), st.sampled_from([1, 3]))


@settings(max_examples=30, deadline=None)
@given(shape=shapes, scale=st.sampled_from([2, 3, 4]), seed=st.integers(0, 99))
def test_any_size_agrees_with_the_naive_reading(shape, scale, seed):
    image = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    height, width, _ = shape
    shrunk = naive_resize(image, math.ceil(height / scale), math.ceil(width / scale), 1 / scale)
    enlarged = naive_resize(image, height * scale, width * scale, scale)
    # Sums in another order may fall on the other side of a half.
    assert np.abs(downscale(image, scale).astype(int) - shrunk).max() <= 1
    assert np.abs(upscale(image, scale).astype(int) - enlarged).max() <= 1
    assert (downscale(image, scale) == shrunk).mean() > 0.95
    assert (upscale(image, scale) == enlarged).mean() > 0.95


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_flat_images_stay_flat(scale):
    image = np.full((11, 8, 3), 77, np.uint8)
    assert (downscale(image, scale) == 77).all() and (upscale(image, scale) == 77).all()


def test_grey_without_a_channel_dimension():
    image = np.random.default_rng(0).integers(0, 256, (12, 9), dtype=np.uint8)
    np.testing.assert_array_equal(downscale(image, 3), downscale(image[..., None], 3)[..., 0])


def test_crop_to_multiple():
    assert crop_to_multiple(np.zeros((13, 9, 3), np.uint8), 4).shape == (12, 8, 3)
    assert crop_to_multiple(np.zeros((12, 8), np.uint8), 4).shape == (12, 8)


def test_nothing_to_resize():
    with pytest.raises(SparsrError, match="without pixels"):
        downscale(np.zeros((0, 4, 3), np.uint8), 2)
