"""The C interface of libsparsr (`c_api.h`) from Python."""

from __future__ import annotations

import copy
import ctypes
import functools
import json
from collections.abc import Callable
from ctypes import POINTER, c_char_p, c_double, c_float, c_int, c_int32, c_size_t, c_ssize_t, c_uint64, c_void_p
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsr.runtime.engines.contract import MaskCount
from sparsr.runtime.engines.native.build import digest, library_path
from sparsr.runtime.errors import SparsrError

PixelArray = NDArray[np.uint8] | NDArray[np.float32]
RowReady = Callable[[int], bool]
RowData = Callable[[int, int], bool]
ERROR_BYTES = 1000
HALF = "fp16"
"""The instruction set, whichever it is, that computes in half precision."""
_TYPES = {np.dtype(np.uint8): 0, np.dtype(np.float32): 1}


class _Image(ctypes.Structure):
    _fields_ = [
        ("type", c_int),
        ("data", c_void_p),
        ("row", c_ssize_t),
        ("column", c_ssize_t),
        ("channel", c_ssize_t),
    ]


class Info(ctypes.Structure):
    """What a model says about itself."""

    _fields_ = [
        ("input_channels", c_int32),
        ("output_channels", c_int32),
        ("scale", c_int32),
        ("minimum_size", c_int32),
        ("lanes", c_int32),
        ("threads", c_int32),
        ("value_range", c_float),
        ("instruction_set", c_char_p),
        ("buffer_bytes", c_uint64),
    ]


_ROW_READY = ctypes.CFUNCTYPE(c_int, c_void_p, c_int32, c_void_p)


class Conv(ctypes.Structure):
    """A convolution with side x side taps, of which n of every m input channels have weights, at the same places for
    `shared` consecutive outputs."""

    _fields_ = [(name, c_int32) for name in ("inputs", "outputs", "side", "stride", "n", "m", "shared")]


class Flops(ctypes.Structure):
    """Floating-point operations per second, see `sparsr.runtime.engines.native.costs.Peak`."""

    _fields_ = [(name, c_double) for name in ("arithmetic", "loading", "near_taps", "far_taps")]


@functools.cache
def load_library() -> Any:
    """libsparsr with its functions' types, built if need be."""
    library = ctypes.CDLL(str(library_path()))
    library.sparsr_load.restype = c_void_p
    library.sparsr_load.argtypes = [c_char_p, c_size_t, c_char_p, c_uint64, c_char_p, c_size_t]
    library.sparsr_share.restype = c_void_p
    library.sparsr_share.argtypes = [c_void_p, c_char_p, c_size_t]
    library.sparsr_set_threads.argtypes = [c_void_p, c_int32, c_char_p, c_size_t]
    library.sparsr_run_images.argtypes = [
        c_void_p, c_int32, POINTER(_Image), c_int32, c_int32, POINTER(_Image), _ROW_READY, c_void_p, c_char_p, c_size_t
    ]  # fmt: skip
    library.sparsr_output_size.argtypes = [
        c_void_p, c_int32, c_int32, POINTER(c_int32), POINTER(c_int32), c_char_p, c_size_t
    ]  # fmt: skip
    library.sparsr_prepare.argtypes = [c_void_p, c_int32, c_int32, c_char_p, c_size_t]
    library.sparsr_memory.argtypes = [c_void_p, c_int32, c_int32, POINTER(c_uint64), c_char_p, c_size_t]
    library.sparsr_follow.argtypes = [c_void_p, c_int32, c_int32, c_char_p, c_size_t]
    library.sparsr_set_plan.argtypes = [c_void_p, c_char_p, c_char_p, c_size_t]
    library.sparsr_set_profiling.restype = None
    library.sparsr_set_profiling.argtypes = [c_void_p, c_int]
    library.sparsr_conv_cost.argtypes = [
        POINTER(Conv), c_int32, c_char_p, c_char_p, POINTER(c_double), POINTER(c_int32), c_char_p, c_size_t
    ]  # fmt: skip
    library.sparsr_peak.argtypes = [c_char_p, POINTER(Flops), c_char_p, c_size_t]
    library.sparsr_get_info.argtypes = [c_void_p, POINTER(Info)]
    library.sparsr_describe.restype = c_size_t
    library.sparsr_describe.argtypes = [c_void_p, c_char_p, c_size_t]
    library.sparsr_free.argtypes = [c_void_p]
    library.sparsr_tflite_register.argtypes = [c_void_p, c_char_p, c_size_t]
    return library


