"""Self-ensemble: against the one of `train eval`, and by what it must be symmetric to."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sparsr import Upscaler
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.upscale.ensemble import EnsembleUpscaler
from sparsr.train.networks import build
from sparsr.train.quality.evaluate import upscale


def picture(height, width, channels=3, dtype=np.uint8):
    values = np.random.default_rng(1).integers(0, 256, (height, width, channels))
    return (values * (257 if dtype == np.uint16 else 1)).astype(dtype)


@pytest.fixture
def ensemble(bundle):
    return EnsembleUpscaler(Upscaler(bundle, "native", threads=1, max_memory=2**40))


@pytest.mark.parametrize(("height", "width"), [(9, 14), (17, 16), (1, 3)])
def test_it_is_the_mean_that_eval_measures(ensemble, height, width):
    torch.manual_seed(0)
    network = build("ledsr", 2, channels=8, blocks=2).eval()
    image = picture(height, width) // 8 + 112
    expected = upscale(network, image, ensemble=True).astype(int)
    result = ensemble(image)
    assert result.dtype == np.uint8
    # eval averages before what lies outside 0..255 is cut off: here nothing does.
    assert expected.min() > 1 and expected.max() < 254
    assert np.abs(result - expected).max() <= 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_turned_picture_gives_the_turned_result(ensemble, dtype):
    image = picture(11, 8, 4, dtype)
    if dtype == np.float32:
        image /= 255
    plain = ensemble(image).astype(np.float64)
    step = {np.uint8: 1, np.uint16: 1, np.float32: 1e-5}[dtype]
    for turned, back in ((image[::-1], plain[::-1]), (image.transpose(1, 0, 2), plain.transpose(1, 0, 2))):
        assert np.abs(ensemble(np.ascontiguousarray(turned)) - back).max() <= step


def test_colours_of_opencv_and_too_little_memory(bundle, ensemble):
    image = picture(7, 9)
    reversed_ = EnsembleUpscaler(Upscaler(bundle, "native", threads=1, max_memory=2**40, order="bgr"))
    assert np.array_equal(reversed_(np.ascontiguousarray(image[..., ::-1]))[..., ::-1], ensemble(image))
    ensemble.max_memory = ensemble.held + 1000
    with pytest.raises(SparsrError, match="few for a self-ensemble of 9x7"):
        ensemble(image)
