"""Mixed precision for super-resolution: bfloat16 inside, float32 where image colours enter and leave."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from sparsr.train.networks.base import ColourMap
from sparsr.train.networks.widths import convolutions


def _in_float32(forward: Any, device_type: str) -> Any:
    def wrapped(x: Tensor) -> Tensor:
        with torch.autocast(device_type, enabled=False):
            return forward(x.float())

    return wrapped


@contextmanager
def mixed_precision(network: nn.Module, device: torch.device, enabled: bool) -> Iterator[None]:
    """Run `network` in bfloat16 within the block, except for the layers that touch colours.

    bfloat16 has 8 bits of mantissa: a colour near 255 would be rounded to whole levels. With the first layers
    in float32 the residual stream stays float32 too (type promotion), so only the branches are rounded.
    """
    if not enabled:
        yield
        return
    shifts = [module for module in network.modules() if isinstance(module, ColourMap)]
    learned = [conv for conv in convolutions(network).values() if conv not in shifts]
    edges = [*shifts, learned[0], learned[-1]]
    for conv in edges:
        conv.forward = _in_float32(conv.forward, device.type)  # type: ignore[method-assign]
    try:
        with torch.autocast(device.type, torch.bfloat16):
            yield
    finally:
        for conv in edges:
            del conv.forward
