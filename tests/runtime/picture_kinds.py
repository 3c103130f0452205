"""Pictures as tests hand them in, and an upscaler whose result is known."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

from sparsr.runtime.upscale.upscaler import DEFAULT_MAX_MEMORY, PictureUpscaler


class Doubling(PictureUpscaler):
    """Every pixel four times, whatever its type of samples."""

    scale, held, max_memory = 2, 0, DEFAULT_MAX_MEMORY
    minimum_size, exact = 1, True

    def _start(self, image, reserve, on_tile, strip_bytes):
        self.seen = image
        for row in image:
            yield row[None].repeat(2, axis=0).repeat(2, axis=1)

    def _copy(self, threads):
        return self

    def _picture_bytes(self, height, width):
        return 0

    def split(self, height, width):
        return [self] * 2


Doubling.__abstractmethods__ = frozenset()


def doubled(pixels):
    return pixels.repeat(2, axis=0).repeat(2, axis=1)


def noise(height, width, channels=3, dtype=np.uint8, seed=0):
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, (height, width, channels), dtype, endpoint=True)


def smooth(height=48, width=64):
    """Soft colours, which survive lossy formats."""
    y, x = np.mgrid[:height, :width]
    channels = 128 + 90 * np.sin(x / 9 + y / 17), 60 + 150 * y / height, 200 - 120 * x / width
    return np.stack(channels, axis=-1).astype(np.uint8)


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(pixels, *chunks):
    """A PNG file by hand, of 8 or 16 bits and 1 to 4 channels, with chunks before the pixels."""
    height, width, channels = pixels.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, 8 * pixels.itemsize, kind, 0, 0, 0)
    big = pixels.astype(pixels.dtype.newbyteorder(">"))
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in big))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def grey_profile(gamma):
    """An ICC profile for grey with one gamma (ICC.1:2022: header, tag table, desc, cprt, wtpt, kTRC)."""
    white = struct.pack(">iii", 63190, 65536, 54061)
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"Gray\0" + bytes(78),
        b"cprt": b"text\0\0\0\0CC0\0",
        b"wtpt": b"XYZ \0\0\0\0" + white,
        b"kTRC": b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)),
    }
    offset, body, table = 132 + 12 * len(tags), b"", struct.pack(">I", len(tags))
    for name, data in tags.items():
        table += struct.pack(">4sII", name, offset + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    size = 128 + len(table) + len(body)
    header = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x02100000, b"mntr", b"GRAY", b"XYZ ")
    header += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + white
    return header.ljust(128, b"\0") + table + body


def jpeg(pixels, **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", **{"quality": 95, **options})
    return file.getvalue()
