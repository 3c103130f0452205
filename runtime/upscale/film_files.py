"""Upscaling a film with constant memory. Needs PyAV.

Decoder and encoder each have a thread, so that no core waits for another stage, and so has every frame that the network
works on: threads with a frame each do not wait for each other, as those that share a frame do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.files import atomic_file
from sparsr.runtime.media.ffmpeg import import_av
from sparsr.runtime.media.film.containers import CONTAINERS
from sparsr.runtime.media.film.failures import of_output, of_source
from sparsr.runtime.media.film.reading import Frames, film_stream, open_film, refuse_large
from sparsr.runtime.media.film.streams import Copies, lost_tags, options_for_tags
from sparsr.runtime.media.film.times import FrameTimes, rate_of
from sparsr.runtime.media.film.writing import FilmWriter
from sparsr.runtime.media.hidden_colour import covered
from sparsr.runtime.progress import Progress
from sparsr.runtime.samples import Samples
from sparsr.runtime.upscale.ordered_work import in_parallel
from sparsr.runtime.upscale.upscaler import PictureUpscaler

_IN_FLIGHT = 3  # results alive at once for every frame being computed: that one, one that waits, one being encoded
_SHARE = 4  # of the memory limit, that the results in flight may take
_MOST_PIXEL_BYTES = 8  # four channels of 16 bits


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
    """Write the upscaled film `source` to `target`.

    Times of the frames, pixel shape, rotation, mirrors, colour matrix, 10 bits and HDR10 are kept, transparency where
    the container has it; interlaced frames are deinterlaced; sound, subtitles, covers, fonts and chapters are copied as
    far as the container can hold them. Damaged packets are left out. Frames with an odd side gain one row or column,
    because films store colour for pairs of pixels. Raises `SparsrError` if PyAV is missing, `source` is no readable
    film or has frames of more than `max_pixels`, or if an encoder or the container refuses the result; `target` is
    only there if the whole film could be written. `preset`: of x264 and x265, one of `writing.PRESETS`.
    """
    av = import_av()
    start = time.monotonic()
    if not source.exists():
        raise SparsrError(f"{source} does not exist", "check the path")
    with of_source(av, source), open_film(av, source) as reader:
        film = film_stream(reader, source, max_pixels)
        container = CONTAINERS[target.suffix.lower()]
        check = partial(refuse_large, source=source, max_pixels=max_pixels)
        other = ".mp4" if container == "matroska" else ".mkv"
        hint = f"name a film of another kind, such as {target.with_suffix(other)}"
        refused = of_output(av, target, f"its container, {container}, refuses what is to be in it", hint)
        with atomic_file(target) as temporary, refused:
            options = options_for_tags(reader, container)
            with av.open(f"file:{temporary}", "w", format=container, options=options) as writer:
                job = _Job(av, source, target, reader, writer, film, upscaler, preset, check)
                with Progress(source.name, _frame_count(film), "frames") as progress:
                    job.run(progress)
            if not progress.done:
                raise SparsrError(f"{source} holds no frames that can be decoded", "check the file in a player")
            remarks = job.remarks + lost_tags(av, reader, temporary)
    return VideoReport(progress.done, time.monotonic() - start, job.network_seconds, tuple(remarks))


class _Job:
    """One film on its way from the reader to the writer."""

    def __init__(
        self,
        av: Any,
        source: Path,
        target: Path,
        reader: Any,
        writer: Any,
        film: Any,
        upscaler: PictureUpscaler,
        preset: str | None,
        check_size: Callable[[int, int], None],
    ) -> None:
        self._av, self._reader, self._writer, self._film = av, reader, writer, film
        self._source, self._target = source, target
        self._upscaler, self._preset, self._check_size = upscaler, preset, check_size
        self._frames = Frames(av, film)
        self._times: FrameTimes | None = None
        self._copies = Copies(av, reader, film, writer.format.name)
        self._output: FilmWriter | None = None
        self._size: tuple[int, ...] = ()
        self._seconds: list[float] = []  # the upscaler's for every frame
        self._broken_off = False
        self.network_seconds = 0.0

    @property
    def remarks(self) -> list[str]:
        """What is not as in the source."""
        found = [*self._copies.remarks, *self._frames.remarks(), *(self._output.remarks if self._output else [])]
        return [*found, *(["the file breaks off; what could be read is there"] if self._broken_off else [])]

    def run(self, progress: Progress) -> None:
        """Decode, upscale and encode every frame; pass the other streams' packets on."""
        result = self._film.width * self._film.height * _MOST_PIXEL_BYTES * self._upscaler.scale**2
        overlap = _IN_FLIGHT * result <= self._upscaler.max_memory // _SHARE
        upscalers = self._upscaler.split(self._film.height, self._film.width) if overlap else [self._upscaler]
        stages = [partial(self._upscaled, upscaler) for upscaler in upscalers]
        waiting = []  # packets that come before the first frame, when the size of the output is not known yet
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
                    for packet in waiting:
                        self._copies.pass_on(packet, self._writer)
                    waiting.clear()
        self.network_seconds = sum(self._seconds) / len(upscalers)
        if self._output:
            self._output.finish()

    def _decoded(self) -> Iterator[tuple[Any, Samples | None]]:
        """Every frame with its pixels, the right way up, and every packet of another stream with None."""
        with of_source(self._av, self._source):
            for packet in self._packets():
                if packet.stream is not self._film:
                    yield packet, None
                    continue
                for frame in self._frames.of(packet):
                    yield frame, self._pixels(frame)

    def _packets(self) -> Iterator[Any]:
        """The packets as far as the file can be read."""
        packets = self._reader.demux([self._film, *self._copies.demuxed])
        while True:
            try:
                packet = next(packets, None)
            except self._av.error.InvalidDataError:
                self._broken_off = True
                yield from map(self._last_packet, [self._film, *self._copies.demuxed])
                return
            if packet is None:
                return
            yield packet

    def _last_packet(self, stream: Any) -> Any:
        """An empty one, which ends a stream for its decoder."""
        packet = self._av.Packet()
        packet.stream = stream
        return packet

    def _pixels(self, frame: Any) -> Samples:
        self._check_size(frame.width, frame.height)  # which headers may not tell
        pixels = self._frames.pixels(frame)
        if self._size and pixels.shape[:2] != self._size:
            raise SparsrError("the frames of the video are turned midway", "cut it there and upscale the parts")
        self._size = pixels.shape[:2]
        if pixels.shape[2] == 4:
            pixels[..., :3] = covered(pixels[..., :3], pixels[..., 3])
        return pixels

    def _upscaled(self, upscaler: PictureUpscaler, item: tuple[Any, Samples | None]) -> tuple[Any, Samples | None]:
        frame, pixels = item
        if pixels is None:
            return frame, None
        start = time.monotonic()
        result = upscaler(pixels)
        self._seconds.append(time.monotonic() - start)
        return frame, result

    def _encode(self, frame: Any, result: Samples) -> None:
        if self._output is None:
            height, width = (side + side % 2 for side in result.shape[:2])
            turned = result.shape[0] // self._upscaler.scale != frame.height
            output = FilmWriter(self._av, self._writer, self._target, self._film, frame, self._preset)
            stream = self._copies.add_to(self._writer, lambda: output.add_stream(height, width, turned))
            self._times = FrameTimes(self._reader, self._film, Fraction(stream.time_base))
            self._output = output
        assert self._times
        self._output.encode(frame, result, self._times.next(frame))


def _frame_count(film: Any) -> int | None:
    """Frames the stream announces; None if it does not tell."""
    if film.frames:
        return int(film.frames)
    rate = rate_of(film)
    return max(1, round(film.duration * film.time_base * rate)) if film.duration and rate else None
