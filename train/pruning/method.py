"""The seam between the training loop and the methods: phases, one after the other, and the state between them.

The loop knows nothing of any method. A method says what happens before a step's forward pass, what is added to the
loss, what is done to the gradients, and what is left of the network at the end. `run/methods.py` has the table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from sparsr.train.networks import SRNetwork
from sparsr.train.pruning.selection import Kept


@dataclass(frozen=True)
class Phase:
    """A stretch of training steps with one objective. Steps are counted from 1 within the phase."""

    name: str
    steps: int
    learning_rate: Callable[[int], float]
    begin: Callable[[SRNetwork], SRNetwork] = lambda network: network
    """Called once when the phase starts; returning another network gives it a fresh optimiser."""
    penalty: Callable[[SRNetwork, int], Tensor] | None = None
    """Added to the loss (L1 in units of 0..255); called once per step, after the forward pass."""
    adjust_gradients: Callable[[SRNetwork, int], None] | None = None
    """Called between the backward pass and the optimiser's step."""
    before_forward: Callable[[SRNetwork, int], None] | None = None
    """Called before the forward pass, for networks that draw at random; may depend on nothing but seed and step."""


@dataclass(frozen=True)
class MethodContext:
    """What a method may ask of the run it belongs to."""

    dense: Callable[[], SRNetwork]
    """Loads the trained network that the run started from once more."""
    kept_counts: Callable[[str], dict[str, int] | None]
    """Kept counts per channel group of a checkpoint pruned before, by its path; None without a path."""
    seed: int = 1
    rank: int = 0
    """Of this process among the `world` that share every batch."""
    world: int = 1


class Method:
    """Plain training, and the base of all methods: they override what they do differently."""

    kept: Kept | None = None
    """The channels that stay, once known."""

    def phases(self) -> list[Phase]:
        """Phases in order, without the last one."""
        return []

    def fine_tuning(self, steps: int, rate: Callable[[int], float]) -> Phase:
        """The last phase: it begins by what pruning leaves of the network. `rate`: step size by step."""
        return Phase("train", steps, rate)

    def deployed(self, network: SRNetwork) -> SRNetwork:
        """The network as it is stored: without what only training needs."""
        return network

    def state(self) -> dict[str, Tensor]:
        """What must survive a kill, as tensors."""
        return {}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take back what `state` gave."""
