"""Any trained network from its file: ours or an official one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sparsr.runtime.errors import SparsrError
from sparsr.train.importers import import_official
from sparsr.train.importers.tensorflow_graph import is_tensorflow_graph
from sparsr.train.importers.weights_file import is_safetensors, metadata, mistaken_for
from sparsr.train.networks import SRNetwork
from sparsr.train.run import checkpoint
from sparsr.train.run.checkpoint import CARD, Card

_BUNDLE_CARD = "card.json"
_RESULTS = ("pruned.safetensors", "best.safetensors")
"""What a training leaves, the best first."""
_GRAPHS = (".onnx", ".param")
_PYTORCH_STARTS = (b"PK", b"\x80")  # a zip file, a pickle


def load_model(
    path: str | Path, scale: int | None = None, assume: Mapping[str, Any] | None = None
) -> tuple[SRNetwork, Card]:
    """The network, on the CPU in eval mode, and its card, from a checkpoint of ours or an official one.

    `path` may be a folder with a file per module, as DMPHN's authors give their weights. `scale` chooses from an
    official file for several scales, `assume` decides what such a file leaves open. Raises `SparsrError` if the file is
    missing, damaged, hostile, not recognised, ambiguous, or of another scale.
    """
    path = Path(path)
    foreign = _is_foreign(path)
    if assume and not foreign:
        raise SparsrError(f"{path} is a checkpoint of SparSR, whose card leaves nothing open", "leave out --assume")
    network, card = import_official(path, scale, assume) if foreign else checkpoint.load(path)
    if scale is not None and scale != network.scale:
        raise SparsrError(f"{path} enlarges x{network.scale}, not x{scale}", "give the checkpoint of that scale")
    return network, card


def _is_foreign(path: Path) -> bool:
    """Whether other authors' rules hold for it. Raises `SparsrError` for what is no checkpoint at all."""
    if path.is_dir():
        if (path / _BUNDLE_CARD).exists():
            raise SparsrError(f"{path} is a bundle, not a checkpoint", "give the checkpoint it was exported from")
        if result := next((path / name for name in _RESULTS if (path / name).exists()), None):
            raise SparsrError(f"{path} is the folder of a training, not a checkpoint", f"give {result}")
        return True
    if not path.is_file():
        raise SparsrError(
            f"the checkpoint {path} does not exist", "check the path; `sparsr train list` names the trained models"
        )
    if path.suffix.lower() in _GRAPHS:
        raise SparsrError(
            f"{path} is a graph (ONNX, ncnn), not a checkpoint",
            "`sparsr export` and `sparsr prune` read it; the latter leaves its checkpoint, dense.safetensors, in --out",
        )
    with path.open("rb") as file:
        start = file.read(9)
    if not start:
        raise SparsrError(f"{path} is empty (0 bytes)", "copy or download it again")
    if what := mistaken_for(path):
        raise SparsrError(f"{path} is {what}, not a checkpoint", "download the file itself")
    if is_safetensors(path):
        return CARD not in metadata(path)
    if not (is_tensorflow_graph(path) or start.startswith(_PYTORCH_STARTS)):
        raise SparsrError(
            f"{path} is no checkpoint: neither a PyTorch file nor safetensors nor a TensorFlow graph",
            "name a file with a network's weights; if this one was, copy or download it again",
        )
    return True
