"""Building adaptive bundles: several networks, bicubic interpolation and an estimator that chooses among them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sparsr.export.exporter import export_model
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.files import atomic_folder
from sparsr.runtime.model.adaptive_bundle import (
    ESTIMATOR_NAME,
    AdaptiveBundle,
    AdaptiveCard,
    EstimatorFile,
    Network,
    cheapest,
)
from sparsr.runtime.model.bundle import Bundle
from sparsr.runtime.model.card import CARD_NAME, BundleCard
from sparsr.runtime.upscale.adaptive import bicubic
from sparsr.runtime.upscale.adaptive.estimator import load_estimator, metadata
from sparsr.runtime.upscale.tiling import Span
from sparsr.runtime.upscale.upscaler import Upscaler
from sparsr.train.adaptive.estimator import Upscale, error_maps, train_estimator, write_estimator

Report = Callable[[str], None]
DEFAULT_PATCH = 32
WHOLE_PICTURE_HALO = 8
"""Surroundings, in input pixels, of networks whose attention sees the whole picture. Our choice, by measurement.

RFDN on Urban100, windows of 64x64: with 8 pixels the output is 0.5 of 255 levels from the whole picture's on average,
PSNR the same (+0.01 dB, the worst of 21 windows -0.09 dB); 32 pixels bring it to 0.3 levels and -0.07 dB."""


def build_adaptive(
    models: Sequence[Path],
    out: Path,
    *,
    data: Sequence[Path] = (),
    estimator: Path | None = None,
    formats: Sequence[str],
    patch: int = DEFAULT_PATCH,
    name: str | None = None,
    report: Report = print,
) -> AdaptiveCard:
    """Write the adaptive bundle `out` from checkpoints of networks of one scale and return its card.

    The estimator is trained on the errors the networks make on the HR images in the folders `data` (pairs at scale 1,
    where leaving a patch as it is takes bicubic's place), or read from the
    file `estimator` of an earlier build with as many networks. patch: side of a patch in input pixels. formats: as of
    `export_model`. Raises `SparsrError` for bad input and `CheckFailedError` if parity fails; then there is no bundle,
    or still the one that was there.
    """
    if bool(data) == (estimator is not None):
        raise SparsrError("an adaptive bundle needs either images to train its estimator on or an estimator")
    with atomic_folder(out, CARD_NAME) as folder:
        networks = _export(models, folder, formats, report)
        content = estimator.read_bytes() if estimator else _train(networks, folder, data, patch, report)
        card = _card(name or out.resolve().name, networks, folder, content)
        (folder / ESTIMATOR_NAME).write_bytes(content)
        (folder / CARD_NAME).write_text(json.dumps(card.to_json(), indent=2, allow_nan=False) + "\n")
        AdaptiveBundle.open(folder).estimator()
    return card


def _export(
    models: Sequence[Path], folder: Path, formats: Sequence[str], report: Report
) -> list[tuple[str, BundleCard]]:
    """Export every checkpoint into its own folder: names and cards, the dearest first."""
    cards: dict[str, BundleCard] = {}
    for model in models:
        if model.stem in cards:
            raise SparsrError(f"two of the networks are called {model.stem}", "rename one of the checkpoints")
        cards[model.stem] = export_model(model, folder / model.stem, formats=formats, report=report)
    if len({card.scale for card in cards.values()}) != 1:
        raise SparsrError("the networks of an adaptive bundle need one and the same scale")
    return sorted(cards.items(), key=lambda item: -_cost(item[1]))


def _cost(card: BundleCard) -> float:
    return card.gmacs_720p * card.nonzero


def _train(
    networks: Sequence[tuple[str, BundleCard]],
    folder: Path,
    data: Sequence[Path],
    patch: int,
    report: Report,
) -> bytes:
    scale = networks[0][1].scale
    candidates: list[Upscale] = [Upscaler(folder / name) for name, _ in networks]
    maps = error_maps(data, [*candidates, _bicubic(scale)], scale, report)
    network, record = train_estimator(maps, patch, report)
    about = {"patch": patch, "scale": scale, "candidates": _names(networks), **record}
    return write_estimator(network, {name: str(value) for name, value in about.items()})


def _bicubic(scale: int) -> Upscale:
    candidate = bicubic.Bicubic(scale)

    def upscale(image: np.ndarray) -> np.ndarray:
        rows, columns = (Span(0, length, 0, length) for length in image.shape[:2])
        return candidate.window(image, rows, columns)

    return upscale


def _names(networks: Sequence[tuple[str, BundleCard]]) -> str:
    return ",".join([*(name for name, _ in networks), cheapest(networks[0][1].scale)])


def _card(name: str, networks: Sequence[tuple[str, BundleCard]], folder: Path, content: bytes) -> AdaptiveCard:
    scale = networks[0][1].scale
    estimator = load_estimator(content, ESTIMATOR_NAME)
    about: dict[str, Any] = metadata(content)
    made_for, found = (about.get("scale"), about.get("candidates")), (str(scale), _names(networks))
    if made_for != found or not about.get("patch", "").isdecimal():
        raise SparsrError(
            f"the estimator was made for x{made_for[0]}: {made_for[1]}; the networks are x{found[0]}: {found[1]}",
            "train another one: name --data in place of --estimator",
        )
    patch = int(about["patch"])
    cost = estimator.macs(patch) * 1280 * 720 / scale**2 / patch**2 / 1e9
    return AdaptiveCard(
        name=name,
        scale=scale,
        patch=patch,
        networks=tuple(_network(folder, name, card) for name, card in networks),
        bicubic_cost=round(bicubic.gmacs_720p(scale), 6),
        estimator=EstimatorFile(ESTIMATOR_NAME, len(content), hashlib.sha256(content).hexdigest(), round(cost, 6)),
        training=about,
    )


def _network(folder: Path, name: str, card: BundleCard) -> Network:
    digest = hashlib.sha256((folder / name / CARD_NAME).read_bytes()).hexdigest()
    halo = WHOLE_PICTURE_HALO if card.receptive_radius is None else card.receptive_radius
    return Network(Bundle.open(folder / name).card.name, name, digest, round(_cost(card), 6), halo)
