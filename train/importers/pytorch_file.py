"""Tensors out of a foreign PyTorch file (.pt, .pth), zip or legacy format, without executing any of it.

PyTorch's own `weights_only` reader refuses files that hold a pickled module beside the weights, as the ASSL
releases do, and allocates what a file declares. This reader turns every unknown class into an inert object, calls
nothing but tensor rebuilding, and believes no size that the file's own length does not back.
"""

from __future__ import annotations

import io
import math
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import torch
from torch import Tensor

from sparsr.runtime.errors import SparsrError
from sparsr.train.importers.pickled_objects import ALLOWED, Inert, NumpyArray, Refused, is_module, module_weights

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_MOST_SHARING = 4
"""How many times over the tensors may use the same data (tied layers); more would be a bomb."""
WRAPPERS = (
    "state_dict_ema", "params_ema", "model_ema", "ema_state_dict", "ema",
    "state_dict", "params", "model_state_dict", "model", "net", "net_g", "generator",
)  # fmt: skip
"""Keys under which projects put the weights, in order of preference: averaged weights before the last ones."""


@dataclass(frozen=True)
class Weights:
    """All tensors of a file by name."""

    tensors: dict[str, Tensor]
    taken: str = ""
    """The wrapper they lay under, where the file has several."""
    left: tuple[str, ...] = ()
    """The other wrappers."""

    def record(self) -> dict[str, str]:
        """What the card says of it."""
        return {"weights": self.taken, "weights_left": ", ".join(self.left)} if self.left else {}


_TORCHSCRIPT = "is a TorchScript program, which would have to be executed, not a checkpoint"


@dataclass
class _Storage:
    """A run of numbers the pickle refers to; the bytes come from elsewhere in the file."""

    dtype: torch.dtype
    key: str
    elements: int
    numbers: Tensor | None = None
    """All of them, flat."""


@dataclass(frozen=True)
class _TensorRecord:
    """A tensor as the pickle describes it."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Of the numbers, which others may share."""
        return math.prod(self.size) * self.storage.dtype.itemsize

    def tensor(self) -> Tensor:
        """The tensor, a view of its storage."""
        flat = self.storage.numbers
        if flat is None or math.prod(self.size) > len(flat):
            raise Refused("describes a tensor larger than its data")
        return flat.as_strided(self.size, self.stride, self.offset)


def _rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> _TensorRecord:
    numbers = (offset, *size, *stride)
    if not isinstance(storage, _Storage) or not all(type(n) is int and n >= 0 for n in numbers):
        raise Refused("describes a tensor that cannot be")
    return _TensorRecord(storage, offset, tuple(size), tuple(stride))


def _rebuild_parameter(data: Any, *_: Any) -> Any:
    return data


_ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    **ALLOWED,
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _rebuild_parameter,
}


class _Unpickler(pickle._Unpickler):
    """Knows tensors and containers. In Python, because the C one allocates what a hostile file asks for."""

    def __init__(self, file: io.BytesIO, storages: dict[str, _Storage]) -> None:
        super().__init__(file, encoding="utf-8")
        self._storages = storages

    def find_class(self, module: str, name: str) -> Any:
        if module in ("torch", "torch.storage") and name in _DTYPES:
            return _DTYPES[name]
        return _ALLOWED.get((module, name), Inert)

    def persistent_load(self, pid: Any) -> Any:
        if pid[0] == "module":  # the legacy format's class with its source code
            return Inert
        kind, dtype, key, _, elements, *view = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype) or type(elements) is not int or any(view):
            raise Refused("refers to data in an unknown way")
        return self._storages.setdefault(str(key), _Storage(dtype, str(key), elements))

    def _keep_state(self) -> None:
        state = self.stack.pop()  # type: ignore[attr-defined] # an object's attributes
        if hasattr(type(self.stack[-1]), "set_state"):  # type: ignore[attr-defined]
            self.stack[-1].set_state(state)  # type: ignore[attr-defined]

    def _refuse(self) -> NoReturn:
        raise Refused("holds what no checkpoint needs")

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        **pickle._Unpickler.dispatch,
        pickle.BUILD[0]: _keep_state,
        **dict.fromkeys((code[0] for code in (pickle.BYTEARRAY8, pickle.EXT1, pickle.EXT2, pickle.EXT4)), _refuse),
    }


