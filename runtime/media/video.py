"""Upscaling videos with constant memory. Needs PyAV.

Decoder and encoder each have a thread, so that no core waits for another stage, and so has every frame that the network
works on: threads with a frame each do not wait for each other, as those that share a frame do.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.files import atomic_file
from sparsr.runtime.media.ffmpeg import ACCURATE, import_av
from sparsr.runtime.media.ordered_work import in_parallel
from sparsr.runtime.progress import Progress
from sparsr.runtime.samples import Samples
from sparsr.runtime.upscale.upscaler import PictureUpscaler

VIDEO_SUFFIXES = (
    ".mp4", ".mkv", ".mov", ".m4v", ".avi", ".webm", ".ts", ".m2ts", ".mts", ".wmv", ".asf", ".flv", ".f4v", ".mpg",
    ".mpeg", ".vob", ".3gp", ".3g2", ".ogv", ".mxf", ".divx", ".y4m",
)  # fmt: skip
OUTPUT_SUFFIXES = (".mp4", ".mkv", ".mov", ".m4v")
DEFAULT_VIDEO_SUFFIX = ".mp4"
# x264's veryfast takes less than half of medium's time for a frame, at the same fidelity and somewhat larger files.
_ENCODERS = {"libx264": {"crf": "17", "preset": "veryfast"}, "mpeg4": {"qscale": "2"}}
PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
_DEFAULT_RATE = Fraction(25)
_HD_HEIGHT = 720  # untagged video is taken for BT.709 from this height on, for BT.601 below
# Matrices by their code points in ITU-T H.273. Both kinds of BT.601 are the same matrix, and PyAV takes 5 for
# "leave as it is".
_BT709, _BT601 = 1, 6
_MATRICES = {1: _BT709, 4: 4, 5: _BT601, 6: _BT601, 7: 7, 9: 9}
_NO_MATRIX = 2  # said of RGB; PyAV ignores the other matrix of a conversion where both are equal
_LIMITED_RANGE = 1
_IN_FLIGHT = 3  # results alive at once for every frame being computed: that one, one that waits, one being encoded
_SHARE = 4  # of the memory limit, that the results in flight may take


@dataclass(frozen=True)
class VideoReport:
    """How it went."""

    frames: int
    seconds: float
    """Wall time of everything."""
    network_seconds: float
    """Wall time the upscaler would have taken alone, as long as it took for each frame."""
    remarks: tuple[str, ...] = ()
    """What is not as in the source."""

    def __str__(self) -> str:
        """For example `240 frames at 21.3 frames/s (the network alone 25.0)`."""
        rate, alone = self.frames / max(self.seconds, 1e-9), self.frames / max(self.network_seconds, 1e-9)
        return f"{self.frames} frames at {rate:.1f} frames/s (the network alone {alone:.1f})"


def upscale_video(
    source: Path, target: Path, upscaler: PictureUpscaler, max_pixels: int, preset: str | None = None
) -> VideoReport:
    """Write the upscaled video `source` to `target`, H.264 where the machine has it.

    Times of the frames, pixel shape, rotation and colour matrix are kept; audio is copied if the target's container
    can hold it. Frames with an odd side gain one row or column, because H.264 stores colour for pairs of pixels.
    Raises `SparsrError` if PyAV is missing, `source` is no readable video or has frames of more than `max_pixels`;
    `target` is only there if the whole video could be written. `preset`: of x264, one of `PRESETS`.
    """
    av = import_av()
    start = time.monotonic()
    with _clear_errors(av, source, target), av.open(str(source)) as reader:
        video = _video_stream(reader, source, max_pixels)
        with atomic_file(target) as temporary, av.open(str(temporary), "w") as writer:
            job = _Job(av, reader, writer, video, upscaler, preset)
            with Progress(source.name, _frame_count(video), "frames") as progress:
                job.run(progress)
            if not progress.done:
                raise SparsrError(f"{source} holds no frames", "check the file in a player")
    return VideoReport(progress.done, time.monotonic() - start, job.network_seconds, tuple(job.remarks))


class _Job:
    """One video on its way from the reader to the writer."""

    def __init__(
        self, av: Any, reader: Any, writer: Any, video: Any, upscaler: PictureUpscaler, preset: str | None
    ) -> None:
        self._av, self._reader, self._writer, self._video = av, reader, writer, video
        self._upscaler, self._preset = upscaler, preset
        self._output: Any = None
        self._to_rgb, self._to_yuv = av.video.reformatter.VideoReformatter(), av.video.reformatter.VideoReformatter()
        self._size: tuple[int, ...] = ()
        self.remarks: list[str] = []
        self._seconds: list[float] = []  # the upscaler's for every frame
        self.network_seconds = 0.0
        self._audio = self._copied_audio()

    def run(self, progress: Progress) -> None:
        """Decode, upscale and encode every frame; pass audio packets on."""
        result = self._video.width * self._video.height * 3 * self._upscaler.scale**2
        overlap = _IN_FLIGHT * result <= self._upscaler.max_memory // _SHARE
        upscalers = self._upscaler.split(self._video.height, self._video.width) if overlap else [self._upscaler]
        stages = [partial(self._upscaled, upscaler) for upscaler in upscalers]
        waiting = []  # audio that comes before the first frame, when the size of the output is not known yet
        with (
            in_parallel(self._decoded(), [lambda item: item], overlap) as decoded,
            in_parallel(decoded, stages, overlap) as upscaled,
        ):
            for item, pixels in upscaled:
                if pixels is None:
                    waiting.append(item)
                else:
                    self._encode(item, pixels)
                    progress.advance()
                if self._output:
                    self._pass_on(waiting)
        self.network_seconds = sum(self._seconds) / len(upscalers)
        if self._output:
            self._writer.mux(self._output.encode(None))

    def _decoded(self) -> Iterator[tuple[Any, Samples | None]]:
        """Every frame with its pixels, the right way up, and every audio packet with None."""
        streams = [self._video, *([self._audio[0]] if self._audio else [])]
        for packet in self._reader.demux(streams):
            if packet.stream is not self._video:
                yield packet, None
                continue
            for frame in packet.decode():
                yield frame, self._pixels(frame)

    def _upscaled(self, upscaler: PictureUpscaler, item: tuple[Any, Samples | None]) -> tuple[Any, Samples | None]:
        frame, pixels = item
        if pixels is None:
            return frame, None
        start = time.monotonic()
        result = upscaler(pixels)
        self._seconds.append(time.monotonic() - start)
        return frame, result

    def _copied_audio(self) -> tuple[Any, Any] | None:
        audio = next(iter(self._reader.streams.audio), None)
        if audio is None:
            return None
        if audio.codec_context.name not in self._writer.supported_codecs:
            self.remarks.append(f"the sound is left out: the output's format cannot hold {audio.codec_context.name}")
            return None
        return audio, self._writer.add_stream_from_template(audio)

    def _pass_on(self, packets: list[Any]) -> None:
        for packet in packets:
            if packet.dts is not None and self._audio:
                packet.stream = self._audio[1]
                self._writer.mux(packet)
        packets.clear()

    def _pixels(self, frame: Any) -> Samples:
        rgb = self._to_rgb.reformat(
            frame, format="rgb24", interpolation=ACCURATE, src_color_range=frame.color_range,
            src_colorspace=self._matrix(frame), dst_colorspace=_NO_MATRIX,
        ).to_ndarray()  # fmt: skip
        turned = np.ascontiguousarray(np.rot90(rgb, getattr(frame, "rotation", 0) // 90))
        if self._size and turned.shape != self._size:
            raise SparsrError("the frames of the video change their size midway", "cut it there and upscale the parts")
        self._size = turned.shape
        return turned

    def _encode(self, frame: Any, result: Samples) -> None:
        matrix, pixels = self._matrix(frame), np.ascontiguousarray(_even(result))
        if self._output is None:
            self._output = self._encoder(pixels.shape[0], pixels.shape[1], matrix)
        upscaled = self._to_yuv.reformat(
            self._av.VideoFrame.from_numpy_buffer(pixels, format="rgb24"), format="yuv420p", interpolation=ACCURATE,
            src_colorspace=_NO_MATRIX, dst_colorspace=matrix,
        )  # fmt: skip
        upscaled.colorspace, upscaled.color_range = matrix, _LIMITED_RANGE
        upscaled.pts, upscaled.time_base = frame.pts, frame.time_base
        self._writer.mux(self._output.encode(upscaled))

    def _encoder(self, height: int, width: int, matrix: int) -> Any:
        name = next((name for name in _ENCODERS if name in self._av.codecs_available), None)
        if name is None:
            raise SparsrError("this PyAV has no H.264 or MPEG-4 encoder", "pip install --force-reinstall av")
        rate = self._video.average_rate or self._video.guessed_rate or _DEFAULT_RATE
        options = dict(_ENCODERS[name])
        if self._preset and "preset" in options:
            options["preset"] = self._preset
        stream = self._writer.add_stream(name, rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.time_base = self._video.time_base
        context.sample_aspect_ratio = self._video.sample_aspect_ratio or Fraction(1)
        context.colorspace = matrix
        context.color_range = _LIMITED_RANGE
        for name in ("color_primaries", "color_trc"):
            setattr(context, name, getattr(self._video.codec_context, name))
        return stream

    @staticmethod
    def _matrix(frame: Any) -> int:
        """The frame's RGB to YUV matrix as a code point of H.273."""
        untagged = _BT709 if frame.height >= _HD_HEIGHT else _BT601
        return _MATRICES.get(int(frame.colorspace), untagged)


