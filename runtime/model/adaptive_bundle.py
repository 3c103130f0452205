"""Bundles for adaptive inference: a folder with a bundle per network, an estimator, and a card that names them."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.model.bundle import Bundle, check_name, check_schema, open_folder, read_card, read_file, valid_card
from sparsr.runtime.model.card import ADAPTIVE_SCHEMA, CARD_NAME
from sparsr.runtime.model.describe import aligned
from sparsr.runtime.model.records import read_record
from sparsr.runtime.upscale.adaptive.estimator import Estimator, load_estimator

ESTIMATOR_NAME = "estimator.safetensors"
MAX_NETWORKS = 8
MAX_ESTIMATOR_BYTES = 10_000_000
_PATCH = (12, 256)
_HINT = "build the bundle again, or fetch it anew"


@dataclass(frozen=True)
class Network:
    """One candidate: a bundle inside the bundle."""

    name: str
    folder: str
    """Its folder's name; never a path that leaves the bundle."""
    card_sha256: str
    """Hash of its card, which holds the hashes of its files."""
    cost: float
    """C_i of Eq. 8: multiply-adds (10^9, of weights that are not zero) for a 1280x720 output."""
    halo: int
    """Surroundings, in input pixels, its windows are computed with."""


@dataclass(frozen=True)
class EstimatorFile:
    """The estimator's file."""

    name: str
    bytes: int
    sha256: str
    cost: float
    """As of networks."""


def cheapest(scale: int) -> str:
    """What a patch can be given to in place of a network: at scale 1 to nobody."""
    return "bicubic" if scale > 1 else "as it is"


@dataclass(frozen=True)
class AdaptiveCard:
    """What an adaptive bundle holds. Bicubic interpolation is always the last candidate and needs no file."""

    name: str
    scale: int
    patch: int
    """Side of a patch in input pixels."""
    networks: tuple[Network, ...]
    """The dearest first."""
    bicubic_cost: float
    estimator: EstimatorFile
    training: dict[str, Any] = field(default_factory=dict)
    """How the estimator was trained."""
    schema: str = ADAPTIVE_SCHEMA

    @property
    def candidates(self) -> tuple[str, ...]:
        """Names of the networks and of what is cheaper than all, the dearest first."""
        return (*(network.name for network in self.networks), cheapest(self.scale))

    @property
    def costs(self) -> tuple[float, ...]:
        """C_1 >= ... >= C_n."""
        return (*(network.cost for network in self.networks), self.bicubic_cost)

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary for `json.dumps`."""
        return dataclasses.asdict(self)

    def describe(self) -> str:
        """The card in a few lines for people."""
        networks = (
            ("network", f"{network.name} ({network.folder}/), {network.cost:.2f} GMACs, {network.halo} pixels around")
            for network in self.networks
        )
        lines = [
            ("adaptive", f"{self.name}, x{self.scale}, patches of {self.patch}x{self.patch} input pixels"),
            *networks,
            ("cheapest", f"{cheapest(self.scale)}, {self.bicubic_cost:.3f} GMACs"),
            ("estimator", f"{self.estimator.bytes / 1e3:.1f} kB, {self.estimator.cost:.4f} GMACs"),
        ]
        lines += [(name, str(self.training[name])) for name in ("data", "terms") if name in self.training]
        return aligned(lines)


@dataclass(frozen=True, eq=False)
class AdaptiveBundle:
    """An adaptive bundle on disk whose card and networks' cards have been read and checked."""

    path: Path
    card: AdaptiveCard
    networks: tuple[Bundle, ...]

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Read and check the card of the folder `path` and those of the networks in it.

        Raises `SparsrError` if there is no such bundle, a card is damaged, of another schema or names what lies outside
        of the folder, or the cards do not fit each other.
        """
        folder = open_folder(path)
        data = read_card(folder / CARD_NAME)
        with valid_card(folder / CARD_NAME):
            check_schema(folder, data, ADAPTIVE_SCHEMA)
            card = read_record(AdaptiveCard, data)
            _check_values(card)
        return cls(folder, card, tuple(_open_network(folder, network, card.scale) for network in card.networks))

    @property
    def schema(self) -> str:
        """Of its card."""
        return self.card.schema

    @property
    def scale(self) -> int:
        """How many pixels a side become of one."""
        return self.card.scale

    def check_files(self) -> None:
        """Read the estimator and the networks' files. Raises `SparsrError` if one is not what a card says."""
        for network in self.networks:
            network.check_files()
        self.estimator()

    def describe(self) -> str:
        """The card in a few lines for people."""
        return self.card.describe()

    def to_json(self) -> dict[str, Any]:
        """The card, for `json.dumps`."""
        return self.card.to_json()

    def estimator(self) -> Estimator:
        """The estimator. Raises `SparsrError` if it is not the one the card describes."""
        file = self.card.estimator
        path = self.path / file.name
        estimator = load_estimator(read_file(path, file.bytes, file.sha256), str(path))
        if estimator.candidates != len(self.card.candidates):
            found = f"{estimator.candidates} candidates, the bundle has {len(self.card.candidates)}"
            raise SparsrError(f"{path} knows {found}", _HINT)
        return estimator


def _open_network(folder: Path, network: Network, scale: int) -> Bundle:
    path = folder / network.folder
    if path.is_symlink() or (path / CARD_NAME).is_symlink():
        raise SparsrError(f"{path} is or holds a link, which bundles never do", _HINT)
    bundle = Bundle.open(path)
    if hashlib.sha256((path / CARD_NAME).read_bytes()).hexdigest() != network.card_sha256:
        raise SparsrError(f"{path} is not the bundle the card of {folder} describes (sha256 differs)", _HINT)
    if bundle.card.scale != scale:
        raise SparsrError(f"{path} enlarges x{bundle.card.scale}, the card of {folder} says x{scale}", _HINT)
    return bundle


def _check_values(card: AdaptiveCard) -> None:
    if not 1 <= card.scale <= 16 or not _PATCH[0] <= card.patch <= _PATCH[1]:
        raise ValueError(f"a scale of {card.scale} and patches of {card.patch} pixels are not possible")
    if not 1 <= len(card.networks) <= MAX_NETWORKS:
        raise ValueError(f"it names {len(card.networks)} networks, not 1 to {MAX_NETWORKS}")
    for name in (card.estimator.name, *(network.folder for network in card.networks)):
        check_name(name)
    if len({network.folder for network in card.networks}) < len(card.networks):
        raise ValueError("two of its networks have the same folder")
    if not 0 < card.estimator.bytes <= MAX_ESTIMATOR_BYTES:
        raise ValueError(f"the estimator is said to have {card.estimator.bytes:.6g} bytes")
    if list(card.costs) != sorted(card.costs, reverse=True) or not 0 <= min(card.costs) <= max(card.costs) < 1e9:
        raise ValueError("its networks are not sorted by cost, the dearest first")
    if not all(0 <= network.halo <= 4096 for network in card.networks) or card.networks[0].cost <= 0:
        raise ValueError("a network's halo or cost is out of range")
