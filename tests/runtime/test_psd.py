"""Photoshop's pictures: every depth, transparency of every colour mode, selections. Judge: ImageMagick."""

import struct

import numpy as np
import pytest
from judges import exiftool, imagemagick, run
from picture_kinds import Doubling, doubled, noise, png

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.media.images import read_image
from sparsr.runtime.upscale.picture_files import upscale_picture

HEIGHT, WIDTH = 21, 30
GREY, RGB, CMYK = 1, 3, 4


def psd(channels, mode, resources=(), layers=None, blocks=(), packed=False):
    """A file with that composite: [n, h, w] of any depth."""
    count, height, width = channels.shape
    stored = channels.astype(channels.dtype.newbyteorder(">"))
    parts = [struct.pack(">4sH6xHIIHH", b"8BPS", 1, count, height, width, 8 * channels.itemsize, mode), bytes(4)]
    body = b"".join(b"8BIM" + struct.pack(">HHI", kind, 0, len(data)) + data for kind, data in resources)
    parts.append(struct.pack(">I", len(body)) + body)
    info = b"" if layers is None else struct.pack(">Ih", 2, layers)
    tail = b"".join(b"8BIM" + key + struct.pack(">I", len(data)) + data for key, data in blocks)
    if tail and not info:
        info = bytes(4)
    info += bytes(4) * bool(tail) + tail
    parts.append(struct.pack(">I", len(info)) + info)
    if not packed:
        return b"".join([*parts, b"\0\0", stored.tobytes()])
    rows = [b"".join(bytes((0, byte)) for byte in row.tobytes()) for plane in stored for row in plane]  # runs of one
    return b"".join([*parts, b"\0\1", *(struct.pack(">H", len(row)) for row in rows), *rows])


def upscaled(folder, content, name="out.png"):
    (folder / "in.psd").write_bytes(content)
    return upscale_picture(folder / "in.psd", folder / name, Doubling(), 10**8)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("kind", ["gray", "graya", "rgb", "rgba"])
def test_what_imagemagick_writes(tmp_path, kind, bits):
    channels = {"gray": 1, "graya": 2, "rgb": 3, "rgba": 4}[kind]
    pixels = noise(HEIGHT, WIDTH, channels, np.uint8 if bits == 8 else np.uint16)
    if channels in (2, 4):
        pixels[..., -1] |= 1 << (bits - 1)  # nowhere so transparent that colours are replaced
    (tmp_path / "a.png").write_bytes(png(pixels))
    run("convert", tmp_path / "a.png", "-compress", "RLE", tmp_path / "in.psd")
    upscale_picture(tmp_path / "in.psd", tmp_path / "out.png", Doubling(), 10**8)
    found = imagemagick(tmp_path / "out.png", channels=kind)
    np.testing.assert_array_equal(found, doubled(pixels).astype(np.uint16) * (257 if bits == 8 else 1))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_packed_and_plain_rows(tmp_path, dtype, packed):
    planes = np.moveaxis(noise(HEIGHT, WIDTH, 3, dtype), 2, 0)
    (tmp_path / "in.psd").write_bytes(psd(planes, RGB, packed=packed))
    np.testing.assert_array_equal(read_image(tmp_path / "in.psd", keep_depth=True).rgb, np.moveaxis(planes, 0, 2))


@pytest.mark.parametrize(("mode", "colours"), [(GREY, 1), (RGB, 3), (CMYK, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_selection_is_no_transparency(tmp_path, mode, colours, dtype):
    """The number of layers is negative where the first further channel is the composite's transparency."""
    planes = np.full((colours + 1, HEIGHT, WIDTH), np.iinfo(dtype).max, dtype)
    planes[-1, :10] //= 2
    named = [(1006, b"\x07Alpha 1")]
    for content, alpha in (
        (psd(planes, mode, named), False),
        (psd(planes, mode, named, layers=2), False),
        (psd(planes, mode, named, layers=-1), True),
        (psd(planes, mode, named, blocks=[(b"Lr16", struct.pack(">hxx", -3))]), True),
        (psd(planes, mode, named, blocks=[(b"abcd", b"12345678"), (b"Mt16", b"")]), True),
        (psd(planes, mode), True),
    ):
        report = upscaled(tmp_path, content)
        found = imagemagick(tmp_path / "out.png", channels="rgba")[..., 3]
        assert any("1 further channel" in remark for remark in report.remarks) != alpha
        assert sorted(set(found.ravel() >> 8)) == ([0x7F, 0xFF] if alpha else [0xFF])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_ink_becomes_colour(tmp_path, dtype):
    """Cyan in full; no ink is the largest value."""
    planes = np.full((4, HEIGHT, WIDTH), np.iinfo(dtype).max, dtype)
    planes[0] = 0
    upscaled(tmp_path, psd(planes, CMYK))
    assert set(map(tuple, imagemagick(tmp_path / "out.png").reshape(-1, 3) >> 8)) == {(0, 255, 255)}


def test_floating_point_stays_in_tiff(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    planes = np.random.default_rng(0).uniform(0, 2, (3, HEIGHT, WIDTH)).astype(np.float32)
    upscaled(tmp_path, psd(planes, RGB), "out.tif")
    np.testing.assert_allclose(tifffile.imread(tmp_path / "out.tif"), doubled(np.moveaxis(planes, 0, 2)), atol=1e-6)


def test_what_the_file_says_is_kept(tmp_path):
    exif = b"MM\0*" + struct.pack(">IHHHII", 8, 1, 0x010F, 2, 6, 26) + bytes(4) + b"Maker\0"
    resolution = struct.pack(">IHHIHH", 150 << 16, 1, 1, 75 << 16, 1, 1)
    planes = np.zeros((3, HEIGHT, WIDTH), np.uint8)
    upscaled(tmp_path, psd(planes, RGB, [(1005, resolution), (1058, exif), (1057, b"\0\0\0\1\1")]))
    found = exiftool(tmp_path / "out.png")
    assert found["IFD0:Make"] == "Maker"
    assert [found[f"PNG-pHYs:PixelsPerUnit{axis}"] for axis in "XY"] == [5906, 2953]


def test_layers_without_a_composite_are_refused(tmp_path):
    planes = np.full((3, HEIGHT, WIDTH), 255, np.uint8)
    with pytest.raises(SparsrError, match=r"in\.psd has layers alone") as caught:
        upscaled(tmp_path, psd(planes, RGB, [(1057, b"\0\0\0\1\0")], layers=2))
    assert "compatibility" in caught.value.hint


@pytest.mark.parametrize("cut", [20, 60, 2000])
def test_a_file_that_breaks_off(tmp_path, cut):
    content = psd(np.zeros((3, HEIGHT, WIDTH), np.uint16), RGB)
    with pytest.raises(SparsrError, match=r"in\.psd"):
        upscaled(tmp_path, content[:cut])
