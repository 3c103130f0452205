"""Videos: frames, times, sound and colours survive; a broken one leaves nothing."""

import random
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from sparsr import Upscaler
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.upscale.film_files import upscale_video

ROOT = Path(__file__).resolve().parents[2]
MANY = 10**8


def flat_frame(index, height, width):
    """A frame whose brightness tells its number."""
    return np.full((height, width, 3), 20 + 15 * index, np.uint8)


def write_video(path, frames=8, height=18, width=22, times=None, sound=False, codec="libx264", matrix=None):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(30000, 1001), options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if matrix:
            stream.codec_context.colorspace = matrix
        audio = container.add_stream("aac", rate=8000) if sound else None
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(flat_frame(index, height, width), format="rgb24")
            if times:
                frame.pts, frame.time_base = times[index], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        if audio:
            samples = (8000 * np.sin(np.arange(4096) / 5)).astype(np.int16)[None]
            sound_frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            sound_frame.sample_rate = 8000
            container.mux(audio.encode(sound_frame))
            container.mux(audio.encode(None))
        container.mux(stream.encode(None))
    return path


def read_video(path):
    with av.open(str(path)) as container:
        rate = container.streams.video[0].average_rate
        frames = list(container.decode(video=0))
    return frames, rate


def audio_packets(path):
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


@pytest.fixture
def identity():
    """Stands for an upscaler that doubles every pixel, so that colours can be compared."""

    class Doubling:
        scale = 2
        max_memory = 2**30

        def split(self, height, width):
            return [self] * 3

        def __call__(self, image):
            return image.repeat(2, axis=0).repeat(2, axis=1)

    return Doubling()


def test_frames_rate_and_sound(bundle, tmp_path):
    source = write_video(tmp_path / "in.mp4", sound=True)
    report = upscale_video(source, tmp_path / "out.mp4", Upscaler(bundle), MANY)
    assert (report.frames, report.remarks) == (8, ())
    assert 0 < report.network_seconds < report.seconds
    assert f"8 frames at {8 / report.seconds:.1f} frames/s" in str(report)
    frames, rate = read_video(tmp_path / "out.mp4")
    assert len(frames) == 8
    assert {(frame.height, frame.width) for frame in frames} == {(36, 44)}
    assert rate == Fraction(30000, 1001)
    assert audio_packets(tmp_path / "out.mp4") == audio_packets(source)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["in.mp4", "out.mp4"]


@pytest.mark.parametrize("matrix", [None, 1, 5])
def test_brightness_order_and_times(identity, tmp_path, matrix):
    times = [0, 40, 80, 200, 240, 400, 440, 480]
    source = write_video(tmp_path / "in.mkv", times=times, matrix=matrix)
    upscale_video(source, tmp_path / "out.mkv", identity, MANY)
    before, _ = read_video(source)
    after, _ = read_video(tmp_path / "out.mkv")
    assert [round(1000 * frame.time) for frame in after] == [round(1000 * frame.time) for frame in before]
    for old, new in zip(before, after, strict=True):
        assert abs(old.to_ndarray(format="rgb24").mean() - new.to_ndarray(format="rgb24").mean()) < 3


LUMA = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}


def to_rgb(y, u, v, matrix, full):
    """Equations of ITU-T H.273, 8.3: 8-bit Y, Cb, Cr to R, G, B in 0..255."""
    red, blue = LUMA[matrix]
    luma, *chroma = (y / 255, u - 128, v - 128) if full else ((y - 16) / 219, u - 128, v - 128)
    cb, cr = (value / (255 if full else 224) for value in chroma)
    r, b = luma + 2 * (1 - red) * cr, luma + 2 * (1 - blue) * cb
    return 255 * np.array([r, (luma - red * r - blue * b) / (1 - red - blue), b])


