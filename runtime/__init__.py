"""Runs exported super-resolution bundles: engines, tiling, video. Needs numpy; never torch or tensorflow."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bundle import Bundle
    from .upscaler import Upscaler

__all__ = ["Bundle", "Upscaler"]
_MODULES = {"Bundle": ".bundle", "Upscaler": ".upscaler"}


def __getattr__(name: str) -> Any:
    """Import the public classes when first used, so that `runtime.errors` alone stays light."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(importlib.import_module(_MODULES[name], __name__), name)
