"""16 bits and floating point from file to file, by the judgement of other tools."""

import sys

import numpy as np
import pytest
from films import lavfi
from judges import imagemagick, pngcheck
from judges import run as run_tool
from picture_kinds import Doubling, doubled, noise, png
from PIL import Image

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.media.images import Picture, read_image, write_image
from sparsr.runtime.samples import converted
from sparsr.runtime.upscale.picture_files import upscale_picture


def upscaled(source, target):
    return upscale_picture(source, target, Doubling(), 10**8)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_of_16_bits_keeps_every_bit(tmp_path, channels):
    pixels = noise(9, 7, channels, np.uint16)
    (tmp_path / "a.png").write_bytes(png(pixels))
    upscaled(tmp_path / "a.png", tmp_path / "b.png")
    pngcheck(tmp_path / "b.png")
    kind = {1: "gray", 2: "graya", 3: "rgb", 4: "rgba"}[channels]
    np.testing.assert_array_equal(imagemagick(tmp_path / "b.png", channels=kind), doubled(pixels))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiff_is_what_libtiff_reads(tmp_path, channels, dtype):
    pixels = noise(70, 33, channels, dtype)
    alpha = pixels[..., -1] if channels in (2, 4) else None
    colours = pixels[..., :1].repeat(3, axis=2) if channels < 3 else pixels[..., :3]
    write_image(tmp_path / "a.tif", Picture(colours, alpha, grey=channels < 3))
    kind = {1: "gray", 2: "graya", 3: "rgb", 4: "rgba"}[channels]
    found = imagemagick(tmp_path / "a.tif", channels=kind)
    np.testing.assert_array_equal(found, converted(pixels, np.dtype(np.uint16)))
    back = read_image(tmp_path / "a.tif", keep_depth=True)
    np.testing.assert_array_equal(back.rgb, colours)
    assert back.grey == (channels < 3) and back.rgb.dtype == dtype


@pytest.mark.parametrize(
    "options", ["-compress lzw", "-compress zip", "-compress rle", "-endian MSB", "-interlace plane -compress lzw"]
)
def test_tiffs_of_16_bits_as_imagemagick_writes_them(tmp_path, options):
    pixels = noise(40, 31, 3, np.uint16)
    (tmp_path / "a.png").write_bytes(png(pixels))
    run_tool("convert", tmp_path / "a.png", *options.split(), tmp_path / "a.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", keep_depth=True).rgb, pixels)


@pytest.mark.parametrize("channels", [1, 3])
def test_floating_point_goes_in_and_out_of_tiff(tmp_path, channels):
    tifffile = pytest.importorskip("tifffile")
    values = np.random.default_rng(0).uniform(-0.5, 3, (9, 8, channels)).astype(np.float32)
    kind = "rgb" if channels == 3 else "minisblack"
    tifffile.imwrite(tmp_path / "a.tif", values if channels == 3 else values[..., 0], photometric=kind)
    upscaled(tmp_path / "a.tif", tmp_path / "b.tif")
    found = tifffile.imread(tmp_path / "b.tif").reshape(18, 16, channels)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, doubled(values), atol=1e-6)
    report = upscaled(tmp_path / "a.tif", tmp_path / "b.png")
    assert "floating point cut to 16 bits" in report.remarks[0]
    assert np.asarray(Image.open(tmp_path / "b.png")).size == 18 * 16 * channels


TILES = ["-define", "tiff:tile-geometry=16x16"]
PLANES, MSB, GREY = ["-interlace", "plane"], ["-endian", "MSB"], ["-colorspace", "Gray"]


@pytest.mark.parametrize("options", [[], PLANES, MSB, GREY, TILES, TILES + MSB, TILES + GREY, TILES + PLANES])
@pytest.mark.parametrize("depth", ["16", "32", "64"])
def test_floating_point_as_imagemagick_stores_it(tmp_path, depth, options):
    """Compressed, and as differences of bytes."""
    pytest.importorskip("tifffile")
    pixels = noise(23, 31, 3, np.uint16)
    (tmp_path / "a.png").write_bytes(png(pixels))
    kind = ["-depth", depth, "-define", "quantum:format=floating-point", "-compress", "zip"]
    run_tool("convert", tmp_path / "a.png", *options, *kind, tmp_path / "a.tif")
    found = read_image(tmp_path / "a.tif", keep_depth=True)
    channels = "gray" if "Gray" in options else "rgb"
    expected = imagemagick(tmp_path / "a.tif", channels=channels) / 65535
    assert found.rgb.dtype == np.float32
    np.testing.assert_allclose(found.rgb[..., : expected.shape[2]], expected, atol=1e-3 if depth == "16" else 2e-5)


