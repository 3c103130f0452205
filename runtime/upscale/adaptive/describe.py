"""What an adaptive bundle is and did, in words and in colours."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from sparsr.runtime.engines.contract import ByteArray
from sparsr.runtime.model.adaptive_bundle import AdaptiveCard
from sparsr.runtime.upscale.adaptive.upscaler import AdaptiveUpscaler

# Okabe and Ito's colours, told apart by colour-blind people too: warm and dark for the dear, light for the cheap.
_COLOURS = ("#D55E00", "#E69F00", "#CC79A7", "#009E73", "#0072B2", "#56B4E9", "#F0E442", "#999999")
_TINT = 0.45
_LINE = 22  # pixels of the legend's lines


def describe_adaptive(card: AdaptiveCard) -> str:
    """The card in a few lines for people."""
    lines = [
        ("adaptive", f"{card.name}, x{card.scale}, patches of {card.patch}x{card.patch} input pixels"),
        *(
            ("network", f"{network.name} ({network.folder}/), {network.cost:.2f} GMACs, {network.halo} pixels around")
            for network in card.networks
        ),
        ("cheapest", f"bicubic, {card.bicubic_cost:.3f} GMACs"),
        ("estimator", f"{card.estimator.bytes / 1e3:.1f} kB, {card.estimator.cost:.4f} GMACs"),
    ]
    lines += [(name, str(card.training[name])) for name in ("data", "terms") if name in card.training]
    return "\n".join(f"{name + ':':14}{text}" for name, text in lines)


def describe_shares(upscaler: AdaptiveUpscaler) -> str:
    """Which candidate computed how much of the last picture, for example `rfdn64 40 %, bicubic 60 %`."""
    return ", ".join(f"{name} {share:.0%}" for name, share in _shares(upscaler) if share)


def patch_map(image: ByteArray, upscaler: AdaptiveUpscaler) -> ByteArray:
    """The picture upscaled last, each patch in the colour of its candidate, above a legend.

    image: uint8 [h, w, 3] -> uint8 [s*h + legend, s*w, 3].
    """
    choice, patch, scale = upscaler.shares.choice, upscaler.card.patch, upscaler.scale
    height, width = image.shape[:2]
    palette = np.array([_rgb(number, len(upscaler.card.candidates)) for number in range(len(upscaler.card.candidates))])
    colours = palette[choice].repeat(patch, 0).repeat(patch, 1)[:height, :width]
    tinted = ((1 - _TINT) * image.mean(2, keepdims=True) + _TINT * colours).astype(np.uint8)
    legend = Image.new("RGB", (width * scale, _LINE * (len(palette) + 1)), "white")
    draw = ImageDraw.Draw(legend)
    for line, (name, share) in enumerate(_shares(upscaler)):
        top = _LINE // 2 + line * _LINE
        draw.rectangle((8, top + 3, 24, top + _LINE - 4), fill=tuple(map(int, palette[line])))
        draw.text((32, top + 4), f"{name}: {share:.0%} of the patches", fill="black")
    picture = Image.fromarray(tinted).resize((width * scale, height * scale), Image.Resampling.BICUBIC)
    return np.concatenate([np.asarray(picture), np.asarray(legend)])


def _shares(upscaler: AdaptiveUpscaler) -> list[tuple[str, float]]:
    choice = upscaler.shares.choice
    return [(name, float((choice == number).mean())) for number, name in enumerate(upscaler.card.candidates)]


def _rgb(number: int, count: int) -> tuple[int, ...]:
    """Colour of a candidate; bicubic, the last, is always the last colour."""
    return tuple(bytes.fromhex(_COLOURS[-1 if number == count - 1 else number % (len(_COLOURS) - 1)][1:]))
