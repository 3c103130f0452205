"""The weights of a foreign file: PyTorch's, safetensors, a frozen TensorFlow graph, or a folder of one per module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from sparsr.runtime.errors import SparsrError
from sparsr.train.importers.pytorch_file import Weights, read_pytorch
from sparsr.train.importers.tensorflow_graph import is_tensorflow_graph, read_tensorflow_graph

_SUFFIXES = (".pkl", ".pth", ".pt", ".safetensors")
_MOST_FILES = 64  # of a folder
_SAFETENSORS_BRACE = b"{"  # after eight bytes of length


def read_weights(path: Path, wanted: str | None = None) -> Weights:
    """The weights of a file of any of these kinds; of those under several wrappers `wanted`, if given.

    Of a folder those of all its files, each one's names behind the file's (DMPHN: `encoder_lv1.pkl` and five more).
    Raises `SparsrError` if a file is damaged, hostile, or holds none.
    """
    if path.is_dir():
        files = weight_files(path)
        return Weights({f"{file.stem}.{name}": tensor for file in files for name, tensor in _tensors(file).items()})
    if is_tensorflow_graph(path):
        return read_tensorflow_graph(path)
    if not is_safetensors(path):
        return read_pytorch(path, wanted)
    with _opened(path) as file:
        return Weights({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 - not a dict


def weight_files(path: Path) -> list[Path]:
    """The file itself, or a folder's files with weights, by name. Raises `SparsrError` for none or too many."""
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in _SUFFIXES and file.is_file())
    if not files or len(files) > _MOST_FILES:
        raise SparsrError(
            f"the folder {path} holds {len(files)} files with weights",
            f"name a checkpoint, or a folder with one file per module ({' '.join(_SUFFIXES)}, {_MOST_FILES} at most)",
        )
    return files


def _tensors(file: Path) -> dict[str, Tensor]:
    """Those of one file of a folder, which has no wrappers to choose from."""
    if what := mistaken_for(file):
        raise SparsrError(f"{file} is {what}, not a checkpoint", "download the file itself")
    return read_weights(file).tensors


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
