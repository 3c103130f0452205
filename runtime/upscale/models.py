"""The kinds of bundles: how each is opened, and what upscales with it. A further kind is a row here."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sparsr.runtime.engines.contract import Precision
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.model.adaptive_bundle import AdaptiveBundle
from sparsr.runtime.model.bundle import Bundle, open_folder, read_card
from sparsr.runtime.model.card import ADAPTIVE_SCHEMA, CARD_NAME, SCHEMA
from sparsr.runtime.model.contract import Model
from sparsr.runtime.upscale.adaptive.upscaler import DEFAULT_BETA, AdaptiveUpscaler
from sparsr.runtime.upscale.ensemble import EnsembleUpscaler
from sparsr.runtime.upscale.upscaler import PictureUpscaler, Upscaler

M = TypeVar("M", bound=Model)


@dataclass(frozen=True)
class Settings:
    """How to upscale; None leaves the choice to the upscaler."""

    engine: str | None = None
    threads: int | None = None
    max_memory: int | None = None
    """Bytes."""
    tile: int | None = None
    """Side of the tiles in input pixels, in place of `max_memory`; for bundles with one network."""
    precision: Precision = "fp32"
    beta: float | None = None
    """For adaptive bundles: 0 for the least estimated error, more is faster."""
    by_time: bool = False
    """For adaptive bundles: weigh time measured on this machine in place of multiply-adds."""
    published_rule: bool = False
    """For adaptive bundles: SLS's Eq. 8 as it stands."""
    ensemble: bool = False
    """The mean over a picture's eight symmetries."""


def open_model(path: str | os.PathLike[str]) -> Model:
    """The bundle in the folder `path`, of any kind.

    Raises `SparsrError` if there is none, or its card is damaged, of an unknown schema or names what lies outside.
    """
    schema = str(read_card(open_folder(path) / CARD_NAME).get("schema"))
    return _KINDS.get(schema, _KINDS[SCHEMA]).open(path)


def open_upscaler(model: Model, settings: Settings) -> PictureUpscaler:
    """What upscales with `model`. Raises `SparsrError` for a missing engine or settings that are not for its kind."""
    upscaler = _KINDS[model.schema].upscaler(model, settings)
    return EnsembleUpscaler(upscaler) if settings.ensemble else upscaler


@dataclass(frozen=True)
class _Kind(Generic[M]):
    open: Callable[[str | os.PathLike[str]], M]
    upscaler: Callable[[M, Settings], PictureUpscaler]


def _single(model: Bundle, settings: Settings) -> PictureUpscaler:
    if settings.beta is not None or settings.by_time or settings.published_rule:
        hint = "--beta, --by-time and --published-rule are for bundles made by `sparsr export adaptive`"
        raise SparsrError(f"{model.path} holds a single network", hint)
    return Upscaler(model, settings.engine, settings.threads, settings.max_memory, settings.tile, settings.precision)


def _adaptive(model: AdaptiveBundle, settings: Settings) -> PictureUpscaler:
    if settings.tile is not None:
        raise SparsrError(f"{model.path} chooses its windows itself", "leave out --tile")
    beta = DEFAULT_BETA if settings.beta is None else settings.beta
    upscaler = AdaptiveUpscaler(
        model, settings.engine, settings.threads, settings.max_memory, beta, settings.precision, settings.published_rule
    )
    if settings.by_time:
        upscaler.measure_prices()
    return upscaler


_KINDS: dict[str, _Kind[Any]] = {
    SCHEMA: _Kind(Bundle.open, _single),
    ADAPTIVE_SCHEMA: _Kind(AdaptiveBundle.open, _adaptive),
}
