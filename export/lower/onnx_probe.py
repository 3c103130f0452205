"""What the tensors of an ONNX model are, found by running it on small images of several sizes.

Chains of Shape, Gather, Floor, Mul, Concat compute sizes in as many ways as there are exporters. They are not read:
what matters is which size comes out, and that is compared with the sizes of other tensors.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from sparsr.export.lower.fixed_sizes import pixel_counts, pools_all, resizes_nothing, shapes_at
from sparsr.export.lower.memory_limit import limited_memory
from sparsr.export.lower.onnx_file import fixed_size
from sparsr.export.lower.onnx_layout import channels_first
from sparsr.export.lower.onnx_twins import with_twins
from sparsr.export.lower.size_rule import OTHER_RESIDUES, PLAIN_RESIDUES, Residue, Size, SizeRule, find_rule
from sparsr.runtime.errors import SparsrError

_STEPS = ((9, 26), (14, 14), (31, 12))  # above the smallest size: odd and even, square and not
_FEW_STEPS = ((3, 8), (4, 4), (9, 5))  # the same of networks that take multiples
_LARGEST_MINIMUM = 128
_LARGEST_OF_FIXED = 16  # smallest size of a network that has only been seen at one


def session(model: bytes) -> onnxruntime.InferenceSession:
    """ONNX Runtime on the CPU, one thread, standard operators only; quiet."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


@dataclass(frozen=True)
class _Trial:
    """A model that is asked what it makes of images of some size."""

    model: onnx.ModelProto
    loaded: onnxruntime.InferenceSession
    channels: int

    def result_size(self, size: Size) -> Size | None:
        """Of what it makes of an image of that size; None if it does not take it or gives no image."""
        try:
            result = self._result(_random(self.channels, size))
        except Exception:  # ONNX Runtime's exceptions have no common base
            return None
        if result.ndim != 4 or min(result.shape[2:]) < 1 or not np.isfinite(result).all():  # n - 1 of one pixel is 0
            return None
        return int(result.shape[2]), int(result.shape[3])

    def why_not(self) -> str:
        """What ONNX Runtime says of an image, or what the model makes of it."""
        try:
            result = self._result(np.zeros((1, self.channels, 64, 64), np.float32))
        except Exception as error:  # ONNX Runtime's exceptions have no common base
            return _first_line(error)
        return (
            f"it makes {list(result.shape)} of one of 64x64"
            if result.ndim != 4
            else "other sizes fail, or its values are no numbers"
        )

    def _result(self, image: NDArray[np.float32]) -> NDArray[Any]:
        height, width = image.shape[2:]
        if resizes_nothing(self.model, (height, width)):
            raise ValueError("a map without a pixel would be enlarged")
        (result,) = self.loaded.run(None, {self.model.graph.input[0].name: image})
        return np.asarray(result)


