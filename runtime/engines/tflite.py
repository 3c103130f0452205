"""What the two packages with TensorFlow Lite's interpreter share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

from sparsr.runtime.engines.failures import failures_told
from sparsr.runtime.engines.native.build import digest, library_path
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.model.card import BundleCard
from sparsr.runtime.samples import FloatArray

_ARENA_WASTE = 1.2  # largest share of the arenas' peak in the maps alive at once, in fresh processes
# XNNPACK keeps an indirection buffer per convolution: a pointer for each of the 9 taps of every pixel.
_INDIRECTION = 9 * 8
_KNOWN = {"ai-edge-litert": ("2.3",), "tflite-runtime": ("2.14",), "tensorflow-cpu": ("2.21",), "tensorflow": ("2.21",)}
"""Versions whose interpreters libsparsr has been tried in: it replaces a function within them."""
_IDENTIFIER = b"TFL3"  # the file identifier of TensorFlow Lite's FlatBuffers schema, at byte 4


class TFLiteEngine:
    """An interpreter for one image at a time; XNNPACK, its default, does the work."""

    def __init__(self, interpreter: Any, name: str, version: str, threads: int) -> None:
        self.name = name
        self.version = version
        self.threads = threads
        self._interpreter = interpreter
        self._input = interpreter.get_input_details()[0]["index"]
        self._output = interpreter.get_output_details()[0]["index"]
        self._shape: tuple[int, ...] = ()

    def run(self, image: FloatArray) -> FloatArray:
        """[1, h, w, 3] -> [1, s*h, s*w, 3]."""
        with failures_told(self.name, image.shape):
            if image.shape != self._shape:
                self._resize(image.shape)
            self._interpreter.set_tensor(self._input, image)
            self._interpreter.invoke()
            result: FloatArray = self._interpreter.get_tensor(self._output)
        return result

    def feature_bytes(self, card: BundleCard) -> float:
        """The maps alive at once, what the arenas take beside them, and XNNPACK's tables."""
        return _ARENA_WASTE * card.peak_activation_bytes_per_pixel + _INDIRECTION * len(card.widths)

    def _resize(self, shape: tuple[int, ...]) -> None:
        self._shape = ()  # stays so if allocating fails
        self._interpreter.resize_tensor_input(self._input, shape, strict=False)
        with _notes_held_back():
            self._interpreter.allocate_tensors()
        self._shape = shape


def refuse_other_formats(model: bytes) -> None:
    """Raise `SparsrError` for what is not a TFLite file: the interpreters follow the offsets in it unchecked."""
    if model[4:8] != _IDENTIFIER:
        raise SparsrError("the model is not a TFLite file", "export the bundle again")


def version_with_sparsr(package: str) -> str:
    """The versions of an interpreter's package and of libsparsr, which is built if need be.

    Raises `SparsrError` if it cannot be, or does not know the package's version.
    """
    found = version(package)
    if not any(found.startswith(f"{known}.") for known in _KNOWN[package]):
        raise SparsrError(
            f"libsparsr does not know {package} {found}, only {', '.join(_KNOWN[package])}",
            "use the engine without +sparsr, or --engine native",
        )
    library_path()
    return f"{found}+{digest()[:8]}"


@contextmanager
def _notes_held_back() -> Iterator[None]:
    """Keep the interpreter's `INFO:` lines off stderr (there is no setting for it); warnings and errors pass."""
    if not hasattr(os, "memfd_create"):  # other than Linux: not worth the trouble
        yield
        return
    stderr, held = os.dup(2), os.memfd_create("stderr")
    os.dup2(held, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.lseek(held, 0, os.SEEK_SET)
        with os.fdopen(held, "rb") as lines, os.fdopen(stderr, "wb") as shown:
            shown.writelines(line for line in lines if not line.startswith(b"INFO:"))
