"""A user's nn.Module as an ONNX model, read by `torch.export`: one reading serves both."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import re
import warnings
from collections.abc import Iterator

import numpy as np
import onnx
import torch
from torch import nn

from sparsr.export.lower.onnx_file import checked_onnx
from sparsr.export.lower.onnx_probe import session
from sparsr.runtime.errors import SparsrError

_OPSET = 18
_EXAMPLE = (11, 16)  # above the smallest size; not square, so that no size is taken for the other
_MULTIPLES = (1, 2, 4, 8, 16, 32, 64)
_OTHER_SIZES = ((-2, 3), (3, -2), (64, 64))  # added to the example's
_NEAR = 1e-4
_COLOURS = re.compile("\x1b\\[[0-9;]*m")


def module_as_onnx(module: nn.Module, name: str, channels: int, minimum_size: int) -> onnx.ModelProto:
    """The module in eval mode for [1, channels, height, width] float32, height and width free.

    It is read on an image whose sides are the first multiples that it takes. Raises `SparsrError` with torch's own
    reason for what `torch.export` cannot read.
    """
    plain = copy.deepcopy(module).cpu().float().eval()
    multiple, image = _example(plain, channels, minimum_size)
    try:
        program = _exported(plain, image, minimum_size, 1)
    except ImportError as error:
        raise SparsrError(f"reading a module needs the package {error.name}", "pip install onnxscript") from error
    except Exception as error:  # whatever the user's code and torch.export raise
        program = _of_multiples(plain, image, minimum_size, multiple)
        if program is None:
            raise SparsrError(
                f"{name}: torch.export cannot read it ({_reason(error)})",
                "export it to ONNX yourself and give that file",
            ) from error
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    if len(model.graph.output) > 1:
        raise SparsrError(
            f"{name} gives {len(model.graph.output)} tensors", "wrap it in a module that returns the image"
        )
    opened = checked_onnx(model, name)
    _check_sizes(plain, opened, name, image)
    return opened


def _check_sizes(module: nn.Module, model: onnx.ModelProto, name: str, image: torch.Tensor) -> None:
    """Refuse a model that computes something else than the module of other sizes: tracing can take one for granted."""
    loaded = session(model.SerializeToString())
    for rows, columns in _OTHER_SIZES:
        size = image.shape[2] + rows, image.shape[3] + columns
        other = torch.rand(1, image.shape[1], *size, generator=torch.Generator().manual_seed(0))
        try:
            with torch.no_grad(), _quiet():
                expected = module(other).numpy()
        except Exception:  # whatever the user's code raises: a size that it does not take
            continue
        try:
            (found,) = loaded.run(None, {loaded.get_inputs()[0].name: other.numpy()})
            same = np.allclose(found, expected, rtol=0, atol=_NEAR * max(1.0, float(np.abs(expected).max())))
        except Exception:  # ONNX Runtime's exceptions have no common base, NumPy raises ValueError
            same = False
        if not same:
            raise SparsrError(
                f"{name}: as torch.export reads it, it computes something else of {size[1]}x{size[0]} pixels",
                "it may take a size or a branch for granted; export it to ONNX yourself and give that file",
            )


def _example(module: nn.Module, channels: int, minimum_size: int) -> tuple[int, torch.Tensor]:
    """An image that the module takes, and the multiple that its sides are of; any if it takes none."""
    images = []
    for multiple in _MULTIPLES:
        height, width = (-(-(minimum_size + more) // multiple) * multiple for more in _EXAMPLE)
        images.append(torch.rand(1, channels, height, width if width > height else height + multiple))
        with contextlib.suppress(Exception), torch.no_grad(), _quiet():  # whatever the user's code raises
            module(images[-1])
            return multiple, images[-1]
    return 1, images[0]


def _exported(
    module: nn.Module, image: torch.Tensor, minimum_size: int, multiple: int
) -> torch.onnx.ONNXProgram | None:
    least = -(-minimum_size // multiple)
    sides = {2: torch.export.Dim("height", min=least), 3: torch.export.Dim("width", min=least)}
    sizes = ({axis: multiple * side if multiple > 1 else side for axis, side in sides.items()},)
    with _quiet(), torch.no_grad():
        return torch.onnx.export(
            module, (image,), dynamo=True, dynamic_shapes=sizes, opset_version=_OPSET, verbose=False
        )


def _of_multiples(
    module: nn.Module, image: torch.Tensor, minimum_size: int, multiple: int
) -> torch.onnx.ONNXProgram | None:
    """The module for sides that are multiples of what it takes; None if that cannot be read either."""
    if multiple > 1:
        with contextlib.suppress(Exception):  # the reason for any size is the one to tell
            return _exported(module, image, minimum_size, multiple)
    return None


def _reason(error: BaseException) -> str:
    """What the first cause of an error says, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = _COLOURS.sub("", str(error)).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:300]}"


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
