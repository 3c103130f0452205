"""The weights in a frozen TensorFlow graph (.pb, as OpenCV's dnn_superres takes them), read without TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sparsr.runtime.errors import SparsrError
from sparsr.train.importers.pytorch_file import Weights

_FLOAT = 1  # DataType
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5  # protobuf's wire types
Value = int | memoryview


def is_tensorflow_graph(path: Path) -> bool:
    """By its name: the format has no signature of its own."""
    return path.suffix.lower() == ".pb"


def read_tensorflow_graph(path: Path) -> Weights:
    """The float constants of a GraphDef: filters as `NAME.weight` in torch's order, vectors as they are.

    Raises `SparsrError` if the file is damaged; nothing is allocated that it does not hold.
    """
    try:
        nodes = [node for number, node in _fields(memoryview(path.read_bytes())) if number == 1]
        found = dict(entry for node in nodes if (entry := _constant(_message(node))))
    except (ValueError, KeyError, IndexError, TypeError, UnicodeDecodeError) as error:
        raise SparsrError(f"{path} is not a whole TensorFlow graph ({error})", "give a frozen graph (.pb)") from error
    if not found:
        raise SparsrError(f"{path} holds no weights", "freeze the graph: variables as constants")
    return Weights(found)


def _constant(node: dict[int, list[Value]]) -> tuple[str, Tensor] | None:
    """Name and values of a node, if it is a float constant of one or four dimensions."""
    if bytes(_message_of(node[2][0])) != b"Const":
        return None
    attributes = (_message(entry) for entry in node[5])
    value = next(entry[2][0] for entry in attributes if bytes(_message_of(entry[1][0])) == b"value")
    tensor = _message(_message(value)[8][0])
    if tensor.get(1) != [_FLOAT]:
        return None
    sizes = [_message(size).get(1, [0])[0] for size in _message(tensor[2][0]).get(2, [])] if 2 in tensor else []
    content = b"".join(bytes(_message_of(part)) for part in tensor.get(4, []) + tensor.get(5, []))
    values = np.frombuffer(content, "<f4")
    name = bytes(_message_of(node[1][0])).decode()
    if len(sizes) == 1 and len(values) == sizes[0]:
        return name, torch.from_numpy(values.copy())
    if len(sizes) == 4 and len(values) == math.prod(int(size) for size in sizes):
        filters = values.reshape([int(size) for size in sizes]).transpose(3, 2, 0, 1)
        return f"{name}.weight", torch.from_numpy(filters.copy())
    return None


def _message(value: Value) -> dict[int, list[Value]]:
    """The fields of a message by number."""
    fields: dict[int, list[Value]] = {}
    for number, field in _fields(_message_of(value)):
        fields.setdefault(number, []).append(field)
    return fields


def _message_of(value: Value) -> memoryview:
    if not isinstance(value, memoryview):
        raise ValueError("a number where a message was expected")
    return value


def _fields(view: memoryview) -> Iterator[tuple[int, Value]]:
    """(number, value) of every field: protobuf's wire format."""
    place = 0
    while place < len(view):
        key, place = _varint(view, place)
        kind = key & 7
        if kind == _VARINT:
            value, place = _varint(view, place)
            yield key >> 3, value
            continue
        if kind not in (_EIGHT, _BYTES, _FOUR):
            raise ValueError("a field of unknown kind")
        size = 8 if kind == _EIGHT else 4
        if kind == _BYTES:
            size, place = _varint(view, place)
        if size > len(view) - place:
            raise ValueError("cut short")
        yield key >> 3, view[place : place + size]
        place += size


def _varint(view: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = view[place]
        value |= (byte & 127) << shift
        place += 1
        if byte < 128:
            return value, place
    raise ValueError("a number too long")
