"""Fine-grained N:M methods: SLS and its baselines, one-shot magnitude pruning and SR-STE.

SLS: Oh et al., Attentive fine-grained structured sparsity for image restoration, CVPR 2022.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from sparsr.runtime.errors import SparsrError
from sparsr.train.networks import SRNetwork
from sparsr.train.networks.weight_norm import merge_weight_norm
from sparsr.train.pruning.l1 import by_counts, kept_of, kept_tensors, slimmed
from sparsr.train.pruning.method import Method, Phase
from sparsr.train.pruning.settings import OneShotSettings, SlsSettings, SrSteSettings
from sparsr.train.pruning.sparse_conv import SparseConv2d, add_gates, merge_gates, sparse_convolutions
from sparsr.train.quality.complexity import layer_macs

_COST_SIDE = 48  # the LR patch the paper's lambda refers to


def deployed(network: SRNetwork) -> SRNetwork:
    """A copy with plain convolutions: what shut gates hold back is zero."""
    plain = copy.deepcopy(network)
    merge_gates(plain)
    return plain


def with_gates(network: SRNetwork, m: int, shared: int = 1) -> SRNetwork:
    """A copy with all gates open; its function is the same."""
    gated = copy.deepcopy(network)
    merge_weight_norm(gated)
    add_gates(gated, m, shared)
    return gated


def hold_scores(network: SRNetwork) -> None:
    """Keep the optimiser from the scores: without a gradient Adam leaves them where they are, momentum and all."""
    for conv in sparse_convolutions(network).values():
        conv.scores.grad = None


class OneShot(Method):
    """The N largest of M stay, for good."""

    def __init__(self, settings: OneShotSettings) -> None:
        self.settings = settings

    def fine_tuning(self, steps: int, rate: Callable[[int], float]) -> Phase:
        """Training of what is left."""
        return Phase("finetune", steps, rate, self._begin, adjust_gradients=self._adjust)

    def deployed(self, network: SRNetwork) -> SRNetwork:
        """With zeros for the rest."""
        return deployed(network)

    def _begin(self, network: SRNetwork) -> SRNetwork:
        gated = with_gates(network, self.settings.m, self.settings.shared)
        for name, conv in sparse_convolutions(gated).items():
            conv.set_n(self._n(name))
        return gated

    def _n(self, layer: str) -> int:
        return self.settings.layers.get(layer, self.settings.n)

    def _adjust(self, network: SRNetwork, step: int) -> None:
        hold_scores(network)


class SrSte(OneShot):
    """N:M from anew at every step; weights outside of the mask learn too, and are pulled to zero."""

    settings: SrSteSettings

    def __init__(self, settings: SrSteSettings) -> None:
        self.settings = settings

    def _begin(self, network: SRNetwork) -> SRNetwork:
        gated = super()._begin(network)
        for conv in sparse_convolutions(gated).values():
            conv.dense_gradient.fill_(True)
        return gated

    @torch.no_grad()
    def _adjust(self, network: SRNetwork, step: int) -> None:
        hold_scores(network)
        for name, conv in sparse_convolutions(network).items():
            assert conv.weight.grad is not None
            outside = conv.rank >= self._n(name)
            conv.weight.grad.add_(conv.weight * outside, alpha=self.settings.decay)
            conv.update_ranks()


class Sls(Method):
    """SLS: a penalty on the cost shuts gates layer by layer until the budget is reached; then they stay.

    The cost of a layer grows by an increment per open gate. In multiply-adds all its increments are the same (6.2's
    cost); with measured costs they are what the next weight per group takes in time (ours), and the gradient is what
    the best cut saves: see `savings`.
    """

    def __init__(self, settings: SlsSettings) -> None:
        if not 0 < settings.budget <= 1:
            raise SparsrError(f"prune.budget is {settings.budget}", "give the share to keep, for example 0.125")
        if not 0 <= settings.renew_share <= 1:
            raise SparsrError(f"prune.renew_share is {settings.renew_share}", "give a share from 0 to 1")
        self.settings = settings
        self.frozen = False
        """Whether the budget has been reached."""
        self.annealing = 1.0
        """Factor on the cost's weight."""
        self.last_rate = 1.0
        """Dense cost / cost when the annealing was last looked at."""
        self._increments: dict[str, Tensor] = {}
        self._savings: dict[str, Tensor] = {}

    def phases(self) -> list[Phase]:
        """The stage that learns the gates."""
        s = self.settings
        return [Phase("sls", s.steps, lambda _: s.lr, self._begin, self._penalty, self._adjust)]

    def fine_tuning(self, steps: int, rate: Callable[[int], float]) -> Phase:
        """Training with the gates as they are. Which weights are the largest may change until `renew_share` of it."""
        last = round(steps * self.settings.renew_share)

        def adjust(network: SRNetwork, step: int) -> None:
            hold_scores(network)
            if step <= last:
                self._renew(network, step)

        return Phase("finetune", steps, rate, self._freeze, adjust_gradients=adjust)

    def deployed(self, network: SRNetwork) -> SRNetwork:
        """With zeros for the rest."""
        return deployed(network)

    def state(self) -> dict[str, Tensor]:
        """Progress of the budget and the annealing; the channels kept."""
        return kept_tensors(self.kept) | {
            "frozen": torch.tensor(self.frozen),
            "annealing": torch.tensor(self.annealing, dtype=torch.float64),
            "last_rate": torch.tensor(self.last_rate, dtype=torch.float64),
        }

    def load_state(self, state: dict[str, Tensor]) -> None:
        """As written by `state`."""
        self.kept = kept_of(state)
        self.frozen = bool(state["frozen"])
        self.annealing, self.last_rate = float(state["annealing"]), float(state["last_rate"])

    def cost(self, network: SRNetwork) -> Tensor:
        """Cost of the layers with gates; its gradient reaches the scores straight through the gates."""
        increments = self._costs(network)
        terms = [
            _cost(conv.gates(), increments[name].to(conv.scores), self._savings[name].to(conv.scores))
            for name, conv in sparse_convolutions(network).items()
        ]
        return torch.stack(terms).sum()

    def dense_cost(self, network: SRNetwork) -> float:
        """The same with all gates open."""
        return float(sum(increments.sum() for increments in self._costs(network).values()))

    def _costs(self, network: SRNetwork) -> dict[str, Tensor]:
        if not self._increments:
            self._increments = increments(network, self.settings)
            self._savings = {name: savings(steps) for name, steps in self._increments.items()}
        return self._increments

    def _begin(self, network: SRNetwork) -> SRNetwork:
        if self.settings.group_channels:
            self.kept = by_counts(network, self.settings.group_channels)
            network = slimmed(network, self.kept, [])
        gated = with_gates(network, self.settings.m, self.settings.shared)
        for conv in sparse_convolutions(gated).values():
            conv.ordered.fill_(self.settings.ordered)
            conv.gain.fill_(self.settings.score_gain)
        return gated

    def _freeze(self, network: SRNetwork) -> SRNetwork:
        if not self.frozen and self.settings.exact:
            self.settle(network)
        elif not self.frozen:
            share = float(self.cost(network).detach()) / self.dense_cost(network)
            print(
                f"the budget of {self.settings.budget:g} was not reached: {share:.3f} of the cost remains", flush=True
            )
        self.frozen = True
        return network

    @torch.no_grad()
    def settle(self, network: SRNetwork) -> None:
        """Meet the budget to the last gate: shut the open ones of lowest priority, or open the shut ones of highest.

        Afterwards no further gate could open within the budget. Raises `SparsrError` if the first gates alone, one
        weight of every group, cost more.
        """
        convs, costs = sparse_convolutions(network), self._costs(network)
        priorities = {name: torch.cat([torch.ones(1), conv.priorities().cpu()]) for name, conv in convs.items()}
        counts = {name: conv.n() for name, conv in convs.items()}
        limit = self.settings.budget * self.dense_cost(network)
        spent = float(sum(costs[name][:n].sum() for name, n in counts.items()))
        while spent > limit:
            shuttable = [name for name, n in counts.items() if n > 1]
            if not shuttable:
                raise SparsrError(
                    f"a budget of {self.settings.budget:.4g} is below one weight in {self.settings.m}",
                    "give a larger budget, or another method",
                )
            last = min(shuttable, key=lambda name: float(priorities[name][counts[name] - 1]))
            counts[last] -= 1
            spent -= float(costs[last][counts[last]])
        while openable := [n for n, k in counts.items() if k < convs[n].m and spent + costs[n][k] <= limit]:
            first = max(openable, key=lambda name: float(priorities[name][counts[name]]))
            spent += float(costs[first][counts[first]])
            counts[first] += 1
        for name, conv in convs.items():
            conv.set_n(counts[name])

    def _penalty(self, network: SRNetwork, step: int) -> Tensor:
        cost = self.cost(network)
        if self.frozen:
            return cost.detach() * 0
        return self.settings.cost_weight * self.annealing * cost

    @torch.no_grad()
    def _adjust(self, network: SRNetwork, step: int) -> None:
        if not self.frozen:
            rate = self.dense_cost(network) / max(float(self.cost(network)), 1e-30)
            self.frozen = rate > 1 / self.settings.budget
            if self.frozen and self.settings.exact:
                self.settle(network)
            if step % self.settings.anneal_every == 0:
                if rate - self.last_rate < self.settings.anneal_below:
                    self.annealing *= self.settings.anneal
                self.last_rate = rate
        if self.frozen:
            hold_scores(network)
        self._renew(network, step)

    def _renew(self, network: SRNetwork, step: int) -> None:
        if step % self.settings.update_every == 0:
            for conv in sparse_convolutions(network).values():
                conv.update_ranks()


