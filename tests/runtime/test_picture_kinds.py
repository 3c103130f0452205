"""Formats, depths and colour models: what is read and what is written, by the judgement of other tools."""

import contextlib
import struct

import numpy as np
import pytest
from judges import run as run_tool
from picture_kinds import Doubling, doubled, grey_profile, jpeg, noise, smooth
from PIL import Image, ImageCms

from sparsr import Upscaler
from sparsr.runtime.errors import MisfitError, SparsrError
from sparsr.runtime.media.formats import FORMATS, READ_SUFFIXES
from sparsr.runtime.media.hidden_colour import covered
from sparsr.runtime.media.images import Picture, read_image, write_image
from sparsr.runtime.media.metadata import Metadata
from sparsr.runtime.media.opening import opened
from sparsr.runtime.samples import converted
from sparsr.runtime.upscale import picture_files
from sparsr.runtime.upscale.picture_files import upscale_picture

MANY = 10**8


def upscaled(source, target):
    return upscale_picture(source, target, Doubling(), MANY)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_the_network_gives_deep_pictures_what_it_gives_others(bundle, dtype):
    """16 bits of a picture that has 8: the same result, but for rounding; tiles and alpha as well."""
    image = noise(41, 33, 4)
    image[..., 3] = np.add.outer(np.arange(41), np.arange(33)) * 2
    upscale, tiled = Upscaler(bundle), Upscaler(bundle, tile=16)
    deep = converted(image, np.dtype(dtype))
    for engine in (upscale, tiled):
        found = converted(engine(deep), np.dtype(np.uint8)).astype(int)
        assert np.abs(found - upscale(image)).max() <= 1
        assert engine(deep).dtype == dtype


