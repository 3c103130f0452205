"""Frames of animated PNGs as the standard puts them together. Judges: a naive reference, and ffmpeg."""

import struct
import zlib

import numpy as np
import pytest
from judges import ffmpeg
from picture_kinds import Doubling, chunk
from PIL import Image

from sparsr.runtime.upscale.picture_files import upscale_picture

HEIGHT, WIDTH, FRAMES = 9, 12, 5
CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # of colour types
DISPOSALS, BACKGROUND, PREVIOUS = 3, 1, 2


def packed(pixels):
    big = pixels.astype(pixels.dtype.newbyteorder(">"))
    return zlib.compress(b"".join(b"\0" + row.tobytes() for row in big))


def as_rgba(pixels):
    """Samples of 8 bits as float64 [h, w, 4]."""
    opaque = np.full(pixels.shape[:2], 255)
    colours = pixels[..., :1].repeat(3, axis=2) if pixels.shape[2] < 3 else pixels[..., :3]
    return np.dstack([colours, pixels[..., -1] if pixels.shape[2] in (2, 4) else opaque]).astype(float)


def over(above, below):
    """Each pixel by itself, as section 13.16 has it."""
    result = np.zeros_like(above)
    for place in np.ndindex(above.shape[:2]):
        a, b = above[place][3] / 255, below[place][3] / 255
        total = a + b * (1 - a)
        if total:
            result[place][:3] = (above[place][:3] * a + below[place][:3] * b * (1 - a)) / total
        result[place][3] = 255 * total
    return result


def animation(seed, colour_type, hidden, dtype=np.uint8):
    """(a file of frames at random places, its frames as float64 [h, w, 4]); hidden: a first picture is not one."""
    rng, channels = np.random.default_rng(seed), CHANNELS[colour_type]
    depth = 8 * np.dtype(dtype).itemsize
    file = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, colour_type, 0, 0, 0))
    file += chunk(b"acTL", struct.pack(">II", FRAMES, 0))
    canvas, frames, sequence = np.zeros((HEIGHT, WIDTH, 4)), [], 0

    def noise(height, width):
        pixels = rng.integers(0, 256, (height, width, channels), dtype=np.uint8)
        if channels in (2, 4):
            pixels[..., -1] = rng.choice([0, 255, 255, 128], (height, width))
        return pixels

    def stored(pixels):
        return packed(pixels if dtype == np.uint8 else pixels.astype(np.uint16) * 257)

    if hidden:
        file += chunk(b"IDAT", stored(noise(HEIGHT, WIDTH)))
    for number in range(FRAMES):
        height, width = (int(rng.integers(1, side + 1)) if number else side for side in (HEIGHT, WIDTH))
        top, left = int(rng.integers(0, HEIGHT - height + 1)), int(rng.integers(0, WIDTH - width + 1))
        disposal, blending = int(rng.integers(0, DISPOSALS)), int(rng.integers(0, 2))
        pixels = noise(height, width)
        fields = sequence, width, height, left, top, 1, 10, disposal, blending
        file += chunk(b"fcTL", struct.pack(">IIIIIHHBB", *fields))
        sequence += 1
        if number or hidden:
            file += chunk(b"fdAT", struct.pack(">I", sequence) + stored(pixels))
            sequence += 1
        else:
            file += chunk(b"IDAT", stored(pixels))
        before, where = canvas.copy(), (slice(top, top + height), slice(left, left + width))
        canvas[where] = np.round(over(as_rgba(pixels), canvas[where])) if blending else as_rgba(pixels)
        frames.append(canvas.copy())
        if disposal == BACKGROUND or (disposal == PREVIOUS and not number):
            canvas[where] = 0
        elif disposal == PREVIOUS:
            canvas = before
    return file + chunk(b"IEND", b""), frames


def upscaled_frames(folder):
    report = upscale_picture(folder / "a.png", folder / "b.png", Doubling(), 10**8)
    with Image.open(folder / "b.png") as image:
        assert image.n_frames == report.frames
        found = []
        for number in range(image.n_frames):
            image.seek(number)
            found.append(np.asarray(image.convert("RGBA"))[::2, ::2].astype(float))
    return found, report.remarks


def assert_alike(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one[..., 3], other[..., 3], atol=1)
        seen = (one[..., 3] > 0) & (other[..., 3] > 0)
        np.testing.assert_allclose(one[seen], other[seen], atol=3)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("colour_type", CHANNELS)
def test_frames_lie_over_each_other_as_the_standard_says(tmp_path, colour_type, seed):
    content, expected = animation(seed, colour_type, hidden=seed % 3 == 0)
    (tmp_path / "a.png").write_bytes(content)
    found, remarks = upscaled_frames(tmp_path)
    assert_alike(found, expected)
    assert any("know no animations" in remark for remark in remarks) == (seed % 3 == 0)


@pytest.mark.parametrize("colour_type", CHANNELS)
def test_animations_of_16_bits_are_cut_to_8(tmp_path, colour_type):
    content, expected = animation(1, colour_type, False, np.uint16)
    (tmp_path / "a.png").write_bytes(content)
    found, remarks = upscaled_frames(tmp_path)
    assert_alike(found, expected)
    assert "cut to 8" in remarks[0]


@pytest.mark.parametrize("seed", range(4))
def test_frames_are_those_of_ffmpeg(tmp_path, seed):
    content, _ = animation(seed, 6, hidden=False)
    (tmp_path / "a.png").write_bytes(content)
    raw = ffmpeg("-f", "apng", "-i", tmp_path / "a.png", "-vsync", "0", "-f", "rawvideo", "-pix_fmt", "rgba", "-")
    judged = np.frombuffer(raw, np.uint8).reshape(-1, HEIGHT, WIDTH, 4).astype(float)
    found, _ = upscaled_frames(tmp_path)
    assert_alike(found, [*judged])
