"""Targets by their names: `cpu`, or `KIND:ADDRESS` like the address of a page."""

from __future__ import annotations

import importlib

from sparsr.bench.targets.contract import Target
from sparsr.runtime.errors import SparsrError

TARGETS = {
    "cpu": ("cpu", "Cpu", "cpu"),
    "gpu": ("gpu", "Gpu", "gpu"),
    "emu": ("emu", "Emulator", "emu:cortex-a76"),
    "adb": ("adb", "Adb", "adb[:SERIAL]"),
    "ssh": ("ssh", "Ssh", "ssh:[USER@]HOST[:PORT]"),
}
"""Kind -> (module, class, how it is written). Modules are imported when asked for: some need packages of their own."""


def target_names() -> str:
    """How targets are written, for people."""
    return ", ".join(how for *_, how in TARGETS.values())


def open_target(name: str) -> Target:
    """The target of that name; nothing is reached yet. Raises `SparsrError` for a name that means none."""
    kind, _, address = name.partition(":")
    if kind not in TARGETS:
        raise SparsrError(f"there is no target {name!r}", f"known: {target_names()}")
    module, target, _ = TARGETS[kind]
    opened: Target = getattr(importlib.import_module(f"sparsr.bench.targets.{module}"), target)(address)
    return opened