def _video_stream(reader: Any, source: Path, max_pixels: int) -> Any:
    if not reader.streams.video:
        raise SparsrError(f"{source} has no video in it", "check the file in a player")
    video = reader.streams.video[0]
    if video.width * video.height > max_pixels:
        raise SparsrError(
            f"the frames of {source} have {video.width}x{video.height} pixels, "
            f"more than the {max_pixels / 1e6:g} million allowed",
            "raise the limit with --max-pixels",
        )
    video.thread_type = "AUTO"
    return video


def _frame_count(video: Any) -> int | None:
    """Frames the stream announces; None if it does not tell."""
    if video.frames:
        return int(video.frames)
    if video.duration and video.average_rate:
        return max(1, round(video.duration * video.time_base * video.average_rate))
    return None


def _even(pixels: Samples) -> Samples:
    """The picture with its last row or column repeated where a side is odd."""
    height, width = pixels.shape[:2]
    return np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge") if height % 2 or width % 2 else pixels


@contextmanager
def _clear_errors(av: Any, source: Path, target: Path) -> Iterator[None]:
    """Turn FFmpeg's exceptions into `SparsrError`, those of the disk into OSError."""
    try:
        yield
    except av.FFmpegError as error:
        if error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise OSError(error.errno, os.strerror(error.errno), str(target)) from error
        if not source.exists():
            raise SparsrError(f"{source} does not exist", "check the path") from error
        raise SparsrError(f"{source} is damaged or not a video ({error.strerror})", "copy or save it again") from error
