"""Animations and pages: every frame, as long as it is shown. Judges: ImageMagick, ffprobe, pngcheck."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from judges import ffmpeg, ffprobe, identify, imagemagick_frames, pngcheck
from picture_kinds import Doubling, noise, smooth
from PIL import Image, ImageSequence

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.media.animations import write_animation
from sparsr.runtime.media.formats import READ_SUFFIXES
from sparsr.runtime.media.frames import Timing
from sparsr.runtime.media.metadata import Metadata
from sparsr.runtime.upscale.picture_files import upscale_picture

ROOT = Path(__file__).resolve().parents[2]
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
    with pytest.raises(SparsrError, match="frames of 64x48") as caught:
        upscale_picture(path, tmp_path / "b.webp", small, MANY)
    assert "png" in caught.value.hint
    assert upscale_picture(path, tmp_path / "b.png", small, MANY).frames == 4


# The process tells its own peak: getrusage would tell that of the test's process, inherited when it was forked.
PEAK = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from picture_kinds import Doubling
from sparsr.runtime.memory import give_back_at_once
from sparsr.runtime.upscale.picture_files import upscale_picture
give_back_at_once()
upscale_picture(Path(sys.argv[1]), Path(sys.argv[2]), Doubling(), 10**8)
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("suffix", "block"), [("gif", 8), ("webp", 8), ("png", 8), ("avif", 4)])
def test_memory_does_not_grow_with_the_number_of_frames(tmp_path, suffix, block):
    """Not by half of what 250 frames more hold; what is compressed is held."""
    picture, peaks = noise(15, 20).repeat(block, axis=0).repeat(block, axis=1), []
    height, width = 2 * len(picture), 2 * picture.shape[1]
    for count in (50, 300):
        images = [Image.fromarray(np.roll(picture, 3 * number, axis=1)) for number in range(count)]
        source = save(tmp_path / f"{count}.{suffix}", images, duration=40, speed=10)
        del images
        command = [sys.executable, "-c", PEAK, source, tmp_path / f"out.{suffix}", Path(__file__).parent]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
        peaks.append(int(done.stdout) * 1024)
        with Image.open(tmp_path / f"out.{suffix}") as image:
            assert (image.n_frames, image.size) == (count, (width, height))
    assert peaks[1] - peaks[0] < 250 * height * width * 3 / 2


def test_gif_stores_what_has_changed_and_every_time(tmp_path):
    """Frames that are equal, changed in one place, and transparent here and there, shown for odd times."""
    first = smooth(24, 32)
    second = first.copy()
    second[5:9, 20:31] = 255 - second[5:9, 20:31]
    times = [33.3, 33.3, 33.4, 0, 1000]
    images = [Image.fromarray(pixels) for pixels in (first, first, second, first, second)]
    with (tmp_path / "a.png").open("wb") as file:  # Pillow would join frames that are equal
        arrays = (np.asarray(image) for image in images)
        write_animation(file, READ_SUFFIXES[".png"], arrays, Metadata(), Timing(tuple(times)))
    upscale_picture(tmp_path / "a.png", tmp_path / "b.gif", Doubling(), MANY)
    assert identify(tmp_path / "b.gif", "%T") == ["3", "4", "3", "0", "100"]
    assert identify(tmp_path / "b.gif", "%wx%h%O")[1:3] == ["1x1+0+0", "22x8+40+10"]
    for found, pixels in zip(
        imagemagick_frames(tmp_path / "b.gif"), (first, first, second, first, second), strict=True
    ):
        expected = pixels.repeat(2, axis=0).repeat(2, axis=1)
        assert np.abs(found[..., :3].astype(int) - expected).mean() < 3 and (found[..., 3] == 255).all()


def test_gif_frames_with_holes_do_not_shine_through(tmp_path):
    path = save(tmp_path / "a.webp", frames(alpha=True), duration=100, lossless=True)
    upscale_picture(path, tmp_path / "b.gif", Doubling(), MANY)
    for number, found in enumerate(imagemagick_frames(tmp_path / "b.gif")):
        expected = np.where(np.arange(64) // 16 == number, 0, 255)
        np.testing.assert_array_equal(found[..., 3], expected[None].repeat(48, 0))
    assert len(imagemagick_frames(tmp_path / "b.gif")) == 4


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_frames_without_a_time_stay_so(tmp_path, suffix):
    path = save(tmp_path / f"a.{suffix}", frames(), duration=0)
    upscale_picture(path, tmp_path / f"b.{suffix}", Doubling(), MANY)
    assert [time or 0 for _, time in shown(tmp_path / f"b.{suffix}")] == [0, 0, 0, 0]


def test_what_fails_between_frames_is_said_as_it_is(tmp_path):
    """Not as a fault of the encoder that asks for the next frame."""

    class Failing(Doubling):
        left = 2

        def __call__(self, image, *, reserve=0):
            self.left -= 1
            if self.left < 0:
                raise OSError(28, "No space left on device")
            return super().__call__(image)

    path = save(tmp_path / "a.webp", frames(), duration=100)
    with pytest.raises(OSError, match="No space left"):
        upscale_picture(path, tmp_path / "b.webp", Failing(), MANY)
    assert not (tmp_path / "b.webp").exists()


@pytest.mark.parametrize("suffix", ["webp", "png"])
def test_turned_animations(tmp_path, suffix):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(tmp_path / f"a.{suffix}", frames(), duration=50, exif=exif, **{"lossless": True})
    report = upscale_picture(path, tmp_path / f"b.{suffix}", Doubling(), MANY)
    assert (report.width, report.height) == (48, 64)
    for (old, _), (new, _) in zip(shown(path), shown(tmp_path / f"b.{suffix}"), strict=True):
        np.testing.assert_array_equal(np.rot90(old, -1).repeat(2, axis=0).repeat(2, axis=1), new)


def test_a_picture_apart_from_the_animation_is_named(tmp_path):
    path = save(tmp_path / "a.png", [Image.new("RGB", (32, 24), "red"), *frames()], duration=50, default_image=True)
    report = upscale_picture(path, tmp_path / "b.png", Doubling(), MANY)
    assert report.frames == 4 and "viewers that know no animations" in report.remarks[0]
    np.testing.assert_array_equal(shown(tmp_path / "b.png")[0][0][::2, ::2, :3], np.asarray(frames()[0]))


def test_frames_of_16_bits_are_cut_and_it_is_said(tmp_path):
    pattern = ("-f", "lavfi", "-i", "testsrc2=s=32x24:r=10:d=0.4,format=rgb48be")
    ffmpeg(*pattern, "-f", "apng", tmp_path / "a.png")
    report = upscale_picture(tmp_path / "a.png", tmp_path / "b.png", Doubling(), MANY)
    assert report.frames == 4 and "cut to 8" in report.remarks[0]
