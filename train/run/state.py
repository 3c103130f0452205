"""The state of a run in one file, so that a kill can never leave two halves apart; and taking it up again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.files import atomic_file
from sparsr.train.networks import SRNetwork
from sparsr.train.networks.widths import fit_slopes
from sparsr.train.run import checkpoint

STATE_NAME = "state.pt"
MAY_CHANGE = {
    "name",
    "data.cache",
    "data.terms",
    "train.log_every",
    "train.save_every",
    "train.tensorboard",
}
"""Keys of a recipe that have no part in what is learned: a run may go on with other values."""


def write(out: Path, state: dict[str, Any]) -> None:
    """Replace the state file of the run in `out`. Raises OSError when the disk is full."""
    with atomic_file(out / STATE_NAME) as temporary, temporary.open("wb", buffering=0) as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:  # torch stumbles over what the disk said
            if isinstance(error.__context__, OSError):
                raise error.__context__ from error
            raise


def read(out: Path) -> dict[str, Any]:
    """The state of the run in `out`. Raises `SparsrError` if the file is damaged."""
    try:
        state: dict[str, Any] = torch.load(out / STATE_NAME, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise SparsrError(f"{out / STATE_NAME} cannot be read ({error})", "start again without --resume") from error
    return state


def network_of(state: dict[str, Any], out: Path) -> SRNetwork:
    """The network as it was, on the CPU."""
    network = checkpoint.skeleton(checkpoint.parse_card(state["card"], out / STATE_NAME))
    fit_slopes(network, state["weights"])
    network.load_state_dict(state["weights"], assign=True)
    return network


def check_recipe(state: dict[str, Any], recipe: Mapping[str, Any], out: Path) -> None:
    """Raises `SparsrError`, naming the keys, if `recipe` would learn something else than the run in `out` does."""
    before, now = (dict(_leaves(table)) for table in (json.loads(state["recipe"]), json.loads(json.dumps(recipe))))
    changed = [
        f"{key} was {before.get(key)!r}, is {now.get(key)!r}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key) and key not in MAY_CHANGE
    ]
    if changed:
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        raise SparsrError(
            f"the recipe differs from the one {out} was started with: {'; '.join(changed[:3])}{more}",
            "resume with the same options, or choose another --out",
        )


def check_finite(network: SRNetwork, step: int) -> None:
    """Raises `SparsrError` if a weight is no number: nothing good may be overwritten by it."""
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise SparsrError(
                f"the weights are not finite at step {step} ({name}); what was saved before is kept",
                "lower train.lr or prune.lr, or use float32",
            )


def _leaves(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
