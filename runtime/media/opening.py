"""Opening picture files: what is decoded, what is passed over, what is refused before anything is decoded.

The rule: what a picture viewer shows is read. Chunks and segments that only describe the picture never stop it; a JPEG
that ends early is read as far as it goes, with a remark; whatever is damaged beyond that is refused in one sentence.
"""

from __future__ import annotations

import contextlib
import io
import math
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image, ImageChops

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.media import png_chunks, psd
from sparsr.runtime.media.drawn_frames import DrawnFrames
from sparsr.runtime.media.formats import FORMATS, READ_SUFFIXES
from sparsr.runtime.media.gif_frames import GifAnimation
from sparsr.runtime.media.png_frames import PngAnimation
from sparsr.runtime.media.tiff_reading import page_kinds

MAX_PIXELS = 100_000_000
"""Largest picture read unless the caller says otherwise: 300 MB once decoded in 8 bits."""
STANDARD_STREAM = Path("-")
"""Stands for standard input or output."""
_STANDARD_INPUT = Path("standard input")
_MOST_ON_INPUT = 4 << 30  # bytes of a picture on standard input
_MANY = ("GIF", "PNG", "WEBP", "AVIF", "TIFF")  # formats of animations and pages
# Those that are put together here, not by Pillow.
_MOVING: dict[str, type[DrawnFrames[Any]]] = {"GIF": GifAnimation, "PNG": PngAnimation}
_ALBUMS = ("MPO", "HEIF")  # of pictures that belong together in other ways; MPO are several JPEG in one file
_GAIN_MAP = b"hdrgm:Version"  # of Ultra HDR, a JPEG behind the JPEG, which Pillow does not count
_MOST_MISSING = 0.1  # of the rows of a JPEG
_ASIDE = 1 | 4  # bits of the kind of a page: a smaller version of another one, or its mask
_KIND_OF_PAGE, _SUB_DIRECTORIES, _REDUCED = 254, 330, (1, 3, 5, 7)  # tags of TIFF, and values of the first
_CANON_RAW = 8, b"CR"  # what CR2 files have where
_END_OF_IMAGE = b"\xff\xd9"

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_OTHERS = (
    ("a pointer of Git LFS", 0, b"version https://git-lfs"),
    ("a TIFF whose samples are stored in a way that is not read here", 0, _TIFF),
    ("a Photoshop picture for very large sizes (PSB) or of unusual colours", 0, b"8BPS"),
    ("a PNG whose header is broken or missing", 0, png_chunks.SIGNATURE),
    ("a PNG whose bytes were changed by a transfer as text", 0, b"\x89PNG"),
    ("JPEG XL", 0, (b"\xff\x0a", b"\0\0\0\x0cJXL ")),
    ("JPEG XR", 0, b"II\xbc"),
    ("OpenEXR", 0, b"\x76\x2f\x31\x01"),
    ("Radiance HDR", 0, (b"#?RADIANCE", b"#?RGBE")),
    ("PDF", 0, b"%PDF"),
    ("PostScript", 0, b"%!PS"),
    ("SVG or other XML", 0, (b"<svg", b"<?xml")),
    ("a camera's raw data", 0, (b"FUJIFILMCCD-RAW", b"IIRO", b"IIU\0", b"FOVb")),
    ("a camera's raw data", 4, b"ftypcrx"),
    ("a GIMP picture", 0, b"gimp xcf"),
    ("a ZIP archive or a document", 0, b"PK\x03\x04"),
    ("a film", 4, (b"ftypisom", b"ftypmp4", b"ftypqt", b"ftypM4V", b"ftypiso", b"ftypavc1", b"ftyp3gp")),
    ("a film", 0, (b"\x1a\x45\xdf\xa3", b"\0\0\x01\xba")),
    ("a film", 8, b"AVI LIST"),
)
"""What else files are, and at which place they begin with what."""
_FILM_HINT = "films are taken from files by their ending, such as .mp4; raw frames from standard input by --raw"

# The caller's own cap, checked from the header, takes the place of Pillow's warning and fixed limit.
Image.MAX_IMAGE_PIXELS = None
# What Pillow warns about is read as well as it can be, or refused in our own words.
warnings.filterwarnings("ignore", module="PIL")


