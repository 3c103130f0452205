"""The packages with an interpreter of TFLite files that are here: tflite_runtime has none after Python 3.11."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

_MODULES = {"litert": "ai_edge_litert", "tflite_runtime": "tflite_runtime"}
INSTALLED = tuple(name for name, module in _MODULES.items() if find_spec(module))
"""The engines' names."""


def interpreters(name):
    """The module that has the package's `Interpreter`, imported."""
    return import_module(f"{_MODULES[name]}.interpreter")
