"""Who computed what of a picture, in words and in colours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sparsr.runtime.engines.contract import ByteArray
from sparsr.runtime.model.adaptive_bundle import AdaptiveCard

# Okabe and Ito's colours, told apart by colour-blind people too: warm and dark for the dear, light for the cheap.
_COLOURS = ("#D55E00", "#E69F00", "#CC79A7", "#009E73", "#0072B2", "#56B4E9", "#F0E442", "#999999")
_TINT = 0.45
_LINE = 22  # pixels of the legend's lines

Choice = NDArray[np.intp]
"""The number of the candidate that computed each patch: [rows, columns]."""


def describe_shares(card: AdaptiveCard, choice: Choice) -> str:
    """Which candidate computed how much of a picture, for example `rfdn64 40 %, bicubic 60 %`."""
    return ", ".join(f"{name} {share:.0%}" for name, share in _shares(card, choice) if share)


def patch_map(image: ByteArray, card: AdaptiveCard, choice: Choice) -> ByteArray:
    """A picture, each patch in the colour of its candidate, above a legend.

    image: uint8 [h, w, 3] -> uint8 [s*h + legend, s*w, 3].
    """
    from PIL import ImageDraw  # with a library of fonts, which nothing else needs

    patch, scale, candidates = card.patch, card.scale, len(card.candidates)
    height, width = image.shape[:2]
    palette = np.array([_rgb(number, candidates) for number in range(candidates)])
    colours = palette[choice].repeat(patch, 0).repeat(patch, 1)[:height, :width]
    tinted = ((1 - _TINT) * image.mean(2, keepdims=True) + _TINT * colours).astype(np.uint8)
    legend = Image.new("RGB", (width * scale, _LINE * (len(palette) + 1)), "white")
    draw = ImageDraw.Draw(legend)
    for line, (name, share) in enumerate(_shares(card, choice)):
        top = _LINE // 2 + line * _LINE
        draw.rectangle((8, top + 3, 24, top + _LINE - 4), fill=tuple(map(int, palette[line])))
        draw.text((32, top + 4), f"{name}: {share:.0%} of the patches", fill="black")
    picture = Image.fromarray(tinted).resize((width * scale, height * scale), Image.Resampling.BICUBIC)
    return np.concatenate([np.asarray(picture), np.asarray(legend)])


def _shares(card: AdaptiveCard, choice: Choice) -> list[tuple[str, float]]:
    return [(name, float((choice == number).mean())) for number, name in enumerate(card.candidates)]


def _rgb(number: int, count: int) -> tuple[int, ...]:
    """Colour of a candidate; bicubic, the last, is always the last colour."""
    return tuple(bytes.fromhex(_COLOURS[-1 if number == count - 1 else number % (len(_COLOURS) - 1)][1:]))
