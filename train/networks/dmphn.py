"""DMPHN (Zhang et al., Deep Stacked Hierarchical Multi-patch Network for Image Deblurring, CVPR 2019)."""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn

from sparsr.train.networks.base import ResBlock, SRNetwork, conv3x3
from sparsr.train.networks.recognition import Found, State
from sparsr.train.networks.sizes import CropLike, PadToMultiple

_REDUCED = 4  # side of the block of pixels that a pixel of the deepest features stands for
_ROWS, _COLUMNS = 2, 3  # dimensions
_CUTS = (_ROWS, _COLUMNS, _ROWS)
"""How a part of each level falls into two of the next: 1-2-4-8 has 4 x 2 parts."""


class Encoder(nn.Module):
    """Two residual blocks at each of three sizes, strided convolutions between them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        widths = [channels, 2 * channels, 4 * channels]
        self.entry = conv3x3(3, channels)
        self.down = nn.ModuleList(conv3x3(widths[i], widths[i + 1], stride=2) for i in range(2))
        self.blocks = nn.ModuleList(nn.Sequential(ResBlock(width), ResBlock(width)) for width in widths)

    def forward(self, x: Tensor) -> Tensor:
        """[n, 3, h, w] -> [n, 4c, h/4, w/4]."""
        x = self.blocks[0](self.entry(x))
        x = self.blocks[1](self.down[0](x))
        return self.blocks[2](self.down[1](x))


class Decoder(nn.Module):
    """The encoder backwards. `shuffle`: enlarged by convolution and pixel shuffle, else by transposed convolution."""

    def __init__(self, channels: int, shuffle: bool) -> None:
        super().__init__()
        widths = [4 * channels, 2 * channels, channels]
        self.blocks = nn.ModuleList(nn.Sequential(ResBlock(width), ResBlock(width)) for width in widths)
        self.up = nn.ModuleList(_enlarging(widths[i], widths[i + 1], shuffle) for i in range(2))
        self.exit = conv3x3(channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """[n, 4c, h, w] -> [n, 3, 4h, 4w]."""
        x = self.up[0](self.blocks[0](x))
        x = self.up[1](self.blocks[1](x))
        return self.exit(self.blocks[2](x))


def _enlarging(inputs: int, outputs: int, shuffle: bool) -> nn.Module:
    if shuffle:
        return nn.Sequential(conv3x3(inputs, 4 * outputs), nn.PixelShuffle(2))
    return nn.ConvTranspose2d(inputs, outputs, 4, 2, 1)


class DMPHN(SRNetwork):
    """Deblurring from small parts to the whole picture: 1-2-4 with 3 `levels`, 1-2-4-8 with 4.

    Every level has an encoder and a decoder. Two neighbouring parts' features are joined, decoded to a residual of the
    larger part and added to its features, the residual to its pixels. Pictures whose sides the hierarchy does not
    divide are continued by their last row and column and cut again. `shuffle` enlarges as SLS does; without it the
    network is the authors'.
    """

    architecture = "dmphn"
    task = "deblurring"
    value_range = 1.0

    def __init__(self, scale: int, channels: int = 32, levels: int = 4, shuffle: bool = True) -> None:
        super().__init__(scale, channels=channels, levels=levels, shuffle=shuffle)
        self.cuts = _CUTS[: levels - 1]
        self.encoders = nn.ModuleList(Encoder(channels) for _ in range(levels))
        self.decoders = nn.ModuleList(Decoder(channels, shuffle) for _ in range(levels))
        rows, columns = (_REDUCED * 2 ** self.cuts.count(dim) for dim in (_ROWS, _COLUMNS))
        self.pad, self.crop = PadToMultiple(rows, columns), CropLike(max(rows, columns) - 1)

    def forward(self, x: Tensor) -> Tensor:
        """[n, 3, h, w] in 0..1 -> [n, 3, h, w]."""
        centred = x - 0.5
        parts = [[self.pad(centred)]]
        for dim in self.cuts:
            halves = [torch.chunk(part, 2, dim) for part in parts[-1]]
            parts.append([half[index] for half in halves for index in range(2)])
        residuals: list[Tensor] = []
        joined: list[Tensor] = []
        for level in reversed(range(1, len(parts))):
            features = self._features(level, parts[level], residuals, joined)
            dim = self.cuts[level - 1]
            joined = [torch.cat(features[k : k + 2], dim) for k in range(0, len(features), 2)]
            residuals = [self.decoders[level](feature) for feature in joined]
        whole = self._features(0, parts[0], residuals, joined)[0]
        return self.crop(self.decoders[0](whole) + 0.5, centred)

    def _features(self, level: int, parts: list[Tensor], residuals: list[Tensor], joined: list[Tensor]) -> list[Tensor]:
        """Of every part of a level, with what the level below has found."""
        if not residuals:
            return [self.encoders[level](part) for part in parts]
        return [
            self.encoders[level](part + residual) + feature
            for part, residual, feature in zip(parts, residuals, joined, strict=True)
        ]


def recognise(state: State, _: int | None) -> Found | None:
    """A folder with an encoder and a decoder per level, in files called after both."""
    if "encoder_lv1.layer1.weight" not in state or "decoder_lv1.layer24.weight" not in state:
        return None
    levels = {int(found[1]) for name in state if (found := re.match(r"encoder_lv(\d)\.", name))}
    if not 1 <= len(levels) <= len(_CUTS) + 1 or levels != set(range(1, len(levels) + 1)):
        return None
    own = {_own_name(name): tensor for name, tensor in state.items()}
    options = {"channels": len(state["encoder_lv1.layer1.weight"]), "levels": len(levels), "shuffle": False}
    return Found(1, own, options)


def _own_name(name: str) -> str:
    """`encoder_lv2.layer6.0.weight` -> `encoders.1.blocks.1.0.body.0.weight`."""
    found = re.fullmatch(r"(encoder|decoder)_lv(\d)\.layer(\d+)(\.\d)?\.(weight|bias)", name)
    place = _PLACES.get((found[1], int(found[3]))) if found else None
    if not found or place is None:
        return name  # which no network of ours has
    body = f".body{found[4]}" if found[4] else ""
    return f"{found[1]}s.{int(found[2]) - 1}.{place}{body}.{found[5]}"


_PLACES = {
    **{("encoder", layer): place for layer, place in ((1, "entry"), (5, "down.0"), (9, "down.1"))},
    **{("decoder", layer): place for layer, place in ((16, "up.0"), (20, "up.1"), (24, "exit"))},
    **{("encoder", 2 + 4 * size + k): f"blocks.{size}.{k}" for size in range(3) for k in range(2)},
    **{("decoder", 13 + 4 * size + k): f"blocks.{size}.{k}" for size in range(3) for k in range(2)},
}