def test_floating_point_without_tifffile_says_what_to_install(tmp_path, monkeypatch):
    """Not that it is compressed, which it is not."""
    Image.fromarray(np.full((3, 4), 0.5, np.float32)).save(tmp_path / "a.tif")
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(SparsrError, match="which take the package tifffile") as caught:
        read_image(tmp_path / "a.tif", keep_depth=True)
    assert caught.value.hint == "pip install 'sparsr[pictures]'"


def test_values_that_are_no_numbers_are_refused(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "a.tif", np.array([[0.5, np.nan]], np.float32))
    with pytest.raises(SparsrError, match="no numbers"):
        read_image(tmp_path / "a.tif", keep_depth=True)


def test_a_format_of_8_bits_rounds_and_says_so(tmp_path):
    pixels = noise(9, 7, 3, np.uint16)
    (tmp_path / "a.png").write_bytes(png(pixels))
    report = upscaled(tmp_path / "a.png", tmp_path / "b.bmp")
    assert report.remarks == ("16 bits a channel cut to 8 bits: a bmp file holds no more",)
    np.testing.assert_array_equal(read_image(tmp_path / "b.bmp").rgb, doubled((pixels + np.int64(128)) // 257))


@pytest.mark.parametrize(("kind", "channels"), [("P2", 1), ("P3", 3)])
def test_samples_written_as_words(tmp_path, kind, channels):
    pixels = noise(5, 4, channels, np.uint16) % 1001
    words = "\n".join(map(str, pixels.ravel()))
    (tmp_path / "a.ppm").write_text(f"{kind}\n# by hand\n4 5 1000\n{words}\n")
    found = read_image(tmp_path / "a.ppm", keep_depth=True).rgb[..., :channels]
    np.testing.assert_array_equal(found, np.round(pixels / 1000 * 65535))
    (tmp_path / "a.ppm").write_text(f"{kind}\n4 5 1000\n{words[:-9]}\n")
    with pytest.raises(SparsrError, match="cut short"):
        read_image(tmp_path / "a.ppm", keep_depth=True)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sgi_of_16_bits(tmp_path, channels):
    pixels = noise(9, 8, channels, np.uint16)
    (tmp_path / "a.png").write_bytes(png(pixels))
    run_tool("convert", tmp_path / "a.png", tmp_path / "a.sgi")
    found = read_image(tmp_path / "a.sgi", keep_depth=True)
    np.testing.assert_array_equal(found.rgb[..., : min(channels, 3)], pixels[..., : min(channels, 3)])
    if channels == 4:
        np.testing.assert_array_equal(found.alpha, pixels[..., 3])


@pytest.mark.parametrize("channels", [1, 3])
def test_ppm_keeps_every_bit(tmp_path, channels):
    pixels = noise(9, 7, channels, np.uint16)
    (tmp_path / "a.png").write_bytes(png(pixels))
    assert upscaled(tmp_path / "a.png", tmp_path / "b.ppm").remarks == ()
    kind = "gray" if channels == 1 else "rgb"
    np.testing.assert_array_equal(imagemagick(tmp_path / "b.ppm", channels=kind), doubled(pixels))


@pytest.mark.parametrize(
    ("primaries", "transfer", "kept"), [("bt2020", "smpte2084", (9, 16)), ("bt709", "bt709", None)]
)
def test_what_avif_says_of_hdr_becomes_what_png_says(tmp_path, primaries, transfer, kept):
    """Without it HDR would be shown dark and grey."""
    picture = "testsrc2=s=64x48,format=yuv420p10le"
    colours = ("-color_primaries", primaries, "-color_trc", transfer, "-colorspace", "bt709", "-color_range", "pc")
    codec = ("-c:v", "libaom-av1", "-still-picture", "1", "-cpu-used", "8")
    lavfi(tmp_path / "a.avif", picture, options=("-frames:v", "1", *colours, *codec))
    report = upscaled(tmp_path / "a.avif", tmp_path / "b.png")
    content = (tmp_path / "b.png").read_bytes()
    assert report.remarks == ()
    assert (b"cICP" in content) == (kept is not None)
    if kept:
        at = content.index(b"cICP")
        assert content[at - 4 : at + 8] == b"\0\0\0\4cICP" + bytes([*kept, 0, 1])
        assert at < content.index(b"IDAT")
        (remark,) = upscaled(tmp_path / "a.avif", tmp_path / "b.tif").remarks
        assert "colour signalling" in remark
