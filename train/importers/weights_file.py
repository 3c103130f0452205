"""The weights of a foreign file: PyTorch's, safetensors, or a frozen TensorFlow graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from sparsr.runtime.errors import SparsrError
from sparsr.train.importers.pytorch_file import Weights, read_pytorch
from sparsr.train.importers.tensorflow_graph import is_tensorflow_graph, read_tensorflow_graph

_SAFETENSORS_BRACE = b"{"  # after eight bytes of length


def read_weights(path: Path, wanted: str | None = None) -> Weights:
    """The weights of a file of any of these kinds; of those under several wrappers `wanted`, if given.

    Raises `SparsrError` if the file is damaged, hostile, or holds none.
    """
    if is_tensorflow_graph(path):
        return read_tensorflow_graph(path)
    if not is_safetensors(path):
        return read_pytorch(path, wanted)
    with _opened(path) as file:
        return Weights({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 - not a dict


def mistaken_for(path: Path) -> str:
    """What a file is that is often handed in for a checkpoint; empty if it is none of that."""
    with path.open("rb") as file:
        head = file.read(64)
    if head.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS"
    return "a web page" if head.lstrip()[:9].lower().startswith((b"<!doctype", b"<html")) else ""


def is_safetensors(path: Path) -> bool:
    """By its start: a length, then JSON. A length may begin like a PyTorch file."""
    with path.open("rb") as file:
        return file.read(9)[8:] == _SAFETENSORS_BRACE


def metadata(path: Path) -> dict[str, str]:
    """What a safetensors file says about itself. Raises `SparsrError` if it is damaged."""
    with _opened(path) as file:
        return file.metadata() or {}


def _opened(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError, ValueError) as error:
        raise SparsrError(f"{path} is not a whole safetensors file ({error})", "copy or download it again") from error
