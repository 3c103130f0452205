"""DnCNN (Zhang et al., Beyond a Gaussian Denoiser, TIP 2017): the image minus the noise found in it."""

from __future__ import annotations

import re
from itertools import pairwise

from torch import Tensor, nn

from sparsr.train.networks.base import LumaNetwork
from sparsr.train.networks.recognition import (
    VALUE_RANGES,
    Found,
    MisfitError,
    State,
    colours_of,
    renamed,
    with_batch_norm_folded,
)

_EPSILON = {"": 1e-4, "dncnn.": 1e-5}  # of the batch normalisation: KAIR's code, the first PyTorch port's


class DnCNN(LumaNetwork):
    """x - f(x) at the image's size, f a chain of 3x3 convolutions and ReLUs. `residual` off: f(x) itself."""

    architecture = "dncnn"
    task = "denoising"
    value_range = 1.0

    def __init__(
        self,
        scale: int,
        channels: int = 64,
        blocks: int = 15,
        residual: bool = True,
        colours: int = 1,
        value_range: float = 1.0,
    ) -> None:
        super().__init__(scale, colours, channels=channels, blocks=blocks, residual=residual, value_range=value_range)
        self.value_range = value_range
        self.residual = residual
        widths = [colours, *[channels] * (blocks + 1), colours]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.Conv2d(inputs, outputs, 3, 1, 1), nn.ReLU()]
        self.model = nn.Sequential(*layers[:-1])

    def restore(self, x: Tensor) -> Tensor:
        """[n, colours, h, w] -> [n, colours, h, w]."""
        return x - self.model(x) if self.residual else self.model(x)


def recognise(state: State, _: int | None) -> Found | None:
    """A numbered chain of convolutions as wide at its end as at its start, with batch normalisation or without."""
    prefix = "dncnn." if "dncnn.0.weight" in state else ""
    if not all(re.match(rf"{prefix}\d+\.(weight|bias|running_mean|running_var)$", name) for name in state):
        return None
    state = renamed(state, {re.escape(prefix): ""}) if prefix else state
    places = sorted({int(name.split(".")[0]) for name in state})
    convs = [place for place in places if state[f"{place}.weight"].dim() == 4]
    norms = [place for place in places if f"{place}.running_mean" in state]
    if sorted(convs + norms) != places or not set(norms) <= {place + 1 for place in convs} or len(convs) < 3:
        return None
    for place in norms:
        state = with_batch_norm_folded(state, f"{place - 1}", f"{place}", _EPSILON[prefix])
    weights = [state[f"{place}.weight"] for place in convs]
    colours = colours_of(weights[0])
    if len(weights[-1]) != colours or any(weight.shape[2:] != (3, 3) for weight in weights):
        raise MisfitError("is a chain of convolutions, but not one from an image to an image of its size")
    return Found(
        1, _numbered(state, convs), _options(weights, colours), {"value_range": VALUE_RANGES, "residual": (True, False)}
    )


def _options(weights: list[Tensor], colours: int) -> dict[str, int]:
    return {"channels": len(weights[0]), "blocks": len(weights) - 2, "colours": colours}


def _numbered(state: State, convs: list[int]) -> State:
    """Convolutions at even places of `model`; those without bias (before a normalisation or not) get one of zeros."""
    result: State = {}
    for index, place in enumerate(convs):
        weight = state[f"{place}.weight"]
        result[f"model.{2 * index}.weight"] = weight
        result[f"model.{2 * index}.bias"] = state.get(f"{place}.bias", weight.new_zeros(len(weight)))
    return result