def test_deep_results_are_finer_than_8_bits(bundle):
    ramp = np.linspace(20000, 24000, 40, dtype=np.uint16)
    found = Upscaler(bundle)(np.broadcast_to(ramp[None, :, None], (40, 40, 3)).copy())
    assert len(np.unique(found)) > 4 * len(np.unique(found // 257))


@pytest.mark.parametrize("engine", ["ort", "native"])
def test_every_engine_takes_deep_pictures(bundle, engine):
    image = noise(20, 21, 3, np.uint16)
    found, expected = Upscaler(bundle, engine)(image).astype(int), Upscaler(bundle)(image)
    assert np.abs(found - expected).max() <= 12


@pytest.mark.parametrize("channels", [3, 4])
def test_pictures_of_opencv(bundle, channels):
    image = noise(20, 21, channels)
    reorder = [2, 1, 0, 3][:channels]
    found = Upscaler(bundle, order="bgr")(image[..., reorder])
    np.testing.assert_array_equal(found[..., reorder], Upscaler(bundle)(image))
    with pytest.raises(SparsrError, match="'grb'"):
        Upscaler(bundle, order="grb")


WRITTEN = [kind for kind in FORMATS if kind.written]


@pytest.mark.parametrize("kind", WRITTEN, ids=lambda kind: kind.name)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_format_that_is_written_is_read(tmp_path, kind, channels):
    target = tmp_path / f"b{kind.suffixes[0]}"
    pixels = smooth()
    shown = np.dstack([pixels, np.full(pixels.shape[:2], 200, np.uint8)]) if channels == 4 else pixels[..., :channels]
    Image.fromarray(shown[..., 0] if channels == 1 else shown).save(tmp_path / "a.png")
    if channels == 4 and not kind.alpha:
        with pytest.raises(MisfitError, match="transparency"):
            upscaled(tmp_path / "a.png", target)
        return
    upscaled(tmp_path / "a.png", target)
    back = read_image(target)
    expected = doubled(shown[..., :3] if channels > 1 else shown.repeat(3, axis=2))
    assert np.abs(back.rgb.astype(int) - expected).mean() < (12 if kind.name == "GIF" else 2)
    assert back.grey == (channels == 1 and kind.grey)


READ = ["heic", "ico", "psd", "dds", "qoi", "sgi", "pcx", "jfif", "ppm", "tga", "jp2", "avif", "gif"]


@pytest.mark.parametrize("suffix", READ)
def test_formats_that_others_write_are_read(tmp_path, suffix):
    path, pixels = tmp_path / f"a.{suffix}", smooth()
    if suffix == "heic":
        pytest.importorskip("pillow_heif").from_pillow(Image.fromarray(pixels)).save(path, quality=95)
    elif suffix in ("psd", "qoi"):
        Image.fromarray(pixels).save(tmp_path / "a.png")
        run_tool("convert", tmp_path / "a.png", path)
    elif suffix == "jfif":
        path.write_bytes(jpeg(pixels))
    else:
        Image.fromarray(pixels).save(path, **({"sizes": [(64, 48)]} if suffix == "ico" else {}))
    found = read_image(path).rgb
    assert found.shape == pixels.shape
    assert np.abs(found.astype(int) - pixels).mean() < 12


def test_heic_of_10_bits_keeps_them(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif")
    pixels = np.broadcast_to(np.arange(0, 65536, 1024, dtype=np.uint16)[:, None, None], (64, 64, 3))
    data = np.ascontiguousarray(pixels).tobytes()
    pillow_heif.from_bytes("RGB;16", (64, 64), data).save(tmp_path / "a.heic", quality=-1)
    found = read_image(tmp_path / "a.heic", keep_depth=True).rgb
    assert found.dtype == np.uint16 and len(np.unique(found)) > 40


@pytest.mark.parametrize("model", ["CMYK", "LAB"])
def test_other_colour_models_are_converted(tmp_path, model):
    """Back to the colours they were made of: Lab through its profile, CMYK without one by the plain formula."""
    image = Image.fromarray(smooth())
    if model == "LAB":
        image = ImageCms.profileToProfile(
            image, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
        )
    else:
        image = image.convert("CMYK")
    image.save(tmp_path / "a.tif")
    back = read_image(tmp_path / "a.tif")
    assert np.abs(back.rgb.astype(int) - smooth()).mean() < 2
    assert back.remark and model.lower() in back.remark.lower()


def test_grey_profiles_stay_or_are_applied(tmp_path):
    """A PNG keeps the profile and its grey values; a WebP, which has no grey, gets the tones a viewer would show."""
    ramp, profile = np.arange(256, dtype=np.uint8).reshape(16, 16), grey_profile(1.0)
    Image.fromarray(ramp).save(tmp_path / "a.png", icc_profile=profile)
    upscaled(tmp_path / "a.png", tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as image:
        assert image.info["icc_profile"] == profile and image.mode == "L"
        np.testing.assert_array_equal(np.asarray(image), doubled(ramp))
    upscaled(tmp_path / "a.png", tmp_path / "b.webp")
    linear = np.arange(256) / 255
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)  # IEC 61966-2-1
    found = np.asarray(Image.open(tmp_path / "b.webp").convert("RGB"))[::2, ::2, 1]
    assert np.abs(found.astype(int) - 255 * srgb.reshape(16, 16)).max() <= 1.5


def test_hidden_colours_do_not_show(tmp_path, bundle):
    """A sprite with black, white and its own colour under alpha 0 looks the same on any ground."""
    y, x = np.mgrid[:40, :60]
    mask = (x - 30) ** 2 + (y - 20) ** 2 < 200
    results = []
    for hidden in ((0, 0, 0), (255, 255, 255), (255, 235, 60)):
        colours = np.where(mask[..., None], (255, 235, 60), hidden)
        Image.fromarray(np.dstack([colours, mask * 255]).astype(np.uint8)).save(tmp_path / "a.png")
        upscale_picture(tmp_path / "a.png", tmp_path / "b.png", Upscaler(bundle), MANY)
        results.append(np.asarray(Image.open(tmp_path / "b.png")))
    np.testing.assert_array_equal(results[0], results[2])
    np.testing.assert_array_equal(results[1], results[2])


def test_what_is_hidden_gets_the_colours_around():
    rgb, alpha = noise(33, 47), np.zeros((33, 47), np.uint8)
    alpha[5:9, 6:12] = 1
    alpha[20:30, 30:] = 255
    rgb[5:9, 6:12], rgb[20:30, 30:] = (10, 20, 30), (200, 100, 0)
    found = covered(rgb, alpha)
    np.testing.assert_array_equal(found[alpha > 0], rgb[alpha > 0])
    assert (found[5:9, 5] == (10, 20, 30)).all() and (found[31, 40] == (200, 100, 0)).all()
    assert found.min() >= 0 and found[..., 2].max() <= 30  # nothing of the noise
    assert covered(rgb, np.full_like(alpha, 9)) is rgb


def bmp_with_alpha(alpha):
    """A BMP with bit masks for red, green, blue and alpha (BITMAPV4HEADER)."""
    pixels = np.dstack([smooth(8, 12)[::-1, :, ::-1], alpha])
    header = struct.pack("<IiiHHIIiiII", 108, 12, 8, 1, 32, 3, pixels.nbytes, 2835, 2835, 0, 0)
    header += struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + b"BGRs" + bytes(48)
    size = 14 + len(header) + pixels.nbytes
    return b"BM" + struct.pack("<IHHI", size, 0, 0, 14 + len(header)) + header + pixels.astype(np.uint8).tobytes()


def test_bmp_whose_alpha_is_unused_is_opaque(tmp_path):
    (tmp_path / "a.bmp").write_bytes(bmp_with_alpha(np.zeros((8, 12))))
    assert read_image(tmp_path / "a.bmp").alpha is None
    (tmp_path / "a.bmp").write_bytes(bmp_with_alpha(np.full((8, 12), 99)))
    assert (read_image(tmp_path / "a.bmp").alpha == 99).all()


def test_a_jpeg_that_ends_early_is_read_with_a_remark(tmp_path):
    whole = jpeg(noise(160, 64), subsampling=0)
    (tmp_path / "a.jpg").write_bytes(whole)
    expected = read_image(tmp_path / "a.jpg")
    assert expected.remark is None
    (tmp_path / "a.jpg").write_bytes(whole[:-2])
    found = read_image(tmp_path / "a.jpg")
    np.testing.assert_array_equal(found.rgb, expected.rgb)
    assert "ends early" in found.remark
    (tmp_path / "a.jpg").write_bytes(whole[: int(len(whole) * 0.96)])
    found = read_image(tmp_path / "a.jpg")
    np.testing.assert_array_equal(found.rgb[:144], expected.rgb[:144])
    (tmp_path / "a.jpg").write_bytes(whole[: int(len(whole) * 0.7)])
    with pytest.raises(SparsrError, match="cut short"):
        read_image(tmp_path / "a.jpg")


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"), (b"<!DOCTYPE html>", "a web page")],
)
def test_what_is_taken_for_a_picture_is_called_what_it_is(tmp_path, content, words):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(SparsrError, match=words):
        read_image(tmp_path / "a.png")


def test_metadata_of_one_kind_is_no_reason_to_fail_for_another(tmp_path):
    report = upscaled(_with_text(tmp_path / "a.png"), tmp_path / "b.jpg")
    assert report.remarks == ("a jpg file has no place for: text of the PNG",)


def _with_text(path):
    write_image(path, Picture(smooth(), metadata=Metadata(chunks=((b"tEXt", b"prompt\0a cat"),))))
    return path


def test_the_decoders_pixels_are_given_back_before_the_work(tmp_path, monkeypatch):
    """They take 4 bytes each, which nobody counts while the network works."""
    files = []

    @contextlib.contextmanager
    def noted(source):
        with opened(source) as file:
            files.append(file)
            yield file

    class Looking(Doubling):
        def _start(self, image, *arguments):
            with pytest.raises((ValueError, AttributeError), match=r"closed|getpixel"):
                files[0].image.getpixel((0, 0))
            yield from super()._start(image, *arguments)

    monkeypatch.setattr(picture_files, "opened", noted)
    Image.fromarray(smooth()).save(tmp_path / "a.png")
    upscale_picture(tmp_path / "a.png", tmp_path / "b.png", Looking(), MANY)
    np.testing.assert_array_equal(read_image(tmp_path / "b.png").rgb, doubled(smooth()))


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("model", ["CMYK", "LAB"])
def test_sixteen_bits_of_cmyk_and_lab_are_those_of_eight(tmp_path, model, planar):
    tifffile = pytest.importorskip("tifffile")
    image = Image.fromarray(smooth(24, 32))
    if model == "LAB":
        image = ImageCms.profileToProfile(
            image, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
        )
    else:
        image = image.convert("CMYK")
    image.save(tmp_path / "eight.tif")
    levels = np.asarray(image)
    deep = levels.astype(np.uint16) * 257
    if model == "LAB":
        deep[..., 1:] = (levels[..., 1:].view(np.int8).astype(np.int16) * 256).view(np.uint16)
    kind = {"CMYK": "separated", "LAB": "cielab"}[model]
    stored = np.moveaxis(deep, -1, 0) if planar else deep
    tifffile.imwrite(tmp_path / "deep.tif", stored, photometric=kind, planarconfig="separate" if planar else "contig")
    found, expected = (read_image(tmp_path / name) for name in ("deep.tif", "eight.tif"))
    np.testing.assert_array_equal(found.rgb, expected.rgb)
    assert found.remark == expected.remark


def test_a_progressive_jpeg_that_ends_early_is_called_coarser(tmp_path):
    """Its first passes hold the whole picture."""
    Image.fromarray(smooth(480, 640)).save(tmp_path / "whole.jpg", progressive=True)
    content = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(content[: len(content) * 9 // 10])
    found = read_image(tmp_path / "cut.jpg")
    assert "coarser" in found.remark
    assert np.abs(found.rgb.astype(int) - smooth(480, 640)).mean() < 8


def test_a_stereo_photo_by_its_ending(tmp_path):
    views = [Image.fromarray(smooth()), Image.fromarray(smooth()[:, ::-1].copy())]
    views[0].save(tmp_path / "a.mpo", save_all=True, append_images=views[1:])
    assert READ_SUFFIXES[".mpo"].name == "MPO"  # so that folders take it
    report = upscaled(tmp_path / "a.mpo", tmp_path / "a.png")
    assert (report.width, report.height) == (128, 96) and "1 further picture" in report.remarks[0]
