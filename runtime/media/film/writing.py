"""The frames of a film encoded: by the first encoder of a table that the machine has and the container holds."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.media.ffmpeg import ACCURATE
from sparsr.runtime.media.film.failures import of_output
from sparsr.runtime.media.film.hdr import x265_options
from sparsr.runtime.media.film.matrices import LIMITED, NO_MATRIX, is_grey, kept_range, matrix_of
from sparsr.runtime.media.film.reading import has_alpha
from sparsr.runtime.media.film.times import rate_of
from sparsr.runtime.samples import Samples, converted

PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
DEFAULT_RATE = Fraction(25)
_BLOCK = 16  # pixels, a multiple of what any format stores together
_NO_ALPHA = "the transparency is left out: there is no encoder for it in the output's format (webm and mov have one)"
_PAIRED = "colour of every pixel or column becomes that of 2x2 pixels (4:2:0), as the encoder has it"
_VIEWS = "how two views lie in the picture (3D)"
_OF_FRAMES = {
    "DYNAMIC_HDR_PLUS": "HDR10+", "DYNAMIC_HDR_VIVID": "HDR Vivid", "DOVI_RPU_BUFFER": "Dolby Vision",
    "DOVI_METADATA": "Dolby Vision", "A53_CC": "closed captions", "S12M_TIMECODE": "time codes",
    "SPHERICAL": "how the picture lies on a sphere (360 degrees)", "STEREO3D": _VIEWS,
    "ICC_PROFILE": "a colour profile", "AMBIENT_VIEWING_ENVIRONMENT": "the light around the screen",
}  # fmt: skip
"""Side data of frames that no encoder here writes: FFmpeg's names and what people call it."""
_NO_RANGE = "full range (0 to 255) becomes limited range (16 to 235): the encoder knows no other"
_NO_DEPTH = "{} bits a channel become {}: there is no encoder for more in the output's format"


@dataclass(frozen=True)
class Encoder:
    """A row of the table."""

    name: str
    codec: str
    pixels: str
    """FFmpeg's name of the pixel format."""
    options: dict[str, str] = field(default_factory=dict)
    deep: bool = False
    """Whether it keeps more than 8 bits."""
    alpha: bool = False
    full_range: bool = True
    """Whether it says that values use the whole range."""
    containers: tuple[str, ...] = ()
    """Those that take it; () for all that know the codec."""

    def fits(self, av: Any, writer: Any) -> bool:
        """Whether this machine has it and the container takes it."""
        known = self.name in av.codecs_available and self.codec in writer.supported_codecs
        return known and (not self.containers or writer.format.name in self.containers)


# x264's veryfast takes less than half of medium's time for a frame, at the same fidelity and somewhat larger files.
_FAST = {"crf": "17", "preset": "veryfast"}
_MATROSKA = ("matroska", "webm")
_VP9 = {"crf": "20", "b:v": "0", "cpu-used": "5", "row-mt": "1"}
ENCODERS = (
    Encoder("libx264", "h264", "yuv420p", _FAST),
    Encoder("libvpx-vp9", "vp9", "yuv420p", _VP9),
    Encoder("mpeg4", "mpeg4", "yuv420p", {"qscale": "2"}, full_range=False),
    Encoder("libx265", "hevc", "yuv420p10le", {**_FAST, "x265-params": "log-level=none"}, deep=True),
    Encoder("libsvtav1", "av1", "yuv420p10le", {"crf": "20", "preset": "8"}, deep=True),
    Encoder(
        "prores_ks",
        "prores",
        "yuva444p10le",
        {"profile": "4"},
        deep=True,
        alpha=True,
        full_range=False,
        containers=("mov",),
    ),
    Encoder("libvpx-vp9", "vp9", "yuva420p", {**_VP9, "auto-alt-ref": "0"}, alpha=True, containers=_MATROSKA),
)

_X265_KNOWS_DELAY = 3  # frames: of fewer it tells times of decoding made of memory that nobody has set


def choose(av: Any, writer: Any, deep: bool, alpha: bool) -> Encoder:
    """The encoder that keeps most. Raises `SparsrError` if there is none."""
    there = [row for row in ENCODERS if row.fits(av, writer)]
    wanted = [(deep, alpha)] + [(True, alpha)] * (not deep and alpha) + [(False, alpha)] * deep
    wanted += [(deep, False), (False, False)]
    for kept in wanted:
        row = next((row for row in there if (row.deep, row.alpha) == kept), None)
        if row:
            return row
    raise SparsrError("this PyAV has no H.264 or MPEG-4 encoder", "pip install --force-reinstall av")


