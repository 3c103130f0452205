"""GIF animations as people have them: parts, what becomes of them, odd sizes and endings. Judge: ImageMagick."""

import struct

import numpy as np
import pytest
from judges import imagemagick_frames, run
from picture_kinds import Doubling, smooth
from PIL import Image, ImageSequence

from sparsr.runtime.media.frames import positions
from sparsr.runtime.media.images import read_frame
from sparsr.runtime.media.opening import opened
from sparsr.runtime.upscale.picture_files import upscale_picture


def made(path, *disposals):
    """A whole frame and small ones at different places; of each is said what becomes of it."""
    Image.fromarray(smooth()).save(path.with_suffix(".png"))
    parts = ["-dispose", "none", path.with_suffix(".png")]
    for number, disposal in enumerate(disposals):
        place = f"+{9 * number + 3}+{7 * number + 2}"
        parts += ["-dispose", disposal, "(", path.with_suffix(".png"), "-negate", "-crop", f"20x15{place}", ")"]
    run("convert", "-delay", "7", *parts, "-loop", "3", path)
    return path


def read(path):
    """Frames as uint8 [h, w, 4], and what is said of them."""
    with opened(path) as file:
        found = [read_frame(file) for _ in positions(file)]
    opaque = np.full(found[0].rgb.shape[:2], 255, np.uint8)
    frames = [np.dstack([one.rgb, opaque if one.alpha is None else one.alpha]) for one in found]
    return frames, {one.remark for one in found}


def assert_as_judged(frames, path):
    judged = imagemagick_frames(path)
    assert len(frames) == len(judged)
    for found, expected in zip(frames, judged, strict=True):
        np.testing.assert_array_equal(found[..., 3], expected[..., 3])
        visible = expected[..., 3] > 0
        np.testing.assert_array_equal(found[visible], expected[visible])


@pytest.mark.parametrize(
    "disposals",
    [
        ("none", "none", "none"),
        ("background", "background", "none"),
        ("previous", "previous", "previous"),
        ("none", "previous", "background", "none"),
        ("background", "previous", "none", "previous"),
    ],
)
def test_frames_are_put_together_as_they_are_shown(tmp_path, disposals):
    frames, remarks = read(made(tmp_path / "a.gif", *disposals))
    assert remarks == {None}
    assert_as_judged(frames, tmp_path / "a.gif")


def test_frames_are_read_in_any_order(tmp_path):
    made(tmp_path / "a.gif", "background", "previous", "none")
    expected, _ = read(tmp_path / "a.gif")
    with opened(tmp_path / "a.gif") as file:
        for number in (2, 0, 3, 1, 1):
            file.image.seek(number)
            visible = expected[number][..., 3] > 0
            np.testing.assert_array_equal(read_frame(file).rgb[visible], expected[number][visible][:, :3])
        with pytest.raises(EOFError):
            file.image.seek(4)


def test_a_first_frame_larger_than_the_screen_makes_it_larger(tmp_path):
    """As in browsers; a later one is cut off."""
    content = bytearray(made(tmp_path / "a.gif", "none").read_bytes())
    content[6:10] = struct.pack("<HH", 32, 24)
    (tmp_path / "b.gif").write_bytes(content)
    frames, _ = read(tmp_path / "b.gif")
    np.testing.assert_array_equal(frames, read(tmp_path / "a.gif")[0])


def test_what_breaks_off_gives_the_frames_that_are_whole(tmp_path):
    content = made(tmp_path / "a.gif", "none", "none", "none").read_bytes()
    expected, _ = read(tmp_path / "a.gif")
    (tmp_path / "b.gif").write_bytes(content[:-1])  # without its last byte, which only says that it ends
    np.testing.assert_array_equal(read(tmp_path / "b.gif")[0], expected)
    (tmp_path / "b.gif").write_bytes(content[:-9])
    frames, remarks = read(tmp_path / "b.gif")
    np.testing.assert_array_equal(frames, expected[:3])
    assert "breaks off" in remarks.pop()
    report = upscale_picture(tmp_path / "b.gif", tmp_path / "c.gif", Doubling(), 10**8)
    assert report.frames == 3 and "breaks off" in report.remarks[0]


def test_colours_that_clear_are_no_colours(tmp_path):
    """An animation whose frames are cleared has holes, though no frame has a transparent pixel."""
    upscale_picture(made(tmp_path / "a.gif", "background", "none"), tmp_path / "b.webp", Doubling(), 10**8)
    with Image.open(tmp_path / "b.webp") as image:
        found = [np.asarray(frame.convert("RGBA"))[::2, ::2] for frame in ImageSequence.Iterator(image)]
    assert_as_judged(found, tmp_path / "a.gif")


def test_a_single_frame_smaller_than_the_screen_lets_the_ground_show(tmp_path):
    """As browsers show it; where the frame lies is said in its descriptor."""
    image = Image.new("P", (10, 8), 1)
    image.putpalette([0, 0, 255, 255, 0, 0])
    image.save(tmp_path / "a.gif")
    content = bytearray((tmp_path / "a.gif").read_bytes())
    at = content.index(b",\0\0\0\0")
    content[6:10], content[at + 1 : at + 5] = struct.pack("<HH", 20, 16), struct.pack("<HH", 5, 4)
    (tmp_path / "a.gif").write_bytes(content)
    (frame,), remarks = read(tmp_path / "a.gif")
    inside = np.zeros((16, 20), bool)
    inside[4:12, 5:15] = True
    np.testing.assert_array_equal(frame[..., 3], 255 * inside)
    assert (frame[inside][:, :3] == (255, 0, 0)).all() and remarks == {None}
