"""Files written strip by strip: any decoder finds the picture that was written at once, whatever the strips."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.media import jpeg, tiff
from sparsr.runtime.media.formats import FORMATS
from sparsr.runtime.media.jpeg import QUALITY
from sparsr.runtime.media.metadata import Metadata
from sparsr.runtime.media.strip_writers import strip_writer

BY_NAME = {kind.name: kind for kind in FORMATS}


def picture(height, width, channels, seed=0):
    """Smooth and noisy parts."""
    rng = np.random.default_rng(seed)
    smooth = np.add.outer(np.arange(height) * 3, np.arange(width) * 5)[..., None] + np.arange(channels) * 40
    noise = rng.integers(0, 256, (height, width, channels))
    mixed = np.where(np.arange(width)[:, None] % 32 < 16, smooth % 255, noise)
    return mixed.astype(np.uint8) | 1  # nowhere transparent: webp drops the colours there


def written(tmp_path, kind, image, cuts=(), icc_profile=None):
    """The file's content, written in strips that end at `cuts`."""
    path = tmp_path / "written"
    with path.open("wb") as file:
        writer = strip_writer(file, BY_NAME[kind], image.shape, image.dtype, Metadata(icc_profile=icc_profile))
        for strip in np.split(image, sorted(cuts)):
            writer.write(strip)
        writer.finish()
    return path.read_bytes()


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "BMP", "TGA", "JPEG2000"])
@settings(max_examples=20, deadline=None)
@given(st.integers(1, 150), st.integers(1, 70), st.sampled_from([3, 4]), st.lists(st.integers(0, 150), max_size=4))
def test_lossless_files_hold_the_picture(tmp_path_factory, kind, height, width, channels, cuts):
    if kind == "BMP" and channels == 4:
        return
    image = picture(height, width, channels)
    content = written(tmp_path_factory.getbasetemp(), kind, image, [min(cut, height) for cut in cuts])
    with Image.open(io.BytesIO(content)) as found:
        assert found.format == kind
        assert np.array_equal(np.asarray(found.convert("RGBA" if channels == 4 else "RGB")), image)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 700), st.integers(1, 90), st.lists(st.integers(0, 700), max_size=4))
def test_a_jpg_has_the_pixels_of_one_encoded_at_once(tmp_path_factory, height, width, cuts):
    image = picture(height, width, 3)
    content = written(tmp_path_factory.getbasetemp(), "JPEG", image, [min(cut, height) for cut in cuts])
    at_once = io.BytesIO()
    Image.fromarray(image).save(at_once, "JPEG", **QUALITY)
    with Image.open(io.BytesIO(content)) as found, Image.open(at_once) as expected:
        assert found.size == (width, height)
        assert np.array_equal(np.asarray(found), np.asarray(expected))


def test_another_decoder_reads_the_jpg(tmp_path):
    """FFmpeg's, which has nothing in common with Pillow's."""
    av = pytest.importorskip("av")
    image = picture(600, 200, 3)
    path = tmp_path / "a.jpg"
    path.write_bytes(written(tmp_path, "JPEG", image))
    with av.open(str(path)) as reader:
        frame = next(reader.decode(video=0)).to_ndarray(format="rgb24")
    with Image.open(path) as found:
        assert np.abs(frame.astype(int) - np.asarray(found)).mean() < 1.5


def test_a_jpg_as_wide_as_they_get(tmp_path):
    image = np.full((70, jpeg.MAX_SIDE, 3), 99, np.uint8)
    with Image.open(io.BytesIO(written(tmp_path, "JPEG", image))) as found:
        assert np.abs(np.asarray(found).astype(int) - 99).max() <= 1


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_the_colour_profile_is_kept(tmp_path, kind):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    with Image.open(io.BytesIO(written(tmp_path, kind, picture(80, 9, 3), [3], profile))) as found:
        assert found.info["icc_profile"] == profile


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP"])
def test_missing_rows_are_noticed(tmp_path, kind):
    with (tmp_path / "a").open("wb") as file:
        writer = strip_writer(file, BY_NAME[kind], (9, 9, 3), np.dtype(np.uint8), Metadata())
        writer.write(picture(8, 9, 3))
        with pytest.raises(ValueError, match="1 rows are missing"):
            writer.finish()


def test_a_tif_never_grows_beyond_its_offsets(tmp_path, monkeypatch):
    monkeypatch.setattr(tiff, "_MOST_BYTES", 3000)
    with pytest.raises(SparsrError, match="at most 4 GiB"):
        written(tmp_path, "TIFF", picture(100, 100, 3))
