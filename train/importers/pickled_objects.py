"""What stands for the objects of a foreign pickle: nothing of their classes is looked up, imported or called.

numpy's arrays and numbers, which training states keep beside tensors or in place of them, are rebuilt from the bytes
that the file holds. A module that was saved whole keeps the dictionaries that its weights lie in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_CODES = ("b1", "i1", "i2", "i4", "i8", "u1", "f2", "f4", "f8")
"""Types of numbers whose bytes mean numbers: no objects, no records."""
_DEEPEST, _MOST_NAMES = 100, 100_000  # of a saved module


class Refused(Exception):
    """What is wrong with the file, to be completed with its name."""


class Inert:
    """Stands for any object of an unknown class: takes everything, does nothing."""

    state: Any = None

    def __new__(cls, *_: Any, **__: Any) -> Inert:  # noqa: D102
        return super().__new__(cls)

    def __call__(self, *_: Any, **__: Any) -> Inert:  # noqa: D102
        return self

    def __setitem__(self, *_: Any) -> None:
        pass

    def append(self, *_: Any) -> None:
        """As a list."""

    def set_state(self, state: Any) -> None:
        """Remember the attributes that the pickle gives the object."""
        self.state = state

    extend = add = append


class _Type:
    """A numpy.dtype of numbers."""

    def __init__(self, code: str) -> None:
        self._code, self._order = code, "<"

    def set_state(self, state: Any) -> None:
        """The order of the bytes is the state's second entry."""
        self._order = ">" if state[1] == ">" else "<"

    @property
    def dtype(self) -> np.dtype:
        """The type itself."""
        return np.dtype(self._order + self._code)


@dataclass(frozen=True)
class _Values:
    """What an array or number consists of; the bytes are those of the file."""

    shape: tuple[int, ...]
    kind: np.dtype
    fortran: bool
    content: bytes

    @classmethod
    def of(cls, shape: Any, kind: _Type, fortran: Any, content: Any) -> _Values:
        """Raises `Refused` if they do not fit together."""
        good = isinstance(content, bytes) and all(type(side) is int and side >= 0 for side in shape)
        if not good or len(content) != math.prod(shape) * kind.dtype.itemsize:
            raise Refused("describes an array that cannot be")
        return cls(tuple(shape), kind.dtype, bool(fortran), content)

    def array(self) -> NDArray[Any]:
        """In the machine's order of bytes, row by row."""
        flat = np.frombuffer(self.content, self.kind).astype(self.kind.newbyteorder("="))
        return np.ascontiguousarray(flat.reshape(self.shape, order="F" if self.fortran else "C"))


class NumpyArray:
    """A numpy.ndarray as the pickle describes it; empty if it holds anything but numbers."""

    def __init__(self) -> None:
        self._values = _Values((0,), np.dtype(np.float32), False, b"")

    def set_state(self, state: Any) -> None:
        """Version, shape, type, order and bytes."""
        _, shape, kind, fortran, content = state
        if isinstance(kind, _Type):
            self._values = _Values.of(shape, kind, fortran, content)

    @property
    def nbytes(self) -> int:
        """Of the numbers."""
        return len(self._values.content)

    def tensor(self) -> Tensor:
        """The array as a tensor."""
        return torch.from_numpy(self._values.array())


def _type(code: Any, *_: Any) -> _Type | Inert:
    return _Type(code) if code in _CODES else Inert()


def _scalar(kind: Any, content: Any = b"") -> Any:
    return _Values.of((), kind, False, content).array().item() if isinstance(kind, _Type) else Inert()


def _encode(text: Any, encoding: Any) -> bytes:
    """How Python 3 writes bytes in old protocols."""
    if not isinstance(text, str) or encoding != "latin1":
        raise Refused("holds bytes in an unknown encoding")
    return text.encode("latin1")


_NUMPY = ("numpy.core", "numpy._core")  # before version 2, and from it on
ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "dtype"): _type,
    ("_codecs", "encode"): _encode,
    ("collections", "defaultdict"): lambda *_: {},
    **{(f"{package}.multiarray", "_reconstruct"): lambda *_: NumpyArray() for package in _NUMPY},
    **{(f"{package}.multiarray", "scalar"): _scalar for package in _NUMPY},
}
"""The only names that mean something, and what they make."""


def is_module(value: Any) -> bool:
    """Whether an object has what a torch.nn.Module keeps its weights in."""
    return isinstance(value, Inert) and isinstance(value.state, dict) and "_parameters" in value.state


def module_weights(module: Inert) -> dict[str, Any]:
    """Parameters and buffers by the names of a state dict. Raises `Refused` for nesting that no network has."""
    found: dict[str, Any] = {}
    for name, value in _weights(module, "", 0):
        found[name] = value
        if len(found) > _MOST_NAMES:
            raise Refused("holds a module of too many parts")
    return found


def _weights(module: Inert, prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    if depth > _DEEPEST:
        raise Refused("holds a module that is nested too deeply")
    for key in ("_parameters", "_buffers"):
        for name, value in _entries(module, key):
            if value is not None:
                yield prefix + name, value
    for name, value in _entries(module, "_modules"):
        if is_module(value):
            yield prefix + name, None  # counts against the limit also where there are no weights
            yield from _weights(value, f"{prefix}{name}.", depth + 1)


def _entries(module: Inert, key: str) -> Iterator[tuple[str, Any]]:
    entries = module.state.get(key)
    if isinstance(entries, Mapping):
        yield from ((name, value) for name, value in entries.items() if isinstance(name, str))
