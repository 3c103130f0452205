"""The table of methods: a name in a recipe's `[prune]` table, its settings, and what makes the method of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sparsr.train.pruning.assl import Assl
from sparsr.train.pruning.gassl import Gassl
from sparsr.train.pruning.l1 import L1
from sparsr.train.pruning.method import Method, MethodContext
from sparsr.train.pruning.settings import (
    AsslSettings,
    GasslSettings,
    L1Settings,
    OneShotSettings,
    PruningSettings,
    SlsSettings,
    SrSteSettings,
)
from sparsr.train.pruning.sls import OneShot, Sls, SrSte
from sparsr.train.smsr.training import Smsr, SmsrSettings


@dataclass(frozen=True)
class MethodEntry:
    """A row of the table."""

    settings: type[PruningSettings]
    make: Callable[[Any, MethodContext], Method]
    """Called with an instance of `settings`."""


METHODS: dict[str, MethodEntry] = {
    "l1": MethodEntry(L1Settings, lambda settings, run: L1(settings)),
    "assl": MethodEntry(AsslSettings, lambda settings, run: Assl(settings, run.kept_counts(settings.ratios_from))),
    "gassl": MethodEntry(GasslSettings, lambda settings, run: Gassl(settings, run.dense)),
    "one_shot": MethodEntry(OneShotSettings, lambda settings, run: OneShot(settings)),
    "sr_ste": MethodEntry(SrSteSettings, lambda settings, run: SrSte(settings)),
    "sls": MethodEntry(SlsSettings, lambda settings, run: Sls(settings)),
    "smsr": MethodEntry(SmsrSettings, lambda settings, run: Smsr(settings, run.seed, run.rank, run.world)),
}


def make_method(settings: PruningSettings | None, context: MethodContext) -> Method:
    """The method that the settings describe; plain training without any."""
    return METHODS[settings.method].make(settings, context) if settings else Method()