class FilmWriter:
    """Encodes frames into one stream of a container, the file `target`. Raises `SparsrError` if the encoder refuses."""

    def __init__(self, av: Any, writer: Any, target: Path, film: Any, frame: Any, preset: str | None) -> None:
        self._av, self._writer, self._target, self._film = av, writer, target, film
        bits, alpha = bits_of(frame.format), has_alpha(frame)
        self._encoder = choose(av, writer, bits > 8, alpha)
        stored = av.VideoFormat(self._encoder.pixels)
        self._matrix, self._range = matrix_of(frame), kept_range(frame) if self._encoder.full_range else LIMITED
        losses = {
            _NO_ALPHA: alpha and not self._encoder.alpha,
            _NO_DEPTH.format(bits, bits_of(stored)): bits > bits_of(stored),
            _PAIRED: finer(frame.format, stored),
            _NO_RANGE: kept_range(frame) != self._range,
        }
        self.remarks = [remark for remark, lost in losses.items() if lost]
        self._lost = set[str]()
        self._kept = {_VIEWS} if writer.format.name in _MATROSKA and "stereo_mode" in film.metadata else set()
        self._preset, self._first = preset, frame
        self._to_yuv = av.video.reformatter.VideoReformatter()
        self._stream: Any = None
        self._frames = 0

    def add_stream(self, height: int, width: int, turned: bool) -> Any:
        """Make the target's stream. turned: whether width and height were exchanged."""
        row, film, source = self._encoder, self._film, self._film.codec_context
        options = dict(row.options)
        if self._preset and options.get("preset") == _FAST["preset"]:
            options["preset"] = self._preset
        if row.name == "libx265" and (light := x265_options(self._first)):
            options["x265-params"] += f":{light}"
        rate = rate_of(film) or DEFAULT_RATE
        stream = self._writer.add_stream(row.name, rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, row.pixels
        context, aspect = stream.codec_context, film.sample_aspect_ratio or Fraction(1)
        context.time_base = film.time_base
        context.sample_aspect_ratio = 1 / aspect if turned else aspect
        context.colorspace, context.color_range = self._matrix, self._range
        for name in ("color_primaries", "color_trc"):
            setattr(context, name, getattr(source, name))
        if row.name == "libx265" and self._writer.format.name in ("mp4", "mov", "ipod"):
            context.codec_tag = "hvc1"  # without it players of one maker show nothing
        self._stream = stream
        with self._refusals():
            context.open()
        return stream

    def encode(self, frame: Any, pixels: Samples, ticks: int) -> None:
        """Encode the enlarged `pixels` of a frame, to be shown at that time."""
        self._say_what_is_lost(frame)
        deep = self._encoder.deep and pixels.dtype != np.uint8
        pixels = converted(pixels, pixels.dtype if deep else np.dtype(np.uint8))
        alpha = self._encoder.alpha and pixels.shape[2] == 4
        name = ("rgba64le" if alpha else "rgb48le") if deep else ("rgba" if alpha else "rgb24")
        upscaled = self._to_yuv.reformat(
            self._frame(_even(pixels if alpha else pixels[..., :3]), name), format=self._encoder.pixels,
            interpolation=ACCURATE, src_colorspace=NO_MATRIX, dst_colorspace=self._matrix, dst_color_range=self._range,
        )  # fmt: skip
        upscaled.colorspace, upscaled.color_range = self._matrix, self._range
        upscaled.pts, upscaled.time_base = ticks, self._film.time_base
        self._frames += 1
        self._writer.mux(self._packets(upscaled))

    def _frame(self, pixels: Samples, name: str) -> Any:
        """A frame that holds `pixels`, copied once; `VideoFrame.from_ndarray` does so twice."""
        height, width, channels = pixels.shape
        frame = self._av.VideoFrame(width, height, name)
        rows = np.frombuffer(frame.planes[0], pixels.dtype).reshape(height, -1)
        rows[:, : width * channels] = pixels.reshape(height, -1)
        return frame

    def _say_what_is_lost(self, frame: Any) -> None:
        for name in metadata_of(frame) - self._lost - self._kept:
            self._lost.add(name)
            self.remarks.append(f"left out: {name}, which lies in the frames")

    def finish(self) -> None:
        """Write the frames that wait in the encoder."""
        packets = self._packets(None)
        if self._encoder.name == "libx265" and self._frames < _X265_KNOWS_DELAY:
            for packet in packets:  # so few are decoded in the order in which they are shown
                packet.dts = packet.pts
        self._writer.mux(packets)

    def _packets(self, frame: Any) -> list[Any]:
        with self._refusals():
            return list(self._stream.encode(frame))

    def _refusals(self) -> AbstractContextManager[None]:
        what = f"the encoder {self._encoder.name} refuses frames of {self._stream.width}x{self._stream.height} pixels"
        other = self._target.with_suffix(".mp4" if self._writer.format.name == "webm" else ".webm")
        return of_output(self._av, self._target, what, f"enlarge less, or name a film of another kind, such as {other}")


def metadata_of(frame: Any) -> set[str]:
    """What a frame carries beside its pixels that is not kept."""
    return {text for name, text in _OF_FRAMES.items() if frame.side_data.get(name) is not None}


def bits_of(pixels: Any) -> int:
    """Bits of a channel of a pixel format, the most."""
    return max(int(component.bits) for component in pixels.components)


def finer(source: Any, target: Any) -> bool:
    """Whether a pixel format stores colours for fewer pixels together than another does."""
    return not is_grey(source) and (
        source.chroma_width(_BLOCK) > target.chroma_width(_BLOCK)
        or source.chroma_height(_BLOCK) > target.chroma_height(_BLOCK)
    )


def _even(pixels: Samples) -> Samples:
    """The picture with its last row or column repeated where a side is odd."""
    height, width = pixels.shape[:2]
    return np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge") if height % 2 or width % 2 else pixels
