"""SparSR: pruned image restoration that is really faster on the device. The bare install is the runtime."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparsr.runtime.model.bundle import Bundle
    from sparsr.runtime.model.general import GENERAL
    from sparsr.runtime.upscale.upscaler import Upscaler

__all__ = ["GENERAL", "Bundle", "Upscaler", "__version__"]
__version__ = "0.1.0"
_MODULES = {
    "Bundle": "sparsr.runtime.model.bundle",
    "GENERAL": "sparsr.runtime.model.general",
    "Upscaler": "sparsr.runtime.upscale.upscaler",
}

# ONNX Runtime from 1.29 on keeps an identifier of the machine and sends what it runs to its makers, from a thread that
# would work while we measure. It reads this once, when it is loaded. Whoever wants to send sets it otherwise.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def __getattr__(name: str) -> Any:
    """Import the public names when first used, so that `sparsr.runtime.errors` alone stays light."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(importlib.import_module(_MODULES[name]), name)
