"""Sound that the target's container cannot hold is encoded anew, at its time. Judges: ffprobe and ffmpeg."""

import numpy as np
import pytest
from films import PATTERN, lavfi, streams, upscaled
from judges import ffmpeg

RATE = 8000
BURST = "aevalsrc='if(between(t,0.5,0.9),0.5*sin(880*2*PI*t),0)':d=1.4:s={}"
FILMS = {
    "wmv": ("wmv2", "wmav2", "44100"),
    "avi": ("mjpeg", "adpcm_ms", "22050"),
    "mov": ("mjpeg", "pcm_mulaw", "8000"),
    "mkv": ("libx264", "truehd", "48000"),
    "mp4": ("libx264", "aac", "44100"),
}
ANEW = {("wmv", "mkv"), ("wmv", "mp4"), ("wmv", "mov"), ("mkv", "mp4"), ("mkv", "mov"), ("mov", "mkv"), ("mov", "mp4")}
ANEW |= {("avi", "mp4"), ("avi", "mkv"), ("avi", "mov")}


def burst(path):
    """When the tone begins and ends, in seconds of the film."""
    options = ("-map", "0:a", "-ac", "1", "-ar", str(RATE), "-af", "aresample=async=1:first_pts=0")
    wave = np.abs(np.frombuffer(ffmpeg("-copyts", "-i", path, *options, "-f", "s16le", "-"), np.int16).astype(int))
    loud = np.flatnonzero(wave > 3000)
    return loud[0] / RATE, loud[-1] / RATE


@pytest.mark.parametrize("target", ["mp4", "mkv", "mov", "webm"])
@pytest.mark.parametrize("suffix", FILMS)
def test_sound_stays_at_its_time(tmp_path, suffix, target):
    video, sound, rate = FILMS[suffix]
    options = ("-c:v", video, "-c:a", sound, "-strict", "-2", "-metadata:s:a", "language=eng")
    source = lavfi(tmp_path / f"in.{suffix}", PATTERN.format(1.4), BURST.format(rate), options=options)
    remarks = upscaled(source, tmp_path / f"out.{target}").remarks
    anew = target == "webm" or (suffix, target) in ANEW
    assert [remark.split(" anew as ")[0][-7:] for remark in remarks if "sound" in remark] == ["encoded"] * anew
    found = [one for one in streams(tmp_path / f"out.{target}")["streams"] if one["codec_type"] == "audio"]
    assert len(found) == 1
    if anew:
        assert found[0]["codec_name"] == ("opus" if target == "webm" else "aac")
    if suffix in ("mp4", "mkv", "mov"):
        assert found[0]["tags"]["language"] == "eng"
    np.testing.assert_allclose(burst(tmp_path / f"out.{target}"), burst(source), atol=0.03)


def test_sound_of_six_channels_has_six(tmp_path):
    sound = "sine=440:d=1:r=48000,aformat=channel_layouts=5.1"
    source = lavfi(tmp_path / "in.mkv", PATTERN.format(1), sound, options=("-c:v", "libx264", "-c:a", "wavpack"))
    upscaled(source, tmp_path / "out.mp4")
    assert streams(tmp_path / "out.mp4")["streams"][1]["channels"] == 6


def test_damaged_sound_is_left_out_and_counted(tmp_path):
    options = ("-c:v", "libx264", "-c:a", "wavpack")
    source = lavfi(tmp_path / "in.mkv", PATTERN.format(1), "sine=440:d=1:r=48000", options=options)
    content = bytearray(source.read_bytes())
    for place in range(len(content) * 3 // 4, len(content) * 3 // 4 + 400):
        content[place] ^= 0xA5
    source.write_bytes(content)
    report = upscaled(source, tmp_path / "out.mp4")
    assert report.frames > 5
    assert streams(tmp_path / "out.mp4")["streams"][1]["codec_name"] == "aac"
