"""What the tensors of an ONNX model are, found by running it on small images of several sizes.

Chains of Shape, Gather, Floor, Mul, Concat compute sizes in as many ways as there are exporters. They are not read:
what matters is which size comes out, and that is compared with the sizes of other tensors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from sparsr.runtime.errors import SparsrError

_STEPS = ((9, 26), (14, 14), (31, 12))  # above the smallest size: odd and even, square and not
_LARGEST_MINIMUM = 128


def session(model: bytes) -> onnxruntime.InferenceSession:
    """ONNX Runtime on the CPU, one thread, standard operators only; quiet."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class Probe:
    """Every tensor of a model for several image sizes, and the smallest size that works."""

    def __init__(self, model: onnx.ModelProto, channels: int, source: str) -> None:
        self.constants: dict[str, NDArray[Any]] = {}
        """Weights, and all that is computed from nothing but weights."""
        self.values: dict[str, list[NDArray[Any]]] = {}
        """Of every other tensor, one array per image."""
        self.image = model.graph.input[0].name
        self._run(model, channels, source)

    def _run(self, model: onnx.ModelProto, channels: int, source: str) -> None:
        watched = onnx.ModelProto()
        watched.CopyFrom(model)
        names = [name for node in model.graph.node for name in node.output if name]
        del watched.graph.output[:]
        watched.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
        try:
            plain, loaded = session(model.SerializeToString()), session(watched.SerializeToString())
        except Exception as error:  # ONNX Runtime's exceptions have no common base
            raise SparsrError(
                f"{source}: ONNX Runtime does not load it ({_first_line(error)})", "export it again"
            ) from error
        self.minimum_size = _smallest(plain, self.image, channels, source)
        self.sizes = [(self.minimum_size + height, self.minimum_size + width) for height, width in _STEPS]
        rng = np.random.default_rng(0)
        images = [rng.random((1, channels, *size), np.float32) for size in self.sizes]
        try:
            results = [loaded.run(names, {self.image: image}) for image in images]
        except Exception as error:
            raise SparsrError(
                f"{source} runs at some sizes only ({_first_line(error)})",
                "export it with free height and width; sizes that must be a multiple of something are not handled",
            ) from error
        self.values = {name: [result[index] for result in results] for index, name in enumerate(names)}
        self.values[self.image] = images
        self.constants = _constants(model, self.values)

    def size(self, tensor: str) -> list[tuple[int, ...]]:
        """Height and width for every image."""
        return [(*value.shape[2:], 1, 1)[:2] for value in self.values[tensor]]

    def is_vector(self, tensor: str) -> bool:
        """Whether a tensor is [1, channels] or [1, channels, 1]."""
        shape = self.values[tensor][0].shape
        return len(shape) == 2 or shape[2:] == (1,)

    def channels(self, tensor: str) -> int:
        """Of a feature map."""
        return int(self.values[tensor][0].shape[1])

    def is_map(self, tensor: str) -> bool:
        """Whether a tensor is [1, channels, height, width] of floats, or [1, channels (, 1)]: a map of one pixel."""
        first = self.values[tensor][0]
        fits = first.ndim == 4 or self.is_vector(tensor)
        return fits and first.dtype == np.float32 and first.shape[0] == 1

    def number(self, tensor: str) -> Any:
        """The values of a small tensor that are the same for every image; None if they are not."""
        if tensor in self.constants:
            return self.constants[tensor]
        first, *others = self.values[tensor]
        return first if all(np.array_equal(first, other) for other in others) else None


def _smallest(loaded: onnxruntime.InferenceSession, image: str, channels: int, source: str) -> int:
    """The smallest square image the model accepts."""

    def accepts(side: int) -> bool:
        try:
            (result,) = loaded.run(None, {image: np.zeros((1, channels, side, side), np.float32)})
        except Exception:
            return False
        return min(result.shape[2:], default=0) > 0 if result.ndim == 4 else False

    low, high = 0, 1
    while not accepts(high):
        low, high = high, 2 * high
        if high > _LARGEST_MINIMUM:
            raise SparsrError(
                f"{source} does not run on images of up to {_LARGEST_MINIMUM} pixels",
                "export it with free height and width; it must take and give images",
            )
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if accepts(middle) else (middle, high)
    return high


def _constants(model: onnx.ModelProto, values: dict[str, list[NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for node in model.graph.node:
        if all(name in constants for name in node.input if name):
            constants |= {name: values[name][0] for name in node.output if name}
    return constants


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200]