def register_with_tflite(resolver: int) -> None:
    """Add the operator `SparsrStream` to a MutableOpResolver: a registerer for `InterpreterWithCustomOps`.

    Raises `SparsrError` if the library cannot be built or the resolver is not as it knows them.
    """
    error = ctypes.create_string_buffer(ERROR_BYTES)
    if not load_library().sparsr_tflite_register(resolver, error, ERROR_BYTES):
        raise SparsrError(f"libsparsr cannot be added to the interpreter: {text_of(error)}")


class NativeModel:
    """A model file loaded into libsparsr. Calls from several threads wait for each other.

    model: the bytes of a `model.safetensors` with a program. instruction_set: avx512, avx2, base, neon or plain; fp16
    for half precision, see `registry.Precision`; None for the environment variable SPARSR_ISA or else the best
    one. max_bytes: bound of a run's feature maps; 0 for the environment variable SPARSR_MAX_BYTES or else the machine's
    memory.
    threads: how many compute; the result does not depend on it, bit for bit.
    Raises `SparsrError` if the library cannot be built or refuses the model.
    """

    def __init__(self, model: bytes, instruction_set: str | None = None, max_bytes: int = 0, threads: int = 1) -> None:
        self._handle = None
        self._library = load_library()
        error = ctypes.create_string_buffer(ERROR_BYTES)
        name = instruction_set.encode() if instruction_set else None
        self._handle = self._library.sparsr_load(model, len(model), name, max_bytes, error, ERROR_BYTES)
        if not self._handle:
            hint = "compute in fp32, the default" if instruction_set == HALF else "export the bundle again"
            raise SparsrError(f"the native engine refuses the model: {text_of(error)}", hint)
        self._set_threads(threads)

    def share(self, threads: int) -> NativeModel:
        """Another model with the same program, kept in memory once, that may run at the same time.

        Raises `SparsrError` if there cannot be so many threads.
        """
        twin = copy.copy(self)
        twin._handle = None  # this one's is freed by this one alone
        error = ctypes.create_string_buffer(ERROR_BYTES)
        twin._handle = self._library.sparsr_share(self._handle, error, ERROR_BYTES)
        if not twin._handle:
            raise SparsrError(f"the native engine cannot share its model: {text_of(error)}")
        twin._set_threads(threads)
        return twin

    def _set_threads(self, threads: int) -> None:
        error = ctypes.create_string_buffer(ERROR_BYTES)
        if not self._library.sparsr_set_threads(self._handle, threads, error, ERROR_BYTES):
            raise SparsrError(f"the native engine cannot use {threads} threads: {text_of(error)}", "ask for fewer")

    def __del__(self) -> None:
        if self._handle:
            self._library.sparsr_free(self._handle)

    @property
    def info(self) -> Info:
        """Channels, scale, instruction set, and the bytes of the last run's feature maps."""
        info = Info()
        self._library.sparsr_get_info(self._handle, info)
        return info

    @property
    def version(self) -> str:
        """State of the library's sources and the instruction set in use, for example `1f0c... avx512`."""
        return f"{digest()[:8]} {self.info.instruction_set.decode()}"

    def set_plan(self, plan: str | None) -> None:
        """How kernels are chosen from now on: `measure`, `estimate`, a plan's JSON, or the name of a file with it.

        None: as the environment variable SPARSR_PLAN says, or else `measure`. Raises `SparsrError` if it is no plan.
        """
        self._call("cannot follow the plan", self._library.sparsr_set_plan, plan.encode() if plan else None)

    def set_profiling(self, profiling: bool) -> None:
        """Let runs time every operation, or not."""
        self._library.sparsr_set_profiling(self._handle, profiling)

    def prepare(self, height: int, width: int) -> None:
        """Get ready for images of a size; else the first run does. Raises `SparsrError` if the model cannot take it."""
        self._call(f"cannot run on {width}x{height} pixels", self._library.sparsr_prepare, height, width)

    def memory(self, height: int, width: int) -> int:
        """Bytes for an image of a size: feature maps, and weights as kernels read them. Nothing is allocated.

        Raises `SparsrError` as `prepare`.
        """
        count = c_uint64()
        self._call(f"cannot run on {width}x{height} pixels", self._library.sparsr_memory, height, width, count)
        return count.value

    def follow(self, height: int, width: int) -> None:
        """Choose the kernels for images of any size as for one of this size from now on."""
        self._call(f"cannot run on {width}x{height} pixels", self._library.sparsr_follow, height, width)

    def plan(self) -> dict[str, Any]:
        """What the model does on images of the size last prepared or run.

        height, width, threads, instruction_set, buffer_bytes, and operations: each with layer, kind, kernel, inputs,
        outputs, height, width (before depth-to-space), ring_rows, ring_bytes, seconds (of the last run, if it was
        profiled); convolutions with kernel_size, groups, weights, dense_weights, macs, dense_macs, kernel_macs (what
        the kernel computes), cost (CPU seconds for the image) and whether that is measured; masked blocks'
        convolutions with their cost by what is important (none, all) and without_masks; masks with the important
        pixels of the last run.
        """
        size = self._library.sparsr_describe(self._handle, None, 0)
        text = ctypes.create_string_buffer(size + 1)
        self._library.sparsr_describe(self._handle, text, size + 1)
        plan: dict[str, Any] = json.loads(text.value.decode(errors="replace"))
        return plan

    def masks(self) -> list[MaskCount]:
        """The masks of the last run, in the order of the network; none if it has none."""
        return [
            MaskCount(operation["layer"], operation["important"], operation["height"] * operation["width"])
            for operation in self.plan()["operations"]
            if "important" in operation
        ]

    def _call(self, failure: str, function: Any, *arguments: Any) -> None:
        error = ctypes.create_string_buffer(ERROR_BYTES)
        if not function(self._handle, *arguments, error, ERROR_BYTES):
            raise SparsrError(f"the native engine {failure}: {text_of(error)}")

    def output_shape(self, height: int, width: int) -> tuple[int, int, int]:
        """(height, width, channels) of the result. Raises `SparsrError` for a size the model cannot take."""
        out = c_int32(), c_int32()
        self._call(f"cannot run on {width}x{height} pixels", self._library.sparsr_output_size, height, width, *out)
        return out[0].value, out[1].value, self.info.output_channels

    def run(self, image: PixelArray, out: PixelArray, on_row: RowReady | None = None) -> bool:
        """Compute `out` from `image`, both [height, width, channels], uint8 or float32, in any memory order.

        Both may have a first axis more: images of one size, computed one after the other.

        uint8 is 0..255, rounded and clipped; float32 is 0..the model's value range as it is. `on_row` is called with
        the number of every finished row, from top to bottom (of all images together), and ends the run by returning
        False; then the result is False. Raises `SparsrError` if the model cannot run on the image.
        """
        if image.ndim == out.ndim == 3:
            return self.run(image[None], out[None], on_row)
        count, height, width, channels = image.shape
        if channels != self.info.input_channels or out.shape != (count, *self.output_shape(height, width)):
            raise SparsrError(f"the native engine cannot turn an array of shape {image.shape} into {out.shape}")
        callback = None if on_row is None else lambda row, _: on_row(row)
        return self._run(_images(image), _images(out), image.shape, callback)

    def run_rows(self, image: PixelArray, on_row: RowData) -> bool:
        """Compute an image [height, width, channels] of which no result is kept.

        `on_row` is called with the number of every finished row, from top to bottom, and the address of its values
        [width, channels] of the image's type, which are there until it returns; False ends the run, as in `run`.
        """
        channels = self.output_shape(*image.shape[:2])[2]
        out = (_Image * 1)(_Image(_TYPES[image.dtype], None, 0, channels, 1))
        return self._run(_images(image[None]), out, (1, *image.shape), on_row)

    def _run(self, images: Any, outs: Any, shape: tuple[int, ...], on_row: RowData | None) -> bool:
        failure: list[BaseException] = []

        def ready(_: Any, row: int, values: int) -> int:
            try:
                return int(on_row is None or on_row(row, values))
            except BaseException as error:  # must not unwind through C; raised again below
                failure.append(error)
                return 0

        count, height, width = shape[:3]
        error = ctypes.create_string_buffer(ERROR_BYTES)
        callback = _ROW_READY(ready) if on_row else _ROW_READY()
        done = self._library.sparsr_run_images(
            self._handle, count, images, height, width, outs, callback, None, error, ERROR_BYTES
        )
        if failure:
            raise failure[0]
        if done == 0:
            raise SparsrError(
                f"the native engine failed on {width}x{height} pixels: {text_of(error)}", "try smaller tiles"
            )
        return bool(done == 1)


def _images(array: PixelArray) -> Any:
    """[count, height, width, channels] as the C interface sees it."""
    strides = [stride // array.itemsize for stride in array.strides[1:]]
    return (_Image * len(array))(*(_Image(_TYPES[array.dtype], one.ctypes.data, *strides) for one in array))


def text_of(error: Any) -> str:
    """What the library has written into a buffer for an error."""
    return bytes(error.value).decode(errors="replace")
