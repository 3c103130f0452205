"""Reading, checking and writing pictures."""

from __future__ import annotations

import errno
import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.media.images import Picture, list_images, read_image, write_image
from sparsr.runtime.media.metadata import Metadata
from sparsr.runtime.media.png import PngWriter

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def picture(height=7, width=5, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def png(width, height, bits, colour, rows):
    """A PNG file by hand: Pillow cannot write 16-bit colour or a header that lies."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "tiff", "webp", "PNG"])
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (64, 33)])
def test_lossless_formats_return_what_was_written(tmp_path, suffix, size):
    rgb = picture(*size)
    write_image(tmp_path / f"a.{suffix}", rgb)
    np.testing.assert_array_equal(read_image(tmp_path / f"a.{suffix}").rgb, rgb)
    assert [path.name for path in tmp_path.iterdir()] == [f"a.{suffix}"]


def test_jpg_stays_close(tmp_path):
    ramp = np.mgrid[0:64, 0:64].sum(0).astype(np.uint8)
    rgb = np.dstack([ramp, ramp[::-1], np.full_like(ramp, 90)])
    write_image(tmp_path / "a.jpg", rgb)
    assert np.abs(read_image(tmp_path / "a.jpg").rgb.astype(int) - rgb).max() <= 6


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_alpha_is_kept_beside_the_colours(tmp_path, suffix):
    alpha = picture(channels=1)[..., 0]
    alpha[0, 0] = 0
    rgb = picture(seed=1)
    if suffix == "webp":  # the format may change invisible colours
        alpha[alpha == 0] = 1
    write_image(tmp_path / f"a.{suffix}", Picture(rgb, alpha))
    back = read_image(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(back.rgb, rgb)
    np.testing.assert_array_equal(back.alpha, alpha)


@pytest.mark.parametrize("suffix", ["png", "tif", "webp", "jpg"])
def test_colour_profile_is_kept(tmp_path, suffix):
    write_image(tmp_path / f"a.{suffix}", Picture(picture(), metadata=Metadata(icc_profile=SRGB)))
    assert read_image(tmp_path / f"a.{suffix}").metadata.icc_profile == SRGB


def test_grey_becomes_rgb_and_drops_its_grey_profile(tmp_path):
    grey = picture(channels=1)[..., 0]
    Image.fromarray(grey).save(tmp_path / "a.png", icc_profile=SRGB)
    back = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(back.rgb, np.dstack([grey] * 3))
    assert back.alpha is None and back.grey and back.metadata.icc_profile is None


def test_palette_and_bilevel_become_rgb(tmp_path):
    rgb = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)
    Image.fromarray(rgb).quantize(4).save(tmp_path / "p.png")
    assert Image.open(tmp_path / "p.png").mode == "P"
    np.testing.assert_array_equal(read_image(tmp_path / "p.png").rgb, rgb)
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "b.png")
    np.testing.assert_array_equal(read_image(tmp_path / "b.png").rgb[0, :, 0], [255, 0])


def test_transparent_colour_of_a_palette_becomes_alpha(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "p.png", transparency=0)
    back = read_image(tmp_path / "p.png")
    np.testing.assert_array_equal(back.rgb[0, 1], [40, 50, 60])
    np.testing.assert_array_equal(back.alpha, [[0, 255]])


# What a viewer must do with the stored pixels, by the Exif standard.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation_is_applied(tmp_path, orientation, suffix):
    stored = picture(3, 4)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if suffix == "webp" else {}
    Image.fromarray(stored).save(tmp_path / f"a.{suffix}", exif=exif, **options)
    upright = UPRIGHT[orientation](stored)
    np.testing.assert_array_equal(read_image(tmp_path / f"a.{suffix}").rgb, upright)


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation_of_deep_pictures(tmp_path, orientation):
    stored = picture(3, 4).astype(np.uint16) * 250
    tags = [(274, 3, 1, orientation, True)]
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", extratags=tags)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", keep_depth=True).rgb, UPRIGHT[orientation](stored))


def test_image_bomb_is_refused_from_its_header(tmp_path):
    (tmp_path / "bomb.png").write_bytes(png(60000, 60000, 8, 2, [b""]))
    with pytest.raises(SparsrError, match="60000x60000") as caught:
        read_image(tmp_path / "bomb.png")
    assert "limit" in caught.value.hint


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif", "webp"])
def test_pixel_cap_holds_for_every_format(tmp_path, suffix, monkeypatch):
    write_image(tmp_path / f"a.{suffix}", picture(10, 11))
    assert read_image(tmp_path / f"a.{suffix}", max_pixels=110).rgb.shape == (10, 11, 3)

    def fail(*_):
        raise AssertionError("decoded")

    monkeypatch.setattr(Image.Image, "convert", fail)
    with pytest.raises(SparsrError, match="11x10"):
        read_image(tmp_path / f"a.{suffix}", max_pixels=109)


def test_files_that_are_no_images(tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("not an image")
    for path, reason in [
        (tmp_path / "empty.png", "0 bytes"),
        (tmp_path / "text.png", "not an image"),
        (tmp_path / "missing.png", "does not exist"),
        (tmp_path, "is a folder"),
    ]:
        with pytest.raises(SparsrError, match=reason) as caught:
            read_image(path)
        assert str(path) in str(caught.value) and caught.value.hint


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif", "webp"])
def test_truncated_files_are_refused(tmp_path, suffix):
    write_image(tmp_path / f"a.{suffix}", picture(40, 40))
    whole = (tmp_path / f"a.{suffix}").read_bytes()
    for share in (0.02, 0.3, 0.6, *([] if suffix == "jpg" else [0.9])):
        (tmp_path / f"cut.{suffix}").write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(SparsrError):
            read_image(tmp_path / f"cut.{suffix}")


def _encoded(kind):
    buffer = io.BytesIO()
    Image.fromarray(picture(9, 8)).save(buffer, kind)
    return buffer.getvalue()


ENCODED = {kind: _encoded(kind) for kind in ("PNG", "JPEG", "BMP", "TIFF", "WEBP")}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(sorted(ENCODED)), changes=st.lists(st.tuples(st.integers(0), st.integers(0, 255))))
def test_damaged_files_decode_or_raise_our_error(tmp_path, kind, changes):
    data = bytearray(ENCODED[kind])
    for place, value in changes:
        data[place % len(data)] = value
    (tmp_path / "a").write_bytes(data)
    try:
        back = read_image(tmp_path / "a", max_pixels=10_000)
    except SparsrError:
        return
    assert back.rgb.dtype == np.uint8 and back.rgb.shape[2] == 3


def test_unwritable_names_and_sizes_leave_nothing(tmp_path):
    with pytest.raises(SparsrError, match="image format"):
        write_image(tmp_path / "a.heic", picture())
    for name in ("a.jpg", "a.bmp"):
        with pytest.raises(SparsrError, match="transparency"):
            write_image(tmp_path / name, Picture(picture(), picture(channels=1)[..., 0]))
    with pytest.raises(SparsrError, match="20000x1"):
        write_image(tmp_path / "a.webp", picture(1, 20000))
    assert not any(tmp_path.iterdir())


def test_full_disk_keeps_the_old_file(tmp_path, monkeypatch):
    write_image(tmp_path / "a.png", picture())
    before = (tmp_path / "a.png").read_bytes()

    def full(self, strip):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(PngWriter, "write", full)
    with pytest.raises(OSError, match=f"No space left on device: '{tmp_path / 'a.png'}'"):
        write_image(tmp_path / "a.png", picture(seed=2))
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == before


def test_list_images(tmp_path):
    for name in ("b.PNG", "a.jpg", ".hidden.png", "notes.txt", "deep/c.webp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [path.name for path in list_images(tmp_path)] == ["a.jpg", "b.PNG"]
    assert [path.name for path in list_images(tmp_path, recursive=True)] == ["a.jpg", "b.PNG", "c.webp"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(SparsrError, match="no images"):
        list_images(tmp_path / "empty")
    with pytest.raises(SparsrError, match="no folder"):
        list_images(tmp_path / "missing")
