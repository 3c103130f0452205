"""Networks that only spandrel knows (MIT, github.com/chaiNNer-org/spandrel), for those who have it installed.

The file is read by our own reader, so that nothing of it is executed; spandrel builds the module and describes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from sparsr.runtime.errors import SparsrError
from sparsr.train.importers.weights_file import read_weights

_OWN = "export it to ONNX and give that file, or give the module to sparsr.export.export_module"


@dataclass(frozen=True)
class SpandrelModel:
    """A module and what its descriptor says."""

    module: nn.Module
    architecture: str
    scale: int
    channels: int
    minimum_size: int


def spandrel_model(path: Path) -> SpandrelModel:
    """The network of a checkpoint, by spandrel. Raises `SparsrError` if it is not installed or does not know the file,
    or if the network is none from one image to one of as many channels at any size."""
    try:
        import spandrel
    except Exception as error:  # also what a torchvision for another torch raises
        raise SparsrError(
            f"SparSR does not know the network of {path}, and spandrel cannot be used ({error})",
            f"{_OWN}; for networks that spandrel knows pip install 'sparsr[spandrel]'",
        ) from error
    try:
        found = spandrel.ModelLoader(device="cpu").load_from_state_dict(dict(read_weights(path).tensors))
    except spandrel.UnsupportedModelError as error:
        raise SparsrError(f"neither SparSR nor spandrel knows the network of {path}", _OWN) from error
    except (RuntimeError, ValueError, KeyError) as error:
        raise SparsrError(f"spandrel cannot build the network of {path} ({error})", _OWN) from error
    kind, size = found.architecture.name, found.size_requirements
    if not isinstance(found, spandrel.ImageModelDescriptor) or found.input_channels != found.output_channels:
        raise SparsrError(f"{path} holds {kind}, which does not map an image to an image of as many channels")
    if size.square:
        raise SparsrError(f"{path} holds {kind}, which takes only square images", "others can be exported")
    return SpandrelModel(found.model.eval(), kind, found.scale, found.input_channels, max(size.minimum, 1))
