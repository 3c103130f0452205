"""The PNG writer: Pillow and the bytes of its own filter definitions are the truth."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.media.metadata import Metadata
from sparsr.runtime.media.png import PngWriter


def written(pixels, cuts=(), profile=None):
    file = io.BytesIO()
    writer = PngWriter(file, pixels.shape, pixels.dtype, Metadata(icc_profile=profile))
    for strip in np.split(pixels, sorted(cuts)):
        writer.write(strip)
    writer.finish()
    file.seek(0)
    return file


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 90), st.integers(1, 40), st.sampled_from([1, 2, 3, 4]), st.lists(st.integers(0, 89), max_size=4))
def test_pillow_reads_back_every_pixel(height, width, channels, cuts):
    rng = np.random.default_rng(height * width)
    noise = rng.integers(0, 256, (height, width, channels), dtype=np.uint8)
    smooth = np.cumsum(np.cumsum(noise % 3, axis=0, dtype=np.uint8), axis=1, dtype=np.uint8)
    for pixels in (noise, smooth):
        with Image.open(written(pixels, [cut for cut in cuts if cut < height])) as image:
            image.load()
            assert image.mode == ("L", "LA", "RGB", "RGBA")[channels - 1]
            assert (np.asarray(image).reshape(pixels.shape) == pixels).all()


def test_colour_profile():
    pixels = np.zeros((2, 2, 3), np.uint8)
    with Image.open(written(pixels, profile=b"profile bytes")) as image:
        assert image.info["icc_profile"] == b"profile bytes"


def test_filters_make_photos_about_as_small_as_pillow_does():
    rows, columns = np.mgrid[:200, :300]
    waves = [128 + 100 * np.sin(rows / 17 + channel) * np.cos(columns / 23) for channel in range(3)]
    pixels = np.stack(waves, axis=-1).astype(np.uint8)
    reference = io.BytesIO()
    Image.fromarray(pixels).save(reference, "PNG")
    assert len(written(pixels).getvalue()) < 1.15 * len(reference.getvalue())


def test_missing_rows_and_impossible_sizes():
    writer = PngWriter(io.BytesIO(), (3, 2, 3), np.dtype(np.uint8), Metadata())
    writer.write(np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(ValueError, match="1 rows are missing"):
        writer.finish()
    with pytest.raises(SparsrError):
        PngWriter(io.BytesIO(), (2**31, 1, 3), np.dtype(np.uint8), Metadata())
