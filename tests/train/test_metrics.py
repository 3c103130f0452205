"""PSNR and SSIM against scikit-image, closed forms and the published figures."""

from __future__ import annotations

import json
import math
from functools import partial

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from sparsr.runtime.errors import SparsrError
from sparsr.train.data import bicubic
from sparsr.train.quality.evaluate import measure
from sparsr.train.quality.metrics import psnr_y, rgb_to_y, ssim_y


def pair(height=40, width=31, seed=0):
    generator = np.random.default_rng(seed)
    hr = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
    noisy = hr + generator.normal(0, 20, hr.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8), hr


def test_luma_of_the_corners_of_the_colour_cube():
    corners = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    # ITU-R BT.601 studio range
    np.testing.assert_allclose(rgb_to_y(corners)[0], [16, 235, 81.481, 144.553, 40.966], atol=1e-9)


def test_psnr_of_a_known_difference():
    hr = np.full((20, 20, 3), 100, np.uint8)
    step = 10 * (65.481 + 128.553 + 24.966) / 255
    assert psnr_y(hr + 10, hr, 2) == pytest.approx(20 * math.log10(255 / step), abs=1e-9)
    assert psnr_y(hr, hr, 2) == math.inf


def test_the_border_does_not_count():
    sr, hr = pair()
    spoiled = sr.copy()
    spoiled[:3] = spoiled[-3:] = 0
    spoiled[:, :3] = spoiled[:, -3:] = 0
    assert psnr_y(spoiled, hr, 3) == psnr_y(sr, hr, 3) != psnr_y(spoiled, hr, 2)
    assert ssim_y(spoiled, hr, 3) == ssim_y(sr, hr, 3) != ssim_y(spoiled, hr, 2)


@pytest.mark.parametrize("size", [(40, 31), (15, 15), (64, 17)])
@pytest.mark.parametrize("border", [2, 0])
def test_ssim_agrees_with_scikit_image(size, border):
    sr, hr = pair(*size)
    inside = np.s_[border : size[0] - border, border : size[1] - border]
    _, similarity = structural_similarity(
        rgb_to_y(sr)[inside],
        rgb_to_y(hr)[inside],
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
        full=True,
    )
    assert ssim_y(sr, hr, border) == pytest.approx(similarity[5:-5, 5:-5].mean(), abs=1e-9)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_gives_the_reference_figures(shared_data, scale):
    reference = json.loads((shared_data / "reference_metrics.json").read_text())["sets"]["Set5"]
    expected = reference[f"BICUBIC_x{scale}"]
    found = measure(partial(bicubic.upscale, scale=scale), shared_data / "benchmarks/Set5/HR", scale)
    assert found.mean.psnr == pytest.approx(expected["mean"]["psnr_y"], abs=0.002)
    assert found.mean.ssim == pytest.approx(expected["mean"]["ssim_y"], abs=0.0002)
    for name, score in found.images.items():
        single = expected["per_image"][name.removesuffix(".png")]
        assert score.psnr == pytest.approx(single["psnr_y"], abs=0.002)
        assert score.ssim == pytest.approx(single["ssim_y"], abs=0.0002)


def test_images_that_cannot_be_compared():
    sr, hr = pair()
    with pytest.raises(SparsrError, match="different sizes"):
        psnr_y(sr[:-1], hr, 2)
    with pytest.raises(SparsrError, match="nothing inside"):
        psnr_y(sr[:4], hr[:4], 2)
    with pytest.raises(SparsrError, match="11 pixels"):
        ssim_y(sr[:14], hr[:14], 2)