@pytest.mark.parametrize(("matrix", "full"), [(1, False), (1, True), (5, False), (6, True), (7, False), (9, False)])
def test_colours_keep_their_matrix(identity, tmp_path, matrix, full):
    color = (90, 110, 140)
    planes = np.repeat(np.array(color, np.uint8), [32, 8, 8])[:, None].repeat(32, axis=1)
    with av.open(str(tmp_path / "in.mkv"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        context = stream.codec_context
        context.colorspace, context.color_range, context.color_primaries = matrix, 2 if full else 1, 9
        container.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
        container.mux(stream.encode(None))
    seen = []

    def watching(image):
        seen.append(image)
        return identity(image)

    watching.scale, watching.max_memory, watching.split = identity.scale, identity.max_memory, lambda *size: [watching]
    upscale_video(tmp_path / "in.mkv", tmp_path / "out.mkv", watching, MANY)
    np.testing.assert_allclose(seen[0][10, 10], to_rgb(*color, matrix, full), atol=2)
    (frame,), _ = read_video(tmp_path / "out.mkv")
    values = frame.to_ndarray(format="yuv420p")[[20, 66, 82], 10].astype(float)
    np.testing.assert_allclose(to_rgb(*values, matrix, False), to_rgb(*color, matrix, full), atol=4)
    assert int(frame.colorspace) == (6 if matrix == 5 else matrix)
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert container.streams.video[0].codec_context.color_primaries == 9


def test_overlapping_changes_nothing(identity, tmp_path):
    source = write_video(tmp_path / "in.mkv", sound=True)
    packets = []
    for memory in (2**30, 0):
        identity.max_memory = memory
        upscale_video(source, tmp_path / "out.mkv", identity, MANY)
        with av.open(str(tmp_path / "out.mkv")) as container:
            packets.append([(packet.pts, bytes(packet)) for packet in container.demux(video=0)])
    assert len(packets[0]) > 8
    assert packets[0] == packets[1]


def test_presets(bundle, tmp_path):
    source = write_video(tmp_path / "in.mp4")
    for preset in ("ultrafast", "slow"):
        upscale_video(source, tmp_path / f"{preset}.mp4", Upscaler(bundle, threads=1), MANY, preset)
    content = (tmp_path / "slow.mp4").read_bytes()
    assert b"cabac=1" in content  # x264 writes its settings into the stream
    assert b"cabac=0" in (tmp_path / "ultrafast.mp4").read_bytes()


def test_odd_sizes_gain_a_row_and_a_column(bundle_x3, tmp_path):
    source = write_video(tmp_path / "in.mkv", height=17, width=21, frames=2, codec="ffv1")
    upscale_video(source, tmp_path / "out.mp4", Upscaler(bundle_x3), MANY)
    frames, _ = read_video(tmp_path / "out.mp4")
    assert (frames[0].height, frames[0].width) == (52, 64)


@pytest.mark.parametrize("content", [b"", b"not a video", b"\0\0\0\x18ftypmp42" + bytes(40)])
def test_no_video(bundle, tmp_path, content):
    (tmp_path / "in.mp4").write_bytes(content)
    with pytest.raises(SparsrError, match=r"in\.mp4"):
        upscale_video(tmp_path / "in.mp4", tmp_path / "out.mp4", Upscaler(bundle), MANY)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_a_truncated_video(bundle, tmp_path):
    whole = write_video(tmp_path / "in.mp4").read_bytes()
    (tmp_path / "in.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SparsrError, match=r"in\.mp4"):
        upscale_video(tmp_path / "in.mp4", tmp_path / "out.mp4", Upscaler(bundle), MANY)
    assert not (tmp_path / "out.mp4").exists()


def test_a_video_without_picture(bundle, tmp_path):
    with av.open(str(tmp_path / "in.mkv"), "w") as container:
        audio = container.add_stream("aac", rate=8000)
        container.mux(audio.encode(None))
    with pytest.raises(SparsrError, match=r"in\.mkv"):
        upscale_video(tmp_path / "in.mkv", tmp_path / "out.mp4", Upscaler(bundle), MANY)


def test_frames_above_the_limit(bundle, tmp_path):
    source = write_video(tmp_path / "in.mp4")
    with pytest.raises(SparsrError, match="22x18"):
        upscale_video(source, tmp_path / "out.mp4", Upscaler(bundle), 100)


def test_sound_that_does_not_fit_is_encoded_anew_with_a_remark(bundle, tmp_path):
    source = tmp_path / "in.mkv"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        audio = container.add_stream("wavpack", rate=8000)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(flat_frame(1, 16, 16), format="rgb24")))
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16p", layout="mono")
        sound.sample_rate = 8000
        container.mux(audio.encode(sound))
        container.mux(audio.encode(None))
        container.mux(stream.encode(None))
    assert "wavpack" in upscale_video(source, tmp_path / "out.mp4", Upscaler(bundle), MANY).remarks[0]
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.audio[0].codec_context.name == "aac"


DAMAGED = """
import random, sys
from pathlib import Path
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.upscale.film_files import upscale_video
source, out = Path(sys.argv[1]), Path(sys.argv[2])
def failing(image):
    raise SparsrError("midway")
failing.scale, failing.max_memory, failing.split = 1, 2**30, lambda *size: [failing] * 2
for _ in range(60):
    try:
        upscale_video(source, out, failing, 10**8)
    except SparsrError:
        pass
print("done")
"""


def test_damaged_frames_never_hang(tmp_path):
    """FFmpeg's threads report damage while Python closes the decoder: neither may wait for the other."""
    noise = np.random.default_rng(0).integers(0, 256, (320, 320, 3), dtype=np.uint8)
    with av.open(str(tmp_path / "in.mkv"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "g": "5"})
        stream.width, stream.height, stream.pix_fmt = 320, 320, "yuv420p"
        for _ in range(30):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, format="rgb24")))
        container.mux(stream.encode(None))
    content = bytearray((tmp_path / "in.mkv").read_bytes())
    for place in random.Random(0).choices(range(3000, len(content)), k=300):
        content[place] ^= 0x55
    (tmp_path / "in.mkv").write_bytes(content)
    command = [sys.executable, "-c", DAMAGED, str(tmp_path / "in.mkv"), str(tmp_path / "out.mkv")]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert result.stdout == "done\n", result.stderr


@pytest.mark.parametrize("memory", [2**30, 0], ids=["overlapping", "in turn"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, SparsrError("midway")])
def test_an_interruption_leaves_nothing(tmp_path, error, memory):
    calls = []

    def failing(image):
        calls.append(1)
        if len(calls) == 3:
            raise error
        return image

    failing.scale, failing.max_memory, failing.split = 1, memory, lambda *size: [failing] * 2
    source = write_video(tmp_path / "in.mp4")
    with pytest.raises((KeyboardInterrupt, SparsrError)):
        upscale_video(source, tmp_path / "out.mp4", failing, MANY)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]
