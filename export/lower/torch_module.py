"""A user's nn.Module as an ONNX model, read by `torch.export`: one reading serves both."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Iterator

import onnx
import torch
from torch import nn

from sparsr.export.lower.onnx_file import checked_onnx
from sparsr.runtime.errors import SparsrError

_OPSET = 18
_EXAMPLE = (11, 16)  # above the smallest size; not square, so that no size is taken for the other


def module_as_onnx(module: nn.Module, name: str, channels: int, minimum_size: int) -> onnx.ModelProto:
    """The module in eval mode for [1, channels, height, width] float32, height and width free.

    Raises `SparsrError` with torch's own reason for what `torch.export` cannot read.
    """
    plain = copy.deepcopy(module).cpu().float().eval()
    image = torch.rand(1, channels, *(minimum_size + side for side in _EXAMPLE))
    sizes = ({2: torch.export.Dim("height", min=minimum_size), 3: torch.export.Dim("width", min=minimum_size)},)
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                plain, (image,), dynamo=True, dynamic_shapes=sizes, opset_version=_OPSET, verbose=False
            )
    except ImportError as error:
        raise SparsrError(f"reading a module needs the package {error.name}", "pip install onnxscript") from error
    except Exception as error:  # whatever the user's code and torch.export raise
        reason = str(error).strip().splitlines()[0][:300]
        raise SparsrError(
            f"{name}: torch.export cannot read it ({type(error).__name__}: {reason})",
            "export it to ONNX yourself and give that file",
        ) from error
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    if len(model.graph.output) > 1:
        raise SparsrError(
            f"{name} gives {len(model.graph.output)} tensors", "wrap it in a module that returns the image"
        )
    return checked_onnx(model, name)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Torch tells its progress on stdout and its doubts as warnings."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
