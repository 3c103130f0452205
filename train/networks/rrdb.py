"""RRDBNet: ESRGAN (Wang et al., ECCVW 2018), Real-ESRGAN and most models made with them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sparsr.train.networks.base import SRNetwork, conv3x3
from sparsr.train.networks.recognition import VALUE_RANGES, Found, MisfitError, State, count, renamed
from sparsr.train.networks.sizes import CropLike, PadToEven

_SLOPE = 0.2
_SHARE = 0.2  # of every residual


class DenseBlock(nn.Module):
    """x + 0.2 * five convolutions, each reading everything before it."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        widths = [channels + growth * index for index in range(5)]
        self.conv1, self.conv2, self.conv3, self.conv4 = (conv3x3(width, growth) for width in widths[:4])
        self.conv5 = conv3x3(widths[4], channels)

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, c, h, w]."""
        known = [x]
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            known.append(F.leaky_relu(conv(torch.cat(known, 1) if len(known) > 1 else x), _SLOPE))
        return self.conv5(torch.cat(known, 1)) * _SHARE + x


class ResidualDenseBlock(nn.Module):
    """x + 0.2 * three dense blocks."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = (DenseBlock(channels, growth) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, c, h, w]."""
        return self.rdb3(self.rdb2(self.rdb1(x))) * _SHARE + x


class RRDB(SRNetwork):
    """Residual-in-residual dense blocks, then `enlargements` times (nearest x2, convolution).

    With more enlargements than the scale needs, the image enters with 2x2 or 4x4 pixels as channels: `halvings` times
    an odd last row or column is repeated, then 2x2 pixels become channels. (The authors take only multiples.)
    """

    architecture = "rrdb"
    value_range = 1.0

    def __init__(
        self,
        scale: int,
        channels: int = 64,
        blocks: int = 23,
        growth: int = 32,
        enlargements: int = 2,
        value_range: float = 1.0,
    ) -> None:
        options = {"channels": channels, "blocks": blocks, "growth": growth, "enlargements": enlargements}
        super().__init__(scale, value_range=value_range, **options)
        self.value_range = value_range
        self.halvings = enlargements - (scale.bit_length() - 1)
        self.conv_first = conv3x3(3 * 4**self.halvings, channels)
        self.body = nn.ModuleList(ResidualDenseBlock(channels, growth) for _ in range(blocks))
        self.conv_body = conv3x3(channels, channels)
        self.conv_up = nn.ModuleList(conv3x3(channels, channels) for _ in range(enlargements))
        self.conv_hr = conv3x3(channels, channels)
        self.conv_last = conv3x3(channels, 3)
        self.pad, self.crop = PadToEven(), CropLike()

    def forward(self, x: Tensor) -> Tensor:
        """[n, 3, h, w] in 0..value_range -> [n, 3, s*h, s*w]."""
        small = x
        for _ in range(self.halvings):
            small = F.pixel_unshuffle(self.pad(small), 2)
        shallow = deep = self.conv_first(small)
        for block in self.body:
            deep = block(deep)
        large = shallow + self.conv_body(deep)
        for conv in self.conv_up:
            large = F.leaky_relu(conv(F.interpolate(large, scale_factor=2, mode="nearest")), _SLOPE)
        large = self.conv_last(F.leaky_relu(self.conv_hr(large), _SLOPE))
        if not self.halvings:
            return large
        return self.crop(large, F.interpolate(x, scale_factor=self.scale, mode="nearest") if self.scale > 1 else x)


def recognise(state: State, _: int | None) -> Found | None:
    """Three generations of names: ESRGAN's first release, its second (also BSRGAN's), and BasicSR's."""
    if "1.sub.0.RDB1.conv1.0.weight" in state:
        state = _first_names(state)
    elif "RRDB_trunk.0.RDB1.conv1.weight" in state:
        state = renamed(state, _SECOND_NAMES)
    elif not ("conv_body.weight" in state and "body.0.rdb1.conv1.weight" in state):
        return None
    state = renamed(state, {r"conv_up1\.": "conv_up.0.", r"conv_up2\.": "conv_up.1.", r"conv_up3\.": "conv_up.2."})
    enlargements = count(state, r"conv_up\.(\d+)\.")
    block = {3: 1, 12: 2, 48: 4}.get(state["conv_first.weight"].shape[1], 0)
    scale = 2**enlargements // block if block else 0
    if not scale:
        raise MisfitError(f"takes {state['conv_first.weight'].shape[1]} channels, which no RGB image gives")
    if block == 4:
        state = state | {"conv_first.weight": state["conv_first.weight"][:, _twice_unshuffled()]}
    growth, channels = state["body.0.rdb1.conv1.weight"].shape[:2]
    options = {"channels": channels, "blocks": count(state, r"body\.(\d+)\."), "growth": growth}
    return Found(scale, state, options | {"enlargements": enlargements}, {"value_range": VALUE_RANGES})


_SECOND_NAMES = {
    r"RRDB_trunk\.(\d+)\.RDB(\d)": r"body.\1.rdb\2",
    r"trunk_conv": "conv_body",
    r"upconv(\d)": r"conv_up\1",
    r"HRconv": "conv_hr",
}


def _first_names(state: State) -> State:
    """Numbers within one sequence: first convolution 0, trunk 1, enlargement n 3 n, the last two 2 and 4 after it."""
    places = sorted({int(name.split(".")[0]) for name in state} - {0, 1})
    ends = dict(zip(places, [*(f"conv_up{n}" for n in range(1, len(places) - 1)), "conv_hr", "conv_last"], strict=True))
    rules = {rf"{place}\.": f"{name}." for place, name in ends.items()}
    rules |= {r"0\.": "conv_first.", r"1\.sub\.(\d+)\.(weight|bias)": r"conv_body.\2"}
    rules[r"1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0\."] = r"body.\1.rdb\2.conv\3."
    return renamed(state, rules)


def _twice_unshuffled() -> list[int]:
    """For every channel after two pixel unshuffles by 2, the channel after one by 4."""
    once = F.pixel_unshuffle(torch.arange(48.0).reshape(1, 3, 4, 4), 4)[0, :, 0, 0].tolist()
    twice = F.pixel_unshuffle(F.pixel_unshuffle(torch.arange(48.0).reshape(1, 3, 4, 4), 2), 2)[0, :, 0, 0].tolist()
    return [once.index(pixel) for pixel in twice]