class Probe:
    """Every tensor of a model for several image sizes, and the smallest size that works."""

    def __init__(self, model: onnx.ModelProto, channels: int, source: str) -> None:
        self.model = model = channels_first(model)
        self.constants: dict[str, NDArray[Any]] = {}
        """Weights, and all that is computed from nothing but weights."""
        self.values: dict[str, list[NDArray[Any]]] = {}
        """Of every other tensor, one array per image."""
        self.twins: dict[str, str] = {}
        """Tensors that may stand in for others, see `onnx_twins`."""
        self.image = model.graph.input[0].name
        self.of_pixels: set[str] = set()
        """The tensors that depend on what the image shows, not on its size alone."""
        self._counts: set[str] = set()
        self.rule: SizeRule | None = None
        """What its results are as large as; None if it takes images of one size alone."""
        self.fixed: Size | None = None
        """Height and width of the only image that it takes."""
        with limited_memory():
            self._run(model, channels, source)

    def _run(self, model: onnx.ModelProto, channels: int, source: str) -> None:
        try:
            plain = session(model.SerializeToString())
        except Exception as error:  # ONNX Runtime's exceptions have no common base
            raise SparsrError(
                f"{source}: ONNX Runtime does not load it ({_first_line(error)})", "export it again"
            ) from error
        self._choose_sizes(_Trial(model, plain, channels), source, fixed_size(model))
        self._watch(model, channels)
        if found := with_twins(model, self.constants, self.values):
            with contextlib.suppress(Exception):  # then nothing stands in
                self._watch(found[0], channels)
                self.model, self.twins = found

    def _watch(self, model: onnx.ModelProto, channels: int) -> None:
        """Run the model on an image of every size and keep all tensors."""
        watched = onnx.ModelProto()
        watched.CopyFrom(model)
        names = [name for node in model.graph.node for name in node.output if name]
        del watched.graph.output[:]
        watched.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
        loaded = session(watched.SerializeToString())
        images = [_random(channels, size) for size in self.sizes]
        results = [loaded.run(names, {self.image: image}) for image in images]
        values = {name: [result[index] for result in results] for index, name in enumerate(names)}
        self.values = values | {self.image: images}
        self.constants = _constants(model, self.values)
        for name in self._counts:
            self.values[name] = [self.constants.pop(name)]
        self.of_pixels = _of_pixels(model)

    def _choose_sizes(self, trial: _Trial, source: str, fixed: Size | None) -> None:
        """Any sizes if they work; else those of some multiple and rest; else the one that the file was made for."""

        def results(residue: Residue) -> tuple[list[Size], list[Size]] | None:
            multiple, rest = residue
            smallest = _smallest(trial, residue)
            if smallest is None:
                return None
            steps = _STEPS if multiple == 1 else _FEW_STEPS
            sizes = [(smallest + multiple * height, smallest + multiple * width) for height, width in steps]
            if fixed:  # some files cut images to their own size
                height, width = (((side - rest) // multiple + 1) * multiple + rest for side in fixed)
                sizes.append((height, width))
            found = [trial.result_size(size) for size in sizes]
            known = [size for size in found if size]
            if len(known) < len(found):
                return None
            self.minimum_size, self.sizes = smallest, sizes[: len(steps)]
            return sizes, known

        if fixed and self._takes_for_granted(fixed):
            self.minimum_size, self.sizes, self.fixed = min(_LARGEST_OF_FIXED, *fixed), [fixed], fixed
            return
        if fixed is None or trial.result_size(fixed) is None:
            self.rule = find_rule(results, PLAIN_RESIDUES, source) or find_rule(results, OTHER_RESIDUES, source)
            if self.rule is None:
                reason = trial.why_not()
                raise SparsrError(
                    f"{source} does not run on images of up to {_LARGEST_MINIMUM} pixels a side ({reason})",
                    "export it with free height and width; it must take and give images",
                )
            return
        with contextlib.suppress(SparsrError):  # of what it makes of other sizes nothing can be said
            self.rule = find_rule(results, PLAIN_RESIDUES, source)
        if self.rule is None:
            self.minimum_size, self.sizes, self.fixed = min(_LARGEST_OF_FIXED, *fixed), [fixed], fixed

    def _takes_for_granted(self, size: Size) -> bool:
        """Whether the file would compute something else of images of another size than its own."""
        shapes, constants = shapes_at(self.model, size), stored_constants(self.model)
        self._counts = pixel_counts(self.model, constants, shapes)
        return bool(self._counts) or pools_all(self.model, shapes)

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
        """Whether a tensor is [1, channels, height, width] of floats or truth values, or [1, channels (, 1)]: a map of
        one pixel."""
        first = self.values[tensor][0]
        fits = first.ndim == 4 or self.is_vector(tensor)
        return fits and first.dtype in (np.float32, np.bool_) and first.shape[0] == 1

    def number(self, tensor: str) -> Any:
        """The values of a small tensor that are the same for every image; None if they are not."""
        if tensor in self.constants:
            return self.constants[tensor]
        first, *others = self.values[tensor]
        return first if all(np.array_equal(first, other) for other in others) else None


def _of_pixels(model: onnx.ModelProto) -> set[str]:
    """The tensors that depend on the image, not on its size alone."""
    found = {model.graph.input[0].name}
    for node in model.graph.node:
        if node.op_type not in ("Shape", "Size") and found.intersection(node.input):
            found.update(node.output)
    return found


def _random(channels: int, size: tuple[int, int]) -> NDArray[np.float32]:
    return np.random.default_rng(size).random((1, channels, *size), np.float32)


def _smallest(trial: _Trial, residue: Residue) -> int | None:
    """The smallest square image the model accepts among those whose side is of that residue; None if there is none."""
    multiple, rest = residue

    def accepts(number: int) -> bool:
        return trial.result_size((number * multiple + rest,) * 2) is not None

    low, high = 0, 1
    while not accepts(high):
        low, high = high, 2 * high
        if high * multiple + rest > _LARGEST_MINIMUM:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if accepts(middle) else (middle, high)
    return high * multiple + rest


def stored_constants(model: onnx.ModelProto) -> dict[str, NDArray[Any]]:
    """Those that the file holds as such."""
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            constants[node.output[0]] = onnx.numpy_helper.to_array(node.attribute[0].t)
    return constants


def _constants(model: onnx.ModelProto, values: dict[str, list[NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for node in model.graph.node:
        if all(name in constants for name in node.input if name):
            constants |= {name: values[name][0] for name in node.output if name}
    return constants


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200]
