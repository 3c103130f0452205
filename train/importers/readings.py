"""What a checkpoint's keys and shapes leave open is decided by what each reading makes of a test image, or asked.

Networks that enlarge images agree on one thing whatever they were trained for: shrunk again, their output is about
their input. A network read in the wrong value range, or with a skip it was trained without, fails at that by an order
of magnitude: official IMDN, RFDN, RLFN and SPAN have errors of 2e-4 to 6e-4 read rightly, 3e-3 to 0.3 read wrongly;
animevideov3, made to please the eye, 0.03 and 0.18.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from sparsr.runtime.errors import SparsrError
from sparsr.train.networks import SRNetwork

Options = dict[str, Any]
ARCHITECTURE = "architecture"  # in options: which of several has these weights
_SIDE = 48
FACTOR = 3.0
"""How much nearer the right reading must be than any other."""


def assumption(text: str) -> tuple[str, Any]:
    """NAME=VALUE of a command line; the value a number, true, false, or a name."""
    name, sign, value = text.partition("=")
    if not (name and sign and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not like value_range=255 or residual=false")
    if value in ("true", "false"):
        return name, value == "true"
    try:
        return name, float(value)
    except ValueError:
        return name, value


@dataclass(frozen=True)
class Candidate:
    """A reading of a file."""

    options: Options
    network: SRNetwork
    tolerance: float
    """Of full range: what the error of a right reading stays below."""


def readings(undecided: Mapping[str, tuple[Any, ...]], assume: Mapping[str, Any], path: Path) -> list[Options]:
    """Every way to decide the open options; those assumed have one value only.

    Raises `SparsrError` for an assumption about something that is not open, or a value that it cannot have.
    """
    for name, value in assume.items():
        if name not in undecided:
            decided = f"it leaves open {', '.join(undecided)}" if undecided else "it leaves nothing open"
            raise SparsrError(f"{path} leaves no choice of {name}", f"{decided}: drop the assumption")
        if value not in undecided[name]:
            raise SparsrError(f"{name} of {path} cannot be {value}", f"it can be {_listed(undecided[name])}")
    values = [(assume[name],) if name in assume else possible for name, possible in undecided.items()]
    return [dict(zip(undecided, chosen, strict=True)) for chosen in itertools.product(*values)]


def most_plausible(candidates: Sequence[Candidate], path: Path) -> SRNetwork:
    """The one reading that enlarges a test image. Raises `SparsrError` if none does, or more than one.

    A single candidate needs no evidence: nothing was open, or the user has decided it.
    """
    if len(candidates) == 1:
        return candidates[0].network
    ranked = sorted(((probe_error(candidate.network), candidate) for candidate in candidates), key=lambda c: c[0])
    (error, best), (second, _), *_ = ranked
    if error <= best.tolerance and second >= FACTOR * error:
        return best.network
    if error <= best.tolerance:  # what is clearly worse is not asked about
        candidates = [candidate for found, candidate in ranked if found < FACTOR * error]
    known = {name: None for candidate in candidates for name in candidate.options}
    values = {name: list(dict.fromkeys(c.options[name] for c in candidates if name in c.options)) for name in known}
    choices = {name: found for name, found in values.items() if len(found) > 1}
    listed = "; ".join(f"{name} is {_listed(values)}" for name, values in choices.items())
    flags = " ".join(f"--assume {name}={_plain(values[0])}" for name, values in choices.items())
    raise SparsrError(
        f"{path} can be read in {len(candidates)} ways and no test image tells which is right ({listed})",
        f"decide it: add {flags}",
    )


def probe_error(network: SRNetwork) -> float:
    """`enlargement_error` of a network."""
    network.eval()
    return enlargement_error(lambda image: network(image * network.value_range) / network.value_range, network.scale)


def enlargement_error(enlarge: Callable[[torch.Tensor], torch.Tensor], scale: int) -> float:
    """Mean difference, as a share of the range, between a smooth image and its enlargement shrunk again.

    enlarge: RGB of 0..1, [1, 3, h, w] -> [1, 3, s*h, s*w]. Infinite where the result holds what is no number.
    """
    ramp = torch.linspace(0, 1, _SIDE)
    image = torch.stack([ramp[None] + 0 * ramp[:, None], ramp[:, None] + 0 * ramp[None], ramp[None] * ramp[:, None]])
    with torch.inference_mode():
        enlarged = enlarge(image[None])
    error = float((F.avg_pool2d(enlarged, scale) - image).abs().mean())
    return error if error == error else float("inf")  # NaN is no evidence


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower()


def _listed(values: Sequence[Any]) -> str:
    return " or ".join(_plain(value) for value in values)
