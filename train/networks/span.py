"""SPAN (Wan et al., Swift Parameter-free Attention Network for Efficient Super-Resolution, CVPRW 2024)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sparsr.train.networks.base import MeanShift, SRNetwork, conv1x1, conv3x3
from sparsr.train.networks.recognition import Found, State, count, renamed, tail_scale

_INNER_RANGE = 255.0  # SPAN works on (x - mean) * 255 of an image in 0..1


class ParameterFreeBlock(nn.Module):
    """Three convolutions; their result plus the input, times an attention without weights (sigmoid - 1/2).

    A block whose input has another width gives the convolutions' result.
    """

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.attended = inputs == channels
        self.c1_r, self.c2_r, self.c3_r = (conv3x3(n, channels) for n in (inputs, channels, channels))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[n, c, h, w] -> the same, and what the first convolution gives."""
        first = self.c1_r(x)
        deep = self.c3_r(F.silu(self.c2_r(F.silu(first))))
        return (deep + x) * (torch.sigmoid(deep) - 0.5) if self.attended else deep, first


class SPAN(SRNetwork):
    """Blocks with parameter-free attention; four feature maps joined, one of them from inside the last block.

    `normalised`: the mean colour is subtracted first and the rest multiplied by 255. `activated`: the map from inside
    the last block is taken after its SiLU, as in the authors' code, which activates it in place; else before.
    """

    architecture = "span"
    value_range = 1.0

    def __init__(
        self, scale: int, channels: int = 48, blocks: int = 6, normalised: bool = True, activated: bool = True
    ) -> None:
        super().__init__(scale, channels=channels, blocks=blocks, normalised=normalised, activated=activated)
        self.activated = activated
        if normalised:
            self.sub_mean = MeanShift(self.value_range, -1, _INNER_RANGE)
        self.normalised = normalised
        self.conv_1 = conv3x3(3, channels)
        self.blocks = nn.ModuleList(ParameterFreeBlock(channels, channels) for _ in range(blocks))
        self.conv_cat = conv1x1(4 * channels, channels)
        self.conv_2 = conv3x3(channels, channels)
        self.upsampler = nn.Sequential(conv3x3(channels, 3 * scale**2), nn.PixelShuffle(scale))

    def forward(self, x: Tensor) -> Tensor:
        """[n, 3, h, w] in 0..1 -> [n, 3, s*h, s*w]."""
        shallow = self.conv_1(self.sub_mean(x) if self.normalised else x)
        outputs, inside = [shallow], shallow
        for block in self.blocks:
            deep, inside = block(outputs[-1])
            outputs.append(deep)
        inside = F.silu(inside) if self.activated else inside
        joined = torch.cat([shallow, self.conv_2(outputs[-1]), outputs[1], inside], 1)
        return self.upsampler(self.conv_cat(joined))


def recognise(state: State, _: int | None) -> Found | None:
    """Blocks numbered from 1, four maps joined. A file made without normalisation says so by an empty `no_norm`."""
    state = collapsed(state)
    if "conv_1.weight" not in state or "block_1.c1_r.weight" not in state or "conv_cat.weight" not in state:
        return None
    open_options = {"normalised": (False,) if "no_norm" in state else (True, False), "activated": (True, False)}
    state = {name: tensor for name, tensor in state.items() if name != "no_norm"}
    options = {"channels": len(state["conv_1.weight"]), "blocks": count(state, r"block_(\d+)\.")}
    return Found(tail_scale(state["upsampler.0.weight"]), from_zero(state), options, open_options)


def from_zero(state: State) -> State:
    """block_1 as blocks.0, and so on."""
    blocks = range(1, count(state, r"block_(\d+)\.") + 1)
    return renamed(state, {rf"block_{number}\.": f"blocks.{number - 1}." for number in blocks})


def collapsed(state: State) -> State:
    """Every Conv3XC (1x1, 3x3 and 1x1 convolution one after the other, and a 1x1 beside them) as one 3x3 convolution.

    `eval_conv`, the authors' copy of the result, counts only where the branches are left out: they renew it themselves.
    """
    result = renamed(state, {r"(.+)\.eval_conv\.": r"\1."})
    for name in state:
        if name.endswith(".sk.weight"):
            layer = name.removesuffix(".sk.weight")
            weight, bias = _one_convolution(state, layer)
            result = {
                key: tensor for key, tensor in result.items() if not key.startswith((f"{layer}.conv.", f"{layer}.sk."))
            }
            result |= {f"{layer}.weight": weight, f"{layer}.bias": bias}
    return result


def _one_convolution(state: State, layer: str) -> tuple[Tensor, Tensor]:
    """In float64. The image is padded before the first 1x1 convolution, so its bias reaches the border too."""
    widen, spread, narrow = (state[f"{layer}.conv.{n}.weight"].double() for n in range(3))
    first, second, third = (state[f"{layer}.conv.{n}.bias"].double() for n in range(3))
    weight = torch.einsum("op,pqyx,qi->oiyx", narrow[:, :, 0, 0], spread, widen[:, :, 0, 0])
    bias = narrow[:, :, 0, 0] @ (spread.sum((2, 3)) @ first + second) + third
    weight[:, :, 1:2, 1:2] += state[f"{layer}.sk.weight"].double()
    return weight, bias + state[f"{layer}.sk.bias"].double()
