"""The pictures of the page: what is shown of them, side by side comparison, embedding."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.media.images import read_image

ByteArray = NDArray[np.uint8]

SHOWN = (1600, 1200)
"""Width and height of the largest part of the upscaled picture that goes into the page."""
DETAIL = (200, 200)
"""Width and height, in upscaled pixels, of the detail in the comparison."""
_PANEL = 400  # side of one panel of the comparison, pixels
_GAP, _LABEL = 8, 40


@dataclass(frozen=True, eq=False)
class Pictures:
    """[height, width, 3] RGB. `bicubic`, `after` and `reference` are `scale` times the size of `before`."""

    before: ByteArray
    bicubic: ByteArray
    """`before` enlarged by Pillow's bicubic filter."""
    after: ByteArray
    reference: ByteArray | None
    scale: int
    whole: bool = True
    """False if they show only a part of the files."""

    @classmethod
    def read(cls, before: Path, after: Path, reference: Path | None) -> Pictures:
        """Read the files. Raises `SparsrError` if their sizes do not belong together."""
        small, large = read_image(before).rgb, read_image(after).rgb
        scale = large.shape[0] // small.shape[0]
        height, width = small.shape[0] * scale, small.shape[1] * scale
        if scale < 1 or large.shape[:2] != (height, width):
            raise SparsrError(
                f"{after} is {large.shape[1]}x{large.shape[0]}, no whole multiple of {before} "
                f"({small.shape[1]}x{small.shape[0]})",
                "give the picture that went in and the one that came out",
            )
        original = read_image(reference).rgb if reference else None
        if original is not None and original.shape != large.shape:
            raise SparsrError(
                f"{reference} is {original.shape[1]}x{original.shape[0]}, the upscaled picture {width}x{height}",
                "the reference must have its size",
            )
        bicubic = np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))
        return cls(small, bicubic, large, original, scale)

    def part(self, width: int, height: int) -> Pictures:
        """At most that many upscaled pixels, where the network changed most against bicubic."""
        scale = self.scale
        rows, columns = self.before.shape[:2]
        height, width = min(height // scale, rows), min(width // scale, columns)
        if (height, width) == (rows, columns):
            return self
        change = np.abs(self.after.astype(np.int16) - self.bicubic).sum(axis=2, dtype=np.int32)
        # One value per input pixel, so that the part begins on one.
        change = change.reshape(rows, scale, columns, scale).sum(axis=(1, 3))
        top, left = densest_window(change, height, width)
        small = np.s_[top : top + height, left : left + width]
        large = np.s_[top * scale : (top + height) * scale, left * scale : (left + width) * scale]
        reference = None if self.reference is None else self.reference[large]
        return Pictures(self.before[small], self.bicubic[large], self.after[large], reference, scale, False)

    def panels(self, name: str) -> dict[str, ByteArray]:
        """What is compared, by its label: bicubic, the network called `name`, the original if there is one."""
        panels = {"bicubic": self.bicubic, name: self.after}
        if self.reference is not None:
            panels["original"] = self.reference
        return panels

    def comparison(self, name: str) -> ByteArray:
        """The panels of a detail side by side, enlarged without smoothing, labels below."""
        detail = self.part(*DETAIL)
        height, width = detail.after.shape[:2]
        zoom = max(1, _PANEL // max(height, width))
        height, width = height * zoom, width * zoom
        panels = detail.panels(name)
        sheet = Image.new("RGB", (len(panels) * (width + _GAP) - _GAP, height + _LABEL), "white")
        draw = ImageDraw.Draw(sheet)
        for number, (label, pixels) in enumerate(panels.items()):
            left = number * (width + _GAP)
            sheet.paste(Image.fromarray(pixels).resize((width, height), Image.Resampling.NEAREST), (left, 0))
            draw.text((left + 2, height + 10), label, "black", ImageFont.load_default(18))
        return np.asarray(sheet)


def densest_window(values: NDArray[np.int64], height: int, width: int) -> tuple[int, int]:
    """(top, left) of the height x width window with the largest sum; the first of several such."""
    sums = np.pad(values.astype(np.int64).cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    windows = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    top, left = np.unravel_index(int(windows.argmax()), windows.shape)
    return int(top), int(left)


def embedded(pixels: ByteArray, lossless: bool = False) -> str:
    """The picture as a `data:` address: PNG without loss, otherwise WebP at a quality the eye cannot tell."""
    buffer = io.BytesIO()
    kind = "png" if lossless else "webp"
    Image.fromarray(pixels).save(buffer, kind, **({"optimize": True} if lossless else {"quality": 92, "method": 5}))
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
