"""Animations and pages: every frame, as long as it is shown. Judges: ImageMagick, ffprobe, pngcheck."""

import numpy as np
import pytest
from judges import ffprobe, identify, pngcheck
from picture_kinds import Doubling, noise, smooth
from PIL import Image, ImageSequence

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.upscale.picture_files import upscale_picture

MANY = 10**8
DURATIONS = [50, 120, 200, 80]


def frames(alpha=False):
    result = []
    for number in range(len(DURATIONS)):
        pixels = np.roll(smooth(24, 32), 5 * number, axis=1)
        if alpha:
            pixels = np.dstack([pixels, np.where(np.arange(32) // 8 == number, 0, 255)[None].repeat(24, 0)])
        result.append(Image.fromarray(pixels.astype(np.uint8)))
    return result


def save(path, images, **options):
    images[0].save(path, save_all=True, append_images=images[1:], **options)
    return path


def shown(path):
    """(pixels, milliseconds) of every frame as Pillow puts it together."""
    with Image.open(path) as image:
        return [(np.asarray(f.convert("RGBA")), f.info.get("duration")) for f in ImageSequence.Iterator(image)]


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("target", ["png", "webp", "gif"])
@pytest.mark.parametrize("source", ["png", "webp", "gif"])
def test_every_frame_and_its_time(tmp_path, source, target, alpha):
    options = {"lossless": True} if source == "webp" else {"disposal": 2} if source == "gif" else {}
    path = save(tmp_path / f"a.{source}", frames(alpha), duration=DURATIONS, loop=3, **options)
    report = upscale_picture(path, tmp_path / f"b.{target}", Doubling(), MANY)
    assert report.frames == 4 and not report.remarks
    before, after = shown(path), shown(tmp_path / f"b.{target}")
    assert [round(time) for _, time in after] == DURATIONS
    for (old, _), (new, _) in zip(before, after, strict=True):
        expected = old.repeat(2, axis=0).repeat(2, axis=1)
        np.testing.assert_array_equal(expected[..., 3], new[..., 3])
        visible = expected[..., 3] > 0
        difference = np.abs(expected[visible].astype(int) - new[visible]).mean()
        assert difference < (9 if target == "gif" else 0.01)
    with Image.open(tmp_path / f"b.{target}") as image:
        assert image.info["loop"] == 3


def test_other_tools_see_the_animation(tmp_path):
    path = save(tmp_path / "a.gif", frames(), duration=DURATIONS, loop=0)
    upscale_picture(path, tmp_path / "b.gif", Doubling(), MANY)
    assert identify(tmp_path / "b.gif", "%w %h %T") == [f"64 48 {time // 10}" for time in DURATIONS]
    upscale_picture(path, tmp_path / "b.png", Doubling(), MANY)
    pngcheck(tmp_path / "b.png")
    stream = ffprobe(tmp_path / "b.png", "-count_frames", "-show_streams", "-f", "apng")["streams"][0]
    assert (stream["width"], stream["height"], stream["nb_read_frames"]) == (64, 48, "4")


def test_avif_sequences(tmp_path):
    path = save(tmp_path / "a.avif", frames(), duration=DURATIONS, quality=90)
    assert upscale_picture(path, tmp_path / "b.avif", Doubling(), MANY).frames == 4
    assert [round(time) for _, time in shown(tmp_path / "b.avif")] == DURATIONS


def test_pages_keep_their_sizes_and_depths(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    pages = [noise(9, 8, 3), noise(20, 11, 3, np.uint16), noise(5, 6, 1)[..., 0]]
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for page in pages:
            writer.write(page, photometric="rgb" if page.ndim == 3 else "minisblack")
    assert upscale_picture(tmp_path / "a.tif", tmp_path / "b.tif", Doubling(), MANY).frames == 3
    with tifffile.TiffFile(tmp_path / "b.tif") as found:
        assert len(found.pages) == 3
        for page, before in zip(found.pages, pages, strict=True):
            np.testing.assert_array_equal(page.asarray(), before.repeat(2, axis=0).repeat(2, axis=1))


@pytest.mark.parametrize(("source", "words"), [("a.gif", "first of 4 frames"), ("a.tif", "first of 4 pages")])
def test_what_holds_one_picture_gets_the_first_and_it_is_said(tmp_path, source, words):
    save(tmp_path / source, frames())
    report = upscale_picture(tmp_path / source, tmp_path / "b.jpg", Doubling(), MANY)
    assert report.frames == 1 and any(words in remark for remark in report.remarks)


def test_animations_that_do_not_fit_into_memory_are_refused_before_the_work(tmp_path):
    path = save(tmp_path / "a.gif", frames(), duration=DURATIONS)
    small = Doubling()
    small.max_memory = 20_000
    with pytest.raises(SparsrError, match="4 frames of 64x48") as caught:
        upscale_picture(path, tmp_path / "b.webp", small, MANY)
    assert "png" in caught.value.hint
    assert upscale_picture(path, tmp_path / "b.png", small, MANY).frames == 4
