"""Opening picture files: what is decoded, what is passed over, what is refused before anything is decoded.

The rule: what a picture viewer shows is read. Chunks and segments that only describe the picture never stop it; a JPEG
that ends early is read as far as it goes, with a remark; whatever is damaged beyond that is refused in one sentence.
"""

from __future__ import annotations

import contextlib
import io
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageChops

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.media import png_chunks
from sparsr.runtime.media.formats import FORMATS, READ_SUFFIXES

MAX_PIXELS = 100_000_000
"""Largest picture read unless the caller says otherwise: 300 MB once decoded in 8 bits."""
STANDARD_STREAM = Path("-")
"""Stands for standard input or output."""
_MOST_ON_INPUT = 4 << 30  # bytes of a picture on standard input
_MANY = ("GIF", "PNG", "WEBP", "AVIF", "TIFF")  # formats of animations and pages
_MOST_MISSING = 0.1  # of the rows of a JPEG
_END_OF_IMAGE = b"\xff\xd9"

# The caller's own cap, checked from the header, takes the place of Pillow's warning and fixed limit.
Image.MAX_IMAGE_PIXELS = None
# What Pillow warns about is read as well as it can be, or refused in our own words.
warnings.filterwarnings("ignore", module="PIL")


@dataclass
class Opened:
    """A file whose header has been read."""

    path: Path
    file: BinaryIO
    """What decoders are shown of it."""
    image: Image.Image
    chunks: list[png_chunks.Chunk]
    """Of PNG: what describes the picture."""
    remark: str | None = None
    """What is missing."""

    @property
    def frames(self) -> int:
        """Pictures in the file; 1 where more than one are not an animation or pages."""
        if self.image.format not in _MANY:
            return 1
        with decoding(self.path):  # some formats tell only once every header is read
            return int(getattr(self.image, "n_frames", 1))

    @property
    def pages(self) -> bool:
        """Whether the pictures are pages, which may differ in size and do not move."""
        return self.frames > 1 and self.image.format == "TIFF"

    @property
    def reads_deep(self) -> bool:
        """Whether more than 8 bits a sample can be had: of animations Pillow alone puts the frames together."""
        return self.frames == 1 or self.pages

    def release(self) -> None:
        """Give back the decoded pixels, 4 bytes each; nothing can be read of the file after."""
        self.image.close()

    def load(self) -> Image.Image:
        """Decode; of a JPEG that ends early what there is."""
        try:
            self.image.load()
        except OSError as error:
            if self.image.format != "JPEG":
                raise
            self.image, self.remark = _completed(self.path, self.file, error)
        return self.image


@contextmanager
def opened(path: str | Path) -> Iterator[Opened]:
    """The file's header, pixels still undecoded. Raises `SparsrError` if it is missing, empty or not an image."""
    path = Path(path)
    with _file(path) as file:
        if not file.read(1):
            raise SparsrError(f"{path} is empty (0 bytes)", "copy or save it again")
        file.seek(0)
        shown: BinaryIO = file
        chunks: list[png_chunks.Chunk] = []
        with decoding(path):
            try:
                if file.read(len(png_chunks.SIGNATURE)) == png_chunks.SIGNATURE:
                    shown, chunks = png_chunks.split(file)
                shown.seek(0)
                image = Image.open(shown, formats=_candidates(path))
            except Image.UnidentifiedImageError as error:
                raise SparsrError(f"{path} is not an image of a known format{_what(file)}", _hint(path)) from error
        with image:
            yield Opened(path, shown, image, chunks)


@contextmanager
def decoding(path: Path) -> Iterator[None]:
    """What decoding raises inside becomes a `SparsrError`; decoders raise nearly anything on a damaged file."""
    try:
        yield
    except (SparsrError, MemoryError):
        raise
    except Exception as error:
        raise SparsrError(f"{path} is damaged or cut short ({error})", "copy or save it again") from error


def check_size(image: Image.Image, path: Path, max_pixels: int) -> None:
    """Refuse what has too many pixels."""
    width, height = image.size
    if width * height > max_pixels:
        raise SparsrError(
            f"{path} is {width}x{height}, more than the {max_pixels / 1e6:g} million pixels allowed",
            "crop or shrink it, or raise the limit",
        )


@contextmanager
def _file(path: Path) -> Iterator[BinaryIO]:
    if path == STANDARD_STREAM:
        content = sys.stdin.buffer.read(_MOST_ON_INPUT)
        yield io.BytesIO(content)
        return
    if not path.is_file():
        reason = "is a folder, not an image file" if path.is_dir() else "does not exist"
        raise SparsrError(f"{path} {reason}", "check the path")
    with path.open("rb") as file:
        yield file


def _candidates(path: Path) -> tuple[str, ...]:
    """Formats a file may have: of those without a signature only the one its name tells."""
    with contextlib.suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()
    told = READ_SUFFIXES.get(path.suffix.lower())
    known = (kind.name for kind in FORMATS if kind.signature or kind is told)
    Image.init()
    return tuple(name for name in known if name in Image.OPEN)


def _what(file: BinaryIO) -> str:
    """What a file is whose kind people hand in by mistake."""
    file.seek(0)
    head = file.read(64)
    if head.startswith(b"version https://git-lfs"):
        return " but a pointer of Git LFS"
    if head.lstrip()[:9].lower().startswith((b"<!doctype", b"<html")):
        return " but a web page"
    return ""


def _hint(path: Path) -> str:
    kind = READ_SUFFIXES.get(path.suffix.lower())
    if kind and kind.name not in Image.OPEN:
        return "pip install 'sparsr[pictures]'" if kind.name == "HEIF" else f"this Pillow reads no {kind.name}"
    return f"known: {' '.join(READ_SUFFIXES)}"


def _completed(path: Path, file: BinaryIO, error: OSError) -> tuple[Image.Image, str]:
    """A JPEG without its end. Raises `error` if more than a tenth of the rows is missing."""
    file.seek(0)
    image = Image.open(io.BytesIO(file.read() + _END_OF_IMAGE), formats=("JPEG",))
    image.load()
    if _missing_rows(image) > _MOST_MISSING * image.height:
        raise error
    return image, f"{path} ends early; what may be missing at its bottom is filled with one colour"


def _missing_rows(image: Image.Image) -> int:
    """Rows at the bottom that may have been filled in: decoders continue the last block's mean colour (T.81, F.2.1)."""
    width, height = image.size
    left, right = image.crop((0, 0, width - 1, height)), image.crop((1, 0, width, height))
    changes = ImageChops.difference(left, right).convert("RGB").getbbox() if width > 1 else None
    return height - changes[3] if changes else height
