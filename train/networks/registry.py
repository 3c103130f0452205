"""Names of the architectures, and building one by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sparsr.runtime.errors import SparsrError
from sparsr.train.networks.base import SRNetwork
from sparsr.train.networks.carn import CARN, CARNM
from sparsr.train.networks.edsr import EDSR, LEDSR
from sparsr.train.networks.imdn import IMDN
from sparsr.train.networks.rfdn import RFDN
from sparsr.train.networks.smsr import SMSR


@dataclass(frozen=True)
class Architecture:
    """An entry of the registry."""

    build: Callable[..., SRNetwork]
    """Called with `scale` and the network's own options as keywords."""
    scales: tuple[int, ...]
    summary: str


ARCHITECTURES: dict[str, Architecture] = {
    "ledsr": Architecture(LEDSR, (2, 3, 4), "ASSL's network: residual body, one-convolution tail (256 channels dense)"),
    "edsr": Architecture(EDSR, (2, 3, 4), "EDSR-baseline: 16 residual blocks of 64 channels"),
    "imdn": Architecture(IMDN, (2, 3, 4), "IMDN: 6 blocks that set channels aside, contrast attention"),
    "carn": Architecture(CARN, (2, 3, 4), "CARN: three cascading blocks of residual blocks"),
    "carn_m": Architecture(CARNM, (2, 3, 4), "CARN-M: cascading blocks of grouped convolutions, shared weights"),
    "rfdn": Architecture(RFDN, (2, 3, 4), "RFDN: 4 residual distillation blocks, spatial attention"),
    "smsr": Architecture(SMSR, (2, 3, 4), "SMSR: 5 modules with learned spatial and channel masks, or without"),
}


def nearest(name: str, known: list[str]) -> str:
    """A hint naming the known word nearest to `name`."""
    close = difflib.get_close_matches(name, known, 1, 0.4)
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(sorted(known))}"


def build(architecture: str, scale: int, **options: Any) -> SRNetwork:
    """A freshly initialised network. Raises `SparsrError` for an unknown name, scale or option."""
    if architecture not in ARCHITECTURES:
        raise SparsrError(f"there is no architecture {architecture!r}", nearest(architecture, list(ARCHITECTURES)))
    entry = ARCHITECTURES[architecture]
    if scale not in entry.scales:
        raise SparsrError(f"{architecture} has no scale {scale}", f"its scales are {', '.join(map(str, entry.scales))}")
    try:
        return entry.build(scale=scale, **options)
    except TypeError as error:
        raise SparsrError(
            f"{architecture} cannot be built with {options}: {error}", "see `sparsr train list`"
        ) from error
