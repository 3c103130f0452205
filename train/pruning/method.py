"""What the training loop knows of a pruning method: its phases, one after the other, and its state between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

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
    penalty: Callable[[SRNetwork], Tensor] | None = None
    """Added to the loss (L1 in units of 0..255)."""
    adjust_gradients: Callable[[SRNetwork, int], None] | None = None
    """Called between the backward pass and the optimiser's step, with the step number."""


class Method(Protocol):
    """A pruning method: everything before fine-tuning, and the slimming that starts it."""

    kept: Kept | None
    """The channels that stay, once known."""

    def phases(self) -> list[Phase]:
        """Phases in order, without the fine-tuning."""
        ...

    def fine_tuning(self, steps: int, rate: Callable[[int], float]) -> Phase:
        """The last phase: it begins by what pruning leaves of the network. `rate`: step size by step."""
        ...

    def deployed(self, network: SRNetwork) -> SRNetwork:
        """The network as it is stored: without what only training needs."""
        ...

    def state(self) -> dict[str, Tensor]:
        """What must survive a kill, as tensors."""
        ...

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take back what `state` gave."""
        ...