def _cost(gates: Tensor, increments: Tensor, savings: Tensor) -> Tensor:
    """Sum of the first N increments, N the number of open gates: a gate may be open behind a shut one.

    Its gradient is `savings`.
    """
    state = gates.detach()
    before = (state.cumsum(0) - state).long()
    return state @ increments[before] + (gates - state) @ savings[before]


def savings(increments: Tensor) -> Tensor:
    """What shutting gates saves per gate, by the number of gates open but one: [m], as `increments` (ours).

    From N open gates it is the steepest way down, max over k < N of (C(N) - C(k)) / (N - k). Where all increments are
    the same it is they. Where the cost is flat, because a dense kernel is as fast as a sparse one with so many weights,
    an increment would be 0, and nothing would ever lead a layer past the flat part.
    """
    costs = torch.cat([increments.new_zeros(1), increments.cumsum(0)])
    count = torch.arange(len(costs), device=costs.device)
    width = (count[1:, None] - count[None, :-1]).to(costs)
    slopes = (costs[1:, None] - costs[None, :-1]) / width
    return torch.where(width > 0, slopes, -torch.inf).amax(1)


def increments(network: SRNetwork, settings: SlsSettings) -> dict[str, Tensor]:
    """What each further open gate costs: {layer: float64 [m]}; in multiply-adds, or measured if settings say so.

    Measured costs are scaled so that the dense network costs as much as in multiply-adds: the cost's weight keeps its
    meaning.
    """
    convs = sparse_convolutions(network)
    dense = layer_macs(network, _COST_SIDE, _COST_SIDE)
    if not settings.costs:
        # A last group smaller than M has no weights of the higher ranks: their gates cost less.
        shares = {
            name: torch.bincount(conv.rank.flatten().long(), minlength=conv.m).double().cpu() / conv.rank.numel()
            for name, conv in convs.items()
        }
        return {name: dense[name] * share for name, share in shares.items()}
    measured = {name: torch.diff(costs) for name, costs in read_costs(Path(settings.costs), convs).items()}
    scale = sum(dense[name] for name in convs) / float(sum(steps.sum() for steps in measured.values()))
    return {name: steps * scale for name, steps in measured.items()}


def read_costs(path: Path, convs: dict[str, SparseConv2d]) -> dict[str, Tensor]:
    """Measured costs with N = 0, 1, ..., M weights per group, from `{"layers": {name: [seconds, ...]}}`.

    Never falling with N: where a measurement does, a larger N can be run as well as a smaller one. Raises `SparsrError`
    for a file that does not fit the network.
    """
    try:
        layers = json.loads(path.read_text(encoding="utf-8"))["layers"]
        table = {name: torch.tensor(layers[name], dtype=torch.float64) for name in convs}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SparsrError(f"{path} holds no costs for this network ({error})", "measure them for it") from error
    for name, conv in convs.items():
        costs = table[name]
        if costs.shape != (conv.m + 1,) or not costs.isfinite().all() or (costs < 0).any() or not costs.sum():
            raise SparsrError(f"{path}: {name} needs {conv.m + 1} costs, for N = 0 to {conv.m}", "measure them again")
        table[name] = costs.cummax(0).values
    return table
