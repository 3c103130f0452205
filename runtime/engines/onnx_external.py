"""Refuses ONNX files that would read other files.

A tensor's values may stand in an "external" file named inside the model, so loading a model can read any file. Only
the few message types on the way to a tensor are walked (field numbers of onnx.proto3), without the onnx package.
"""

from __future__ import annotations

from collections.abc import Iterator

from sparsr.runtime.errors import SparsrError

_MESSAGES: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse_tensor"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        22: "sparse_tensor",
        23: "sparse_tensor",
    },
    "sparse_tensor": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_EXTERNAL = {13, 14}  # TensorProto.external_data and data_location; the writers leave both out
_MAX_DEPTH = 32


def refuse_external_data(model: bytes) -> None:
    """Raise `SparsrError` if a tensor of the ONNX file keeps its values in another file, or the file is damaged."""
    try:
        external = _reads_files(memoryview(model), "model", 0)
    except (IndexError, ValueError) as error:
        raise SparsrError(f"the model is not an ONNX file ({error})", "export the bundle again") from error
    if external:
        raise SparsrError("the ONNX model reads other files, which bundles never do", "do not trust this bundle")


def domains(model: bytes) -> set[str]:
    """The operator sets an ONNX file that is not damaged uses: opset_import of its ModelProto."""
    imports = [content for field, content in _fields(memoryview(model)) if field == 8 and content is not None]
    return {
        bytes(name).decode(errors="replace")
        for content in imports
        for field, name in _fields(content)
        if field == 1 and name is not None
    }


def _reads_files(data: memoryview, message: str, depth: int) -> bool:
    if depth > _MAX_DEPTH:
        raise ValueError("it is nested too deeply")
    for field, content in _fields(data):
        if message == "tensor" and field in _EXTERNAL:
            return True
        kind = _MESSAGES[message].get(field)
        if kind and content is not None and _reads_files(content, kind, depth + 1):
            return True
    return False


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview | None]]:
    """Number and, for a field of bytes, content of every field of a message."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        content = None
        match tag & 7:
            case 0:
                _, at = _varint(data, at)
            case 1:
                at += 8
            case 2:
                size, at = _varint(data, at)
                content = data[at : at + size]
                at += size
            case 5:
                at += 4
            case wire:
                raise ValueError(f"unknown wire type {wire}")
        if at > len(data):
            raise ValueError("it is cut short")
        yield tag >> 3, content


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("a number is too long")
