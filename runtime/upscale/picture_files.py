"""Upscaling a picture file: one picture, an animation, or pages."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from sparsr.runtime.errors import MisfitError
from sparsr.runtime.files import atomic_file
from sparsr.runtime.media.animations import write_animation
from sparsr.runtime.media.deep import bits
from sparsr.runtime.media.formats import Format, written_format
from sparsr.runtime.media.frames import Animation, positions, survey
from sparsr.runtime.media.images import Picture, read_frame
from sparsr.runtime.media.opening import STANDARD_STREAM, Opened, check_size, opened, output_name
from sparsr.runtime.media.strip_writers import refuse_misfit, strip_writer
from sparsr.runtime.media.tiff import TiffWriter
from sparsr.runtime.memory import format_bytes
from sparsr.runtime.progress import Progress
from sparsr.runtime.samples import Samples
from sparsr.runtime.upscale.prepared import Prepared
from sparsr.runtime.upscale.upscaler import PictureUpscaler

STANDARD_OUTPUT = 1  # the descriptor: while a picture goes there, what is said does not


@dataclass(frozen=True)
class PictureReport:
    """What was written."""

    height: int
    width: int
    frames: int = 1
    remarks: tuple[str, ...] = ()
    """What is not as in the source."""

    def __str__(self) -> str:
        """For example `800x600`, or `800x600, 12 frames`."""
        return f"{self.width}x{self.height}" + (f", {self.frames} frames" if self.frames > 1 else "")


def upscale_picture(
    source: Path, target: Path, upscaler: PictureUpscaler, max_pixels: int, kind: Format | None = None
) -> PictureReport:
    """Write the upscaled picture `source` to `target`, in the format `kind` or that of the target's name.

    Of animations every frame, of a TIFF every page, if the target's format can hold them, else the first. 16 bits,
    floating point, grey, alpha and metadata are kept as far as it can hold them. png, jpg and tif are written strip by
    strip, so that they may be larger than memory; others are held whole. Raises `SparsrError` for a bad picture, or if
    the format of `target` cannot hold the result; `target` is only there if all of it could be written.
    """
    kind = kind or written_format(target)
    with opened(source) as file:
        check_size(file.image, file.path, max_pixels)
        job = _Job(file, target, kind, upscaler, max_pixels)
        if file.pages and kind.name == "TIFF":
            return job.pages()
        if file.frames > 1 and kind.frames and not file.pages:
            return job.animation()
        return job.picture()


@dataclass
class _Job:
    """One file on its way."""

    source: Opened
    target: Path
    kind: Format
    upscaler: PictureUpscaler
    max_pixels: int

    def picture(self) -> PictureReport:
        """The only picture, or the first."""
        frames, pages, further = self.source.frames, self.source.pages, self._further()
        picture = read_frame(self.source)
        self.source.release()  # the arrays are all that is needed from here on
        height, width = (side * self.upscaler.scale for side in picture.rgb.shape[:2])
        self._refuse_misfit(height, width, picture)
        prepared = Prepared(picture, self.kind)
        del picture  # with alpha its arrays are not needed any more
        if frames > 1:
            what = "pages" if pages else "frames"
            prepared.remarks.append(
                f"only the first of {frames} {what}: a {self.kind.suffixes[0][1:]} file holds one picture"
            )
        prepared.remarks += further
        with Progress(self.source.path.name, unit="tiles") as progress:

            def on_tile(done: int, total: int) -> None:
                progress.total = total
                progress.advance()

            held_back = self._held_back(height, width, prepared.channels)
            strips = self.upscaler.strips(prepared.pixels, reserve=held_back, on_tile=on_tile)
            with _output(self.target) as file:
                shape = height, width, prepared.channels
                metadata = prepared.metadata.of_size(height, width)
                writer = strip_writer(file, self.kind, shape, prepared.dtype, metadata)
                for strip in strips:
                    writer.write(prepared.finished(strip))
                writer.finish()
        return PictureReport(height, width, remarks=tuple(prepared.remarks))

    def pages(self) -> PictureReport:
        """Every page of a TIFF, each with its own size, type of samples and metadata."""
        remarks = self._further()
        writer: TiffWriter | None = None
        with Progress(self.source.path.name, self.source.frames, "pages") as progress, _output(self.target) as file:
            for _ in positions(self.source):
                check_size(self.source.image, self.source.path, self.max_pixels)
                prepared = Prepared(read_frame(self.source), self.kind)
                remarks += [remark for remark in prepared.remarks if remark not in remarks]
                height, width = (side * self.upscaler.scale for side in prepared.pixels.shape[:2])
                shape, metadata = (height, width, prepared.channels), prepared.metadata.of_size(height, width)
                link = {"link": writer.next_link} if writer else {}
                writer = TiffWriter(file, shape, prepared.dtype, metadata, **link)
                for strip in self.upscaler.strips(prepared.pixels):
                    writer.write(prepared.finished(strip))
                writer.finish()
                progress.advance()
        return PictureReport(height, width, progress.done, tuple(remarks))

    def animation(self) -> PictureReport:
        """Every frame, as a whole picture."""
        found = survey(self.source)
        width, height = (side * self.upscaler.scale for side in self.source.image.size)
        refuse_misfit(output_name(self.target), self.kind, height, width, found.alpha)
        held_back = self._held_back(height, width, 3 + found.alpha + self.kind.frames_bytes)
        if held_back:
            self._refuse_large(held_back, f"frames of {width}x{height} pixels")
        count = len(found.timing.milliseconds)
        deep = bits(self.source.image, self.source.file) > 8
        remarks = ["more than 8 bits a channel cut to 8, in which frames are put together"] if deep else []
        if self.source.image.info.get("default_image"):
            remarks.append("left out: the picture for viewers that know no animations")
        with Progress(self.source.path.name, count, "frames") as progress, _output(self.target) as file:
            prepared = self._prepared_frames(found, remarks)
            first = next(prepared)
            height, width = (
                side * self.upscaler.scale for side in first.pixels.shape[:2]
            )  # turned, where Exif says so
            metadata = first.metadata.of_size(height, width)
            frames = self._upscaled(itertools.chain([first], prepared), held_back, progress)
            write_animation(file, self.kind, frames, metadata, found.timing)
        return PictureReport(height, width, count, tuple(remarks))

    def _further(self) -> list[str]:
        """A remark if the file has pictures that are no frames and no pages."""
        count = self.source.further
        what = "picture" if count == 1 else "pictures"
        kinds = "previews, masks, views, depth and gain maps"
        return [f"left out: {count} further {what} of the file, such as {kinds}"] if count else []

    def _prepared_frames(self, found: Animation, remarks: list[str]) -> Iterator[Prepared]:
        for _ in positions(self.source):
            picture = read_frame(self.source)
            opaque = np.full(picture.rgb.shape[:2], 255, np.uint8)
            alpha = (opaque if picture.alpha is None else picture.alpha) if found.alpha else None
            prepared = Prepared(Picture(picture.rgb, alpha, picture.metadata, remark=picture.remark), self.kind)
            remarks += [remark for remark in prepared.remarks if remark not in remarks]
            yield prepared

    def _upscaled(self, frames: Iterator[Prepared], held_back: int, progress: Progress) -> Iterator[Samples]:
        for prepared in frames:
            yield prepared.finished(self.upscaler(prepared.pixels, reserve=held_back))
            progress.advance()

    def _refuse_misfit(self, height: int, width: int, picture: Picture) -> None:
        """Raise `SparsrError` before the work rather than after it."""
        refuse_misfit(output_name(self.target), self.kind, height, width, picture.alpha is not None)
        held_back = self._held_back(height, width, 3)
        if held_back:
            self._refuse_large(picture.rgb.nbytes + held_back, f"{width}x{height} pixels")

    def _refuse_large(self, count: int, what: str) -> None:
        """Raise `SparsrError` for what must be held whole and does not fit into memory."""
        needed, most = self.upscaler.held + count, self.upscaler.max_memory
        if needed > most:
            raise MisfitError(
                f"{output_name(self.target)}: writing {what} as {self.kind.name} takes more than {format_bytes(most)}",
                f"name a png file, which is written piece by piece, or pass --max-memory {format_bytes(needed)}",
            )

    def _held_back(self, height: int, width: int, channels: int) -> int:
        """Bytes for formats that want the whole picture: the result, and what the encoder makes of it."""
        return 0 if self.kind.streamed else height * width * (channels + self.kind.encoder_bytes)


@contextmanager
def _output(target: Path) -> Iterator[BinaryIO]:
    """A file that becomes `target` once it is whole, or is passed on to standard output. Its failures name it."""
    name = output_name(target)
    try:
        if target == STANDARD_STREAM:
            with tempfile.TemporaryFile() as file:
                yield file
                file.seek(0)
                with open(STANDARD_OUTPUT, "wb", closefd=False) as stream:
                    shutil.copyfileobj(file, stream)
            return
        with atomic_file(target) as temporary, temporary.open("w+b") as file:
            yield file
    except MisfitError as error:
        raise MisfitError(f"{name} cannot be written: {error}", error.hint) from error
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), error.filename or name) from error