def read_pytorch(path: str | Path, wanted: str | None = None) -> Weights:
    """All tensors of the file's state dict by name, unwrapped from the dictionaries projects put around it.

    Of several wrappers the first of `WRAPPERS` is taken, or `wanted`. Raises `SparsrError` if the file is not a whole
    PyTorch checkpoint, is hostile, or holds no state dict there.
    """
    path = Path(path)
    raw = path.read_bytes()
    file = io.BytesIO(raw)
    try:
        content = _read_zip(file, len(raw)) if raw.startswith(b"PK") else _read_legacy(file)
        records, taken, left = _find_state_dict(content, wanted)
        if sum(record.nbytes for record in records.values()) > _MOST_SHARING * len(raw):
            raise Refused("describes more weights than it holds")
        return Weights({name: record.tensor() for name, record in records.items()}, taken, left)
    except Refused as error:
        raise SparsrError(f"{path} {error}", "give a PyTorch checkpoint that holds a state dict") from error
    except Exception as error:  # a damaged pickle can fail in any way
        raise SparsrError(
            f"{path} is not a whole PyTorch checkpoint ({type(error).__name__})", "copy or download it again"
        ) from error


def _read_zip(file: io.BytesIO, size: int) -> Any:
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise Refused(_kind_of_zip([member.filename for member in members]))
        if sum(member.file_size for member in members) > size:
            raise Refused("declares more data than it holds")
        program = next((member.filename for member in members if member.filename.endswith("/data.pkl")), None)
        if program is None:
            raise Refused("is a zip file without a PyTorch checkpoint in it")
        if any(member.filename.endswith("/constants.pkl") for member in members):
            raise Refused(_TORCHSCRIPT)
        storages: dict[str, _Storage] = {}
        content = _Unpickler(io.BytesIO(archive.read(program)), storages).load()
        folder = program.removesuffix("data.pkl") + "data/"
        for storage in storages.values():
            _fill(storage, archive.read(folder + storage.key))
    return content


def _kind_of_zip(names: list[str]) -> str:
    """What a zip file is that PyTorch's own `save` did not write."""
    if any(name.endswith("/constants.pkl") for name in names):
        return _TORCHSCRIPT
    return "is a compressed zip, not one that PyTorch wrote"


def _read_legacy(file: io.BytesIO) -> Any:
    """The format before PyTorch 1.6: pickles one after the other, then the storages."""
    storages: dict[str, _Storage] = {}

    def next_pickle() -> Any:
        return _Unpickler(file, storages).load()

    first = next_pickle()
    if isinstance(first, Mapping):  # a plain pickle, of arrays
        return first
    if first != _LEGACY_MAGIC:
        raise Refused("is not a PyTorch checkpoint")
    next_pickle(), next_pickle()  # protocol version and machine
    content = next_pickle()
    for key in next_pickle():
        storage = storages[str(key)]
        (elements,) = struct.unpack("<q", file.read(8))
        if elements != storage.elements:
            raise Refused("contradicts itself about its sizes")
        _fill(storage, file.read(max(0, elements) * storage.dtype.itemsize))
    return content


def _fill(storage: _Storage, data: bytes) -> None:
    if len(data) != storage.elements * storage.dtype.itemsize:
        raise Refused("is cut short or declares more data than it holds")
    storage.numbers = torch.frombuffer(bytearray(data), dtype=storage.dtype) if data else torch.empty(0)


_Record = _TensorRecord | NumpyArray


def _find_state_dict(content: Any, wanted: str | None) -> tuple[Mapping[str, _Record], str, tuple[str, ...]]:
    """The tensors, the wrapper they lay under and the other ones, if there are any."""
    if is_module(content):
        content = module_weights(content)
    if not isinstance(content, Mapping):
        raise Refused("holds no state dict")
    places = [key for key in WRAPPERS if isinstance(content.get(key), Mapping) or is_module(content.get(key))]
    if wanted and len(places) > 1:
        if wanted not in places:
            raise Refused(f"has no weights {wanted}, only {' and '.join(places)}")
        places = [wanted, *(key for key in places if key != wanted)]
    if places:
        records, taken, left = _find_state_dict(content[places[0]], wanted)
        return records, taken or places[0], left or tuple(places[1:])
    records = {name: value for name, value in content.items() if isinstance(value, _Record)}
    if not records or not all(isinstance(name, str) for name in records):
        raise Refused("holds no state dict")
    return records, "", ()