@dataclass
class Opened:
    """A file whose header has been read."""

    path: Path
    """What sentences call it."""
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
            return len(self.numbers)

    @cached_property
    def numbers(self) -> list[int]:
        """Which of the file's pictures are frames or pages: of a TIFF not those that are previews or masks."""
        if self.image.format == "TIFF":
            kinds = page_kinds(self.file)
            return [number for number, kind in enumerate(kinds) if not kind & _ASIDE] or [*range(max(1, len(kinds)))]
        first = 1 if self.image.info.get("default_image") else 0  # of APNG: a picture outside the animation
        return [*range(first, int(getattr(self.image, "n_frames", 1)))]

    @property
    def pages(self) -> bool:
        """Whether the pictures are pages, which may differ in size and do not move."""
        return self.frames > 1 and self.image.format == "TIFF"

    @property
    def reads_deep(self) -> bool:
        """Whether more than 8 bits a sample can be had: of animations Pillow alone puts the frames together."""
        return self.frames == 1 or self.pages

    @property
    def further(self) -> int:
        """Pictures beside the first that are neither frames nor pages: other views, depth and gain maps."""
        known = int(getattr(self.image, "n_frames", 1)) - 1 if self.image.format in _ALBUMS else 0
        if self.image.format == "TIFF":
            known = len(page_kinds(self.file)) - self.frames
        gain_map = self.image.format == "JPEG" and _GAIN_MAP in (self.image.info.get("xmp") or b"")
        return known or int(gain_map)

    def release(self) -> None:
        """Give back the decoded pixels, 4 bytes each; nothing can be read of the file after."""
        self.image.close()

    def load(self) -> Image.Image:
        """Decode; of a JPEG that ends early what there is."""
        try:
            self.image.load()
        except OSError as error:
            if self.image.format not in ("JPEG", "MPO"):
                raise
            self.image, self.remark = _completed(self.path, self.file, error)
        return self.image


@contextmanager
def opened(path: str | Path) -> Iterator[Opened]:
    """The file's header, pixels still undecoded. Raises `SparsrError` if it is missing, empty or not an image."""
    path = Path(path)
    with _file(path) as file:
        path = _STANDARD_INPUT if path == STANDARD_STREAM else path
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
                if image.format in _MOVING and (getattr(image, "n_frames", 1) > 1 or _is_part(image)):
                    shown.seek(0)
                    image = _MOVING[image.format](shown)
            except Image.UnidentifiedImageError as error:
                what = _what(file)
                hint = _FILM_HINT if what == " but a film" else _hint(path)
                raise SparsrError(f"{path} is not an image of a known format{what}", hint) from error
        with image:
            if _is_preview(image, file):
                hint = "develop it with a raw converter, and save that as TIFF of 16 bits"
                raise SparsrError(f"{path} is a camera's raw file, of which only a preview could be read", hint)
            if image.format == "TIFF" and (numbers := Opened(path, shown, image, chunks).numbers) and numbers[0]:
                with decoding(path):
                    image.seek(numbers[0])
            if image.format == "PSD":
                psd.describe(image, path)
            broken = isinstance(image, GifAnimation) and image.broken
            remark = f"{path} breaks off within a frame, which is left out" if broken else None
            yield Opened(path, shown, image, chunks, remark)


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
            f"crop or shrink it, or raise the limit with --max-pixels {math.ceil(width * height / 1e6)}",
        )


def output_name(target: Path) -> str:
    """What sentences call an output."""
    return "standard output" if target == STANDARD_STREAM else str(target)


@contextmanager
def _file(path: Path) -> Iterator[BinaryIO]:
    if path == STANDARD_STREAM:
        content = sys.stdin.buffer.read(_MOST_ON_INPUT)
        yield io.BytesIO(content)
        return
    if path.is_fifo():  # such as a shell's <(command)
        with path.open("rb") as pipe:
            yield io.BytesIO(pipe.read(_MOST_ON_INPUT))
        return
    if not path.is_file():
        reason = "is a folder, not an image file" if path.is_dir() else "does not exist"
        raise SparsrError(f"{path} {reason}", "check the path")
    with path.open("rb") as file:
        yield file


def _is_part(image: Image.Image) -> bool:
    """Whether the only frame of a GIF does not cover its screen, where the ground shows; Pillow fills it up."""
    tiles = getattr(image, "tile", [])
    return image.format == "GIF" and any(tuple(tile[1]) != (0, 0, *image.size) for tile in tiles)


def _is_preview(image: Image.Image, file: BinaryIO) -> bool:
    """Whether what Pillow has found is only a preview: cameras' raw files are TIFF files that begin with one."""
    if image.format != "TIFF":
        return False
    tags = image.tag_v2  # type: ignore[attr-defined]
    file.seek(_CANON_RAW[0])
    return (tags.get(_KIND_OF_PAGE) in _REDUCED and _SUB_DIRECTORIES in tags) or file.read(2) == _CANON_RAW[1]


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
    """What a file is whose kind people hand in by mistake, or in the hope that it is read."""
    file.seek(0)
    head = file.read(64)
    if head[:4] in _TIFF and not page_kinds(file):
        return " but a TIFF that is cut short: what it says of its picture lies behind its end"
    if head.lstrip()[:9].lower().startswith((b"<!doctype", b"<html")):
        return " but a web page"
    found = (what for what, at, beginning in _OTHERS if head[at:].startswith(beginning))
    return f" but {what}" if (what := next(found, "")) else ""


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
    if image.info.get("progressive"):
        return image, f"{path} ends early; its picture is coarser than it was"
    return image, f"{path} ends early; what may be missing at its bottom is filled with one colour"


def _missing_rows(image: Image.Image) -> int:
    """Rows at the bottom that may have been filled in: decoders continue the last block's mean colour (T.81, F.2.1)."""
    width, height = image.size
    left, right = image.crop((0, 0, width - 1, height)), image.crop((1, 0, width, height))
    changes = ImageChops.difference(left, right).convert("RGB").getbbox() if width > 1 else None
    return height - changes[3] if changes else height
