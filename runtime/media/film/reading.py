"""The frames of a film as arrays: the right stream, undamaged, deinterlaced, the right way up, in all their bits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.media.ffmpeg import ACCURATE
from sparsr.runtime.media.film.matrices import NO_MATRIX, matrix_of, range_of
from sparsr.runtime.samples import Samples

# Demuxers of single files: playlists and the like would let a file name others.
_DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,asf,flv,mxf,ogg,dv,rm,nut,yuv4mpegpipe,ivf,obu,"
    "h264,hevc,mjpeg"
)
_DECODERS_OF_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # FFmpeg's own leave it out


def open_film(av: Any, source: Path) -> Any:
    """The container, which can name no other file. A name with a colon is no protocol."""
    limits = {"format_whitelist": _DEMUXERS, "protocol_whitelist": "file"}
    return av.open(f"file:{source}", container_options=limits, metadata_errors="replace")


def film_stream(reader: Any, source: Path, max_pixels: int) -> Any:
    """The first stream of moving pictures: not a cover."""
    streams = [stream for stream in reader.streams.video if not is_cover(stream) and stream.codec_context is not None]
    if not streams:
        unknown = any(not is_cover(stream) for stream in reader.streams.video)
        what = "holds video of a kind that FFmpeg does not know" if unknown else "has no video in it"
        raise SparsrError(f"{source} {what}", "check the file in a player")
    video = streams[0]
    refuse_large(video.width, video.height, source, max_pixels)
    video.thread_type = "SLICE"  # where threads have a frame each, a damaged packet takes others with it
    return video


def refuse_large(width: int, height: int, source: Path, max_pixels: int) -> None:
    """Raise `SparsrError` for frames that have too many pixels."""
    if width * height > max_pixels:
        raise SparsrError(
            f"the frames of {source} have {width}x{height} pixels, more than the {max_pixels / 1e6:g} million allowed",
            "raise the limit with --max-pixels",
        )


def is_cover(stream: Any) -> bool:
    """Whether a video stream is a picture for the eye in a list of films."""
    return "attached_pic" in str(stream.disposition)


class Frames:
    """Decodes the packets of one stream."""

    def __init__(self, av: Any, stream: Any) -> None:
        self._av, self._stream = av, stream
        self._decoder = self._alpha_decoder() or stream.codec_context
        self._graph: Any = None
        self._filtered_kind: tuple[Any, ...] = ()  # size and format of the frames that the graph takes
        self._to_rgb = av.video.reformatter.VideoReformatter()
        self._size: tuple[int, int] | None = None
        self._resized = False
        self.lost = 0
        """Packets that could not be decoded."""
        self.damaged = 0
        """Frames that were decoded in part."""
        self.deinterlaced = False

    def of(self, packet: Any) -> Iterator[Any]:
        """The frames that a packet completes; an empty packet ends the stream."""
        try:
            frames = self._decoder.decode(packet if packet.size else None)
        except self._av.error.InvalidDataError:
            self.lost += 1
            return
        for frame in frames:
            self.damaged += bool(frame.is_corrupt)
            yield from self._filtered(frame)
        if not packet.size and self._graph:
            self._graph.push(None)
            yield from self._pulled()

    def pixels(self, frame: Any) -> Samples:
        """[h, w, 3 or 4], uint8, or uint16 for more than 8 bits, turned as the frame asks for."""
        deep = any(component.bits > 8 for component in frame.format.components)
        alpha = has_alpha(frame)
        name = ("rgba64le" if alpha else "rgb48le") if deep else ("rgba" if alpha else "rgb24")
        width, height = self._size = self._size or (frame.width, frame.height)
        self._resized |= (width, height) != (frame.width, frame.height)
        rgb = self._to_rgb.reformat(
            frame, width, height, name, interpolation=ACCURATE, src_color_range=range_of(frame),
            src_colorspace=matrix_of(frame), dst_colorspace=NO_MATRIX,
        ).to_ndarray()  # fmt: skip
        return np.ascontiguousarray(turned(rgb, display_matrix(frame)))

    def remarks(self) -> list[str]:
        """What is not as in the file."""
        found = [f"{self.lost} damaged packets are left out"] if self.lost else []
        found += [f"{self.damaged} frames are damaged in the source"] if self.damaged else []
        found += ["frames change their size midway: all were brought to that of the first"] if self._resized else []
        return found + (["interlaced frames were deinterlaced (bwdif)"] if self.deinterlaced else [])

    def _alpha_decoder(self) -> Any:
        stream = self._stream
        name = _DECODERS_OF_ALPHA.get(stream.codec_context.name)
        if not name or stream.metadata.get("alpha_mode") != "1":
            return None
        try:
            return self._av.CodecContext.create(name, "r")
        except (ValueError, self._av.FFmpegError):
            return None

    def _filtered(self, frame: Any) -> Iterator[Any]:
        """Frames of two fields become one picture; from the first such frame on all go through the filter."""
        kind = frame.width, frame.height, frame.format.name
        if self._graph and kind != self._filtered_kind:
            self._graph.push(None)
            yield from self._pulled()
            self._graph = None
        if self._graph is None and (frame.interlaced_frame or self.deinterlaced):
            self._graph, self._filtered_kind, self.deinterlaced = self._deinterlacer(frame), kind, True
        if self._graph is None:
            yield frame
            return
        self._graph.push(frame)
        yield from self._pulled()

    def _deinterlacer(self, frame: Any) -> Any:
        graph = self._av.filter.Graph()
        source = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=self._stream.time_base
        )
        graph.link_nodes(source, graph.add("bwdif", "mode=send_frame:deint=interlaced"), graph.add("buffersink"))
        graph.configure()
        return graph

    def _pulled(self) -> Iterator[Any]:
        while True:
            try:
                yield self._graph.pull()
            except (self._av.BlockingIOError, self._av.EOFError):
                return


def has_alpha(frame: Any) -> bool:
    """Whether a frame has transparency."""
    return any(component.is_alpha for component in frame.format.components)


def display_matrix(frame: Any) -> tuple[int, int, int, int]:
    """(a, b, c, d) of the frame's display matrix, -1, 0 or 1 each: a pixel (x, y) is shown at (ax + cy, bx + dy)."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return 1, 0, 0, 1
    values = np.sign(np.frombuffer(bytes(data), np.int32))
    found = int(values[0]), int(values[1]), int(values[3]), int(values[4])
    right_angles = (found[0] and found[3] and not (found[1] or found[2])) or (
        found[1] and found[2] and not (found[0] or found[3])
    )
    return found if right_angles else (1, 0, 0, 1)


def turned(pixels: Samples, matrix: tuple[int, int, int, int]) -> Samples:
    """The picture as a display matrix of right angles and mirrors shows it."""
    a, b, c, d = matrix
    across, down = (a, d) if a else (c, b)
    pixels = pixels if a else pixels.swapaxes(0, 1)
    return pixels[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1]
