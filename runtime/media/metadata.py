"""What a picture file says about its picture, read, corrected for the enlarged picture, and written again.

The rule: metadata never stops a picture. What is broken is passed over; what is sound is kept in every format that has
a place for it. Orientation is applied to the pixels and then gone; sizes in pixels become those of the result; previews
of the old picture are left out.
"""

from __future__ import annotations

import contextlib
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from sparsr.runtime.media import png_chunks

ORIENTATION = 0x0112
_EXIF_IFD, _GPS_IFD, _INTEROPERABILITY_IFD = 0x8769, 0x8825, 0xA005
_BYTES, _UNDEFINED = 1, 7  # types of fields
_UNDEFINED_OF_GPS = (27, 28)  # processing method and area
_THUMBNAILS = (1033, 1036)  # among Photoshop's blocks
_XMP_THUMBNAILS = re.compile(rb"<xmp:Thumbnails>.*?</xmp:Thumbnails>", re.DOTALL)
_WIDTH, _HEIGHT = 0xA002, 0xA003
# Of the main directory: what describes the picture, not how the file stores it. Title, camera, resolution, software,
# date, artist, rating, copyright, and Windows' own fields.
DESCRIPTIVE = (270, 271, 272, 282, 283, 296, 305, 306, 315, 316, 18246, 33432, 40091, 40092, 40093, 40094, 40095)
PHOTOSHOP, IPTC = 34377, 33723  # fields of TIFF
_IPTC_BLOCK = b"8BIM\x04\x04\0\0"  # with an empty name; four bytes of length follow
PHOTOSHOP_SEGMENT = b"Photoshop 3.0\0"
_XMP_ORIENTATION = re.compile(rb"""(tiff:Orientation(?:=["']|>))\s*[2-8]""")
_XMP_SIZES = rb"""((?:tiff:Image|exif:Pixel[XY]?)(?:%s)(?:=["']|>))\s*\d+"""


@dataclass(frozen=True)
class Metadata:
    """Of one picture."""

    icc_profile: bytes | None = None
    """A colour profile for RGB, or for grey where the picture is grey."""
    exif: bytes | None = None
    """A TIFF structure, without orientation."""
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    chunks: tuple[png_chunks.Chunk, ...] = ()
    """Of PNG, byte for byte: colour and text."""
    iptc: bytes | None = None
    """Photoshop's blocks, as they lie in the APP13 segment of JPEG and in a field of TIFF."""
    comment: str | None = None

    def of_size(self, height: int, width: int) -> Metadata:
        """The metadata with the pixel sizes of the result."""
        xmp = self.xmp
        if xmp:
            for name, length in (rb"Width|XDimension", width), (rb"Length|YDimension", height):
                xmp = re.sub(_XMP_SIZES % name, rb"\g<1>%d" % length, xmp)
        return replace(self, exif=_sized(self.exif, height, width), xmp=xmp)

    def lost_in(self, fields: tuple[str, ...]) -> list[str]:
        """Names of what is there and has no place among `fields`."""
        names = {"icc_profile": "colour profile", "exif": "Exif", "xmp": "XMP", "iptc": "IPTC", "comment": "comment"}
        lost = [text for name, text in names.items() if getattr(self, name) and name not in fields]
        if self.chunks and "chunks" not in fields:
            kinds = {name for name, _ in self.chunks}
            lost += ["colour signalling"] if kinds & set(png_chunks.COLOUR) - {b"sRGB"} else []
            lost += ["text of the PNG"] if kinds - set(png_chunks.COLOUR) else []
        return lost


def read_metadata(image: Image.Image, chunks: list[png_chunks.Chunk], grey: bool) -> Metadata:
    """The metadata of an opened picture. `chunks`: of a PNG file."""
    info = image.info
    profile = png_chunks.icc_profile(chunks) if chunks else info.get("icc_profile")
    xmp = png_chunks.xmp(chunks) if chunks else info.get("xmp")
    dpi = png_chunks.dots_per_inch(chunks) if chunks else info.get("dpi")
    return Metadata(
        profile if profile and _fits(profile, b"GRAY" if grey else b"RGB ") else None,
        _exif(image, chunks),
        _XMP_THUMBNAILS.sub(b"", _XMP_ORIENTATION.sub(rb"\g<1>1", xmp)) if isinstance(xmp, bytes) else None,
        _dpi(dpi),
        png_chunks.kept_as_they_are(chunks),
        _photoshop(image, chunks),
        _comment(info.get("comment")),
    )


def orientation(image: Image.Image, chunks: list[png_chunks.Chunk]) -> int:
    """How the pixels lie, 1 to 8 (Exif 2.3, 4.6.4); 1 where nothing sound says so."""
    found: Any = 1
    with contextlib.suppress(Exception):  # Pillow's parser raises nearly anything on damaged data
        found = _loaded(image, chunks).get(ORIENTATION, 1)
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def parsed(exif: bytes) -> Image.Exif:
    """An Exif block as Pillow's object, whose texts are written as the bytes they were."""
    result = Image.Exif()
    result.load(exif)
    for directory in (result, result.get_ifd(_EXIF_IFD), result.get_ifd(_GPS_IFD)):
        for tag, value in [*directory.items()]:
            directory[tag] = _as_stored(value)
    again = Image.Exif()  # as an object that was asked for that directory writes it in two places
    again.load(exif)
    _attach_interoperability(again, result.get_ifd(_EXIF_IFD))
    return result


