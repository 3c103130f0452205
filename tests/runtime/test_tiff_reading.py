"""TIFF files as programs write them: codecs, channels, pages. Judges: libtiff through ImageMagick, and tifffile."""

import numpy as np
import pytest
from judges import imagemagick
from judges import run as run_tool
from picture_kinds import Doubling, doubled, noise, png, smooth
from PIL import Image

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.media.images import read_image
from sparsr.runtime.media.opening import opened
from sparsr.runtime.upscale.picture_files import upscale_picture

tifffile = pytest.importorskip("tifffile")
TILES = ("-define", "tiff:tile-geometry=16x16")


def upscaled(source, target):
    return upscale_picture(source, target, Doubling(), 10**8)


@pytest.mark.parametrize("tiles", [(), TILES], ids=["strips", "tiles"])
@pytest.mark.parametrize("codec", ["LZW", "ZSTD", "LZMA", "Zip"])
@pytest.mark.parametrize("floating", [False, True])
def test_codecs_that_tifffile_leaves_to_another_package(tmp_path, codec, tiles, floating):
    pixels = noise(23, 37, 3, np.uint16)
    (tmp_path / "a.png").write_bytes(png(pixels))
    kind = ("-depth", "32", "-define", "quantum:format=floating-point") if floating else ()
    run_tool("convert", tmp_path / "a.png", *kind, *tiles, "-compress", codec, tmp_path / "a.tif")
    found = read_image(tmp_path / "a.tif", keep_depth=True).rgb
    expected = imagemagick(tmp_path / "a.tif")
    np.testing.assert_allclose(found * (65535.0 if floating else 1), expected, atol=2 if floating else 0)


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("channels", [1, 3])
def test_samples_that_are_packed(tmp_path, bits, channels):
    pixels = noise(9, 7, channels, np.uint16)
    (tmp_path / "a.png").write_bytes(png(pixels))
    run_tool("convert", tmp_path / "a.png", "-depth", str(bits), tmp_path / "a.tif")
    found = read_image(tmp_path / "a.tif", keep_depth=True).rgb[..., :channels]
    expected = imagemagick(tmp_path / "a.tif", channels="gray" if channels == 1 else "rgb")
    assert found.dtype == np.uint16
    np.testing.assert_allclose(found.astype(int), expected, atol=1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("extra", "alpha"), [(["unspecified"] * 2, False), (["unassalpha", "unspecified"], True)])
def test_channels_beyond_colours_and_transparency_are_left_out_and_named(tmp_path, dtype, extra, alpha):
    """As selections that Photoshop stores: what is not called transparency is none."""
    pixels = noise(9, 7, 5, dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=extra)
    found = read_image(tmp_path / "a.tif", keep_depth=True)
    np.testing.assert_array_equal(found.rgb, pixels[..., :3])
    assert f"left out: {1 if alpha else 2} further channels" in found.remark
    if alpha:
        np.testing.assert_array_equal(found.alpha, pixels[..., 3])
    else:
        assert found.alpha is None


@pytest.mark.parametrize("depth", ["8", "16"])
def test_cmyk_with_transparency(tmp_path, depth):
    colours = np.dstack([smooth(24, 32), np.tile(np.arange(32, dtype=np.uint8) * 8, (24, 1))])
    Image.fromarray(colours).save(tmp_path / "a.png")
    run_tool("convert", tmp_path / "a.png", "-colorspace", "CMYK", "-depth", depth, tmp_path / "a.tif")
    found = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(found.alpha, colours[..., 3])
    seen = colours[..., 3] > 0
    assert np.abs(found.rgb[seen].astype(int) - colours[..., :3][seen]).max() <= 2


@pytest.mark.parametrize("what", ["thumbnail", "mask", "pyramid"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_previews_and_masks_are_no_pages(tmp_path, what, bigtiff):
    with tifffile.TiffWriter(tmp_path / "a.tif", bigtiff=bigtiff) as file:
        for page in range(2):
            file.write(smooth() // (page + 1), photometric="rgb")
            if what == "mask":
                file.write(smooth()[..., 0] > 99, photometric="mask", subfiletype=4)
            else:
                file.write(smooth()[::4, ::4], photometric="rgb", subfiletype=1)
    report = upscaled(tmp_path / "a.tif", tmp_path / "b.tif")
    assert report.frames == 2 and "left out: 2 further pictures" in report.remarks[0]
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        for number, page in enumerate(file.pages):
            np.testing.assert_array_equal(page.asarray(), doubled(smooth() // (number + 1)))
    remarks = upscaled(tmp_path / "a.tif", tmp_path / "b.png").remarks
    assert [remark.split(" of ")[0] for remark in remarks] == ["only the first", "left out: 2 further pictures"]


def test_a_preview_before_the_picture_is_not_the_picture(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(smooth()[::4, ::4], photometric="rgb", subfiletype=1)
        file.write(smooth(), photometric="rgb")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").rgb, smooth())
    with opened(tmp_path / "a.tif") as file:
        assert (file.frames, file.further, file.pages) == (1, 1, False)


def test_what_is_wrong_with_a_tiff_is_said(tmp_path):
    Image.fromarray(smooth()).save(tmp_path / "a.tif")
    content = (tmp_path / "a.tif").read_bytes()
    whole = int.from_bytes(content[4:8], "little")
    (tmp_path / "a.tif").write_bytes(content[: whole // 2] if whole > 100 else content[: whole + 5])
    with pytest.raises(SparsrError, match="cut short"):
        read_image(tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "b.tif", smooth()[..., 0].astype(np.int16))
    with pytest.raises(SparsrError, match="signed"):
        read_image(tmp_path / "b.tif", keep_depth=True)
