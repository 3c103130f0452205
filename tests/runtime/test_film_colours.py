"""What values of frames mean, from film to film: range, depth. Judges: ffprobe, and the planes FFmpeg decodes."""

import numpy as np
import pytest
from films import lavfi, streams, upscaled
from judges import ffmpeg

RAMP = "nullsrc=s=64x48:r=10:d=0.2,format={},geq=lum='{}*X':cb={}:cr={}"
X265 = ("-c:v", "libx265", "-x265-params", "log-level=none:lossless=1")
FULL = {
    "h264": ("mp4", "yuvj420p", ("-c:v", "libx264", "-qp", "0")),
    "mjpeg": ("avi", "yuvj420p", ("-c:v", "mjpeg", "-q:v", "1")),
    "mjpeg of 4:2:2": ("mov", "yuvj422p", ("-c:v", "mjpeg", "-q:v", "1")),
    "hevc of 10 bits": ("mkv", "yuv420p10le", X265),
    "vp9": ("webm", "yuv420p", ("-c:v", "libvpx-vp9", "-lossless", "1")),
    "without loss": ("mkv", "yuv420p", ("-c:v", "ffv1")),
}


def luma(path, dtype):
    """The middle row of the first frame's brightness, as it is stored."""
    video = streams(path)["streams"][0]
    raw = ffmpeg("-i", path, "-frames:v", "1", "-f", "rawvideo", "-")
    plane = np.frombuffer(raw, dtype)[: video["width"] * video["height"]]
    return plane.reshape(video["height"], video["width"])[video["height"] // 2].astype(int)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov", "webm"])
@pytest.mark.parametrize("kind", FULL)
def test_full_range_stays_full(tmp_path, kind, suffix):
    ending, pixels, options = FULL[kind]
    steps, grey = (16, 512) if "10" in pixels else (4, 128)
    ramp = RAMP.format(pixels, steps, grey, grey)
    source = lavfi(tmp_path / f"in.{ending}", ramp, options=(*options, "-pix_fmt", pixels, "-color_range", "pc"))
    assert streams(source)["streams"][0]["color_range"] == "pc"
    remarks = upscaled(source, tmp_path / f"out.{suffix}").remarks
    assert not any("range" in remark for remark in remarks)
    assert streams(tmp_path / f"out.{suffix}")["streams"][0]["color_range"] == "pc"
    dtype = np.uint16 if steps == 16 else np.uint8
    before, after = luma(source, dtype), luma(tmp_path / f"out.{suffix}", dtype)
    assert before.min() < steps and before.max() > 62 * steps
    assert np.abs(after[::2] - before).mean() < steps / 2  # limited range would be 16 off at the ends


def test_limited_range_stays_limited(tmp_path):
    source = lavfi(tmp_path / "in.mkv", RAMP.format("yuv420p", 3, 128, 128), options=("-c:v", "ffv1"))
    upscaled(source, tmp_path / "out.mp4")
    assert streams(tmp_path / "out.mp4")["streams"][0]["color_range"] == "tv"
    before, after = luma(source, np.uint8), luma(tmp_path / "out.mp4", np.uint8)
    inside = (before >= 16) & (before <= 235)
    assert np.abs(after[::2] - before)[inside].mean() < 2


def test_an_encoder_that_knows_no_full_range_is_named(tmp_path):
    """ProRes, which mov has for transparency."""
    picture = "color=red@0.5:s=64x48:r=10:d=0.2,format=yuva420p"
    source = lavfi(tmp_path / "in.mkv", picture, options=("-c:v", "ffv1", "-color_range", "pc"))
    remarks = upscaled(source, tmp_path / "out.mov").remarks
    assert len(remarks) == 1 and "full range" in remarks[0]


@pytest.mark.parametrize(("pixels", "said"), [("yuv420p10le", False), ("yuv420p12le", True), ("yuv420p16le", True)])
def test_bits_that_are_cut_are_said(tmp_path, pixels, said):
    source = lavfi(tmp_path / "in.mkv", RAMP.format(pixels, 16, 512, 512), options=("-c:v", "ffv1", "-strict", "-2"))
    remarks = upscaled(source, tmp_path / "out.mkv").remarks
    assert any("bits a channel become 10" in remark for remark in remarks) == said