def stored(exif: Image.Exif) -> bytes:
    """The block that Pillow makes of it, whose bytes have the type that the standard gives them."""
    block = bytearray(exif.tobytes())
    base = len(b"Exif\0\0")
    order = "<" if block[base : base + 2] == b"II" else ">"

    def fields(place: int) -> Iterator[tuple[int, int, int]]:
        for number in range(struct.unpack_from(order + "H", block, base + place)[0]):
            at = base + place + 2 + 12 * number
            tag, kind = struct.unpack_from(order + "HH", block, at)
            yield at, tag, kind

    places = {tag: at for at, tag, _ in fields(struct.unpack_from(order + "I", block, base + 4)[0])}
    for directory in (_EXIF_IFD, _GPS_IFD):
        if directory in places:
            for at, tag, kind in fields(struct.unpack_from(order + "I", block, places[directory] + 8)[0]):
                if kind == _BYTES and (directory == _EXIF_IFD or tag in _UNDEFINED_OF_GPS):
                    struct.pack_into(order + "H", block, at + 2, _UNDEFINED)
    return bytes(block)


def _attach_interoperability(exif: Image.Exif, directory: dict[int, Any]) -> None:
    """Put the directory that says whether a camera's colours are Adobe's where it belongs; Pillow leaves it out."""
    if directory.pop(_INTEROPERABILITY_IFD, None) is None:
        return
    with contextlib.suppress(Exception):
        if entries := exif.get_ifd(_INTEROPERABILITY_IFD):
            directory[_INTEROPERABILITY_IFD] = {tag: _as_stored(value) for tag, value in entries.items()}


class Text(str):
    """A text of Exif. Its bytes are UTF-8 as a rule; Pillow reads them as Latin 1 and would write question marks."""

    def encode(self, encoding: str = "latin-1", errors: str = "replace") -> bytes:
        """The bytes as they were, whatever is asked for."""
        return super().encode("latin-1", "replace")


def _loaded(image: Image.Image, chunks: list[png_chunks.Chunk]) -> Image.Exif:
    data = png_chunks.exif(chunks) if chunks else None
    return parsed(data) if data else image.getexif()


def _exif(image: Image.Image, chunks: list[png_chunks.Chunk]) -> bytes | None:
    """The descriptive part of the Exif data in a block of its own."""
    with contextlib.suppress(Exception):
        found, result = _loaded(image, chunks), Image.Exif()
        result.endian = found.endian or "<"  # in which makers' notes and comments are, too
        for tag in DESCRIPTIVE:
            if tag in found:
                result[tag] = _as_stored(found[tag])
        for directory in (_EXIF_IFD, _GPS_IFD):
            if entries := found.get_ifd(directory):
                result.get_ifd(directory).update({tag: _as_stored(value) for tag, value in entries.items()})
        if result.get_ifd(_EXIF_IFD):
            _attach_interoperability(found, result.get_ifd(_EXIF_IFD))
        if len(result) or result.get_ifd(_EXIF_IFD) or result.get_ifd(_GPS_IFD):
            return stored(result)
    return None


def _photoshop(image: Image.Image, chunks: list[png_chunks.Chunk]) -> bytes | None:
    """Photoshop's blocks; of a TIFF that has only IPTC a block with that."""
    if chunks:
        found = png_chunks.photoshop(chunks)
        return _without_previews(found) if found else None
    for name, data in getattr(image, "applist", []):
        if name == "APP13" and data.startswith(PHOTOSHOP_SEGMENT):
            return _without_previews(bytes(data.removeprefix(PHOTOSHOP_SEGMENT)))
    # As stored: programs call the bytes of these fields bytes or numbers of four, of which Pillow takes the first.
    stored = getattr(getattr(image, "tag_v2", None), "_tagdata", {})
    blocks, record = stored.get(PHOTOSHOP), stored.get(IPTC)
    if isinstance(blocks, bytes):
        return _without_previews(blocks)
    if not isinstance(record, bytes):
        return None
    return _IPTC_BLOCK + len(record).to_bytes(4, "big") + record + b"\0" * (len(record) % 2)


def _without_previews(blocks: bytes) -> bytes:
    """Photoshop's blocks (Adobe Photoshop File Formats, image resources) but for pictures of the old picture."""
    kept, at = b"", 0
    while blocks[at : at + 4] == b"8BIM" and at + 12 <= len(blocks):
        kind, name = struct.unpack_from(">HB", blocks, at + 4)
        start = at + 6 + (name + 2) // 2 * 2  # the name has an even number of bytes with its length
        size = int.from_bytes(blocks[start : start + 4], "big")
        end = start + 4 + size + size % 2
        kept += blocks[at:end] if kind not in _THUMBNAILS else b""
        at = end
    return kept + blocks[at:]


def iptc_record(blocks: bytes) -> bytes:
    """What Photoshop's blocks hold of IPTC; empty if nothing."""
    _, found, rest = blocks.partition(_IPTC_BLOCK)
    return rest[4 : 4 + int.from_bytes(rest[:4], "big")] if found else b""


def _as_stored(value: Any) -> Any:
    return Text(value) if isinstance(value, str) else value


def _sized(exif: bytes | None, height: int, width: int) -> bytes | None:
    if not exif:
        return None
    with contextlib.suppress(Exception):
        block = parsed(exif)
        directory = block.get_ifd(_EXIF_IFD)
        if _WIDTH in directory or _HEIGHT in directory:
            directory[_WIDTH], directory[_HEIGHT] = width, height
        return stored(block)
    return None


def _fits(profile: bytes, space: bytes) -> bool:
    """Whether it is a profile (ICC.1:2022, 7.2) of that colour space."""
    return len(profile) >= 128 and profile[36:40] == b"acsp" and profile[16:20] == space


def _dpi(value: Any) -> tuple[float, float] | None:
    with contextlib.suppress(TypeError, ValueError, ZeroDivisionError):
        x, y = map(float, value)
        return (x, y) if 0 < x < 1e6 and 0 < y < 1e6 else None
    return None


def _comment(value: Any) -> str | None:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value if isinstance(value, str) else None
