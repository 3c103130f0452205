"""TFLite files, one operator at a time: a thin layer over the flatbuffer schema that ai_edge_litert ships.

No tensorflow, no converter: what is appended here is exactly what the file holds.
Schema: https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from sparsr.export.forms.content import content

ALIGNMENT = 64  # a cache line, so that kernels can use weights where they lie in the file

_TYPES = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.int32): schema.TensorType.INT32,
    np.dtype(np.uint8): schema.TensorType.UINT8,
    np.dtype(np.bool_): schema.TensorType.BOOL,
}

# Options table of every operator that has one. Each operator with its version is known to TFLite 2.14.
_OPTIONS = {
    "ABS": "AbsOptions",
    "ADD": "AddOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "CAST": "CastOptions",
    "CONCATENATION": "ConcatenationOptions",
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "DEPTH_TO_SPACE": "DepthToSpaceOptions",
    "DIV": "DivOptions",
    "EXP": "ExpOptions",
    "FLOOR_MOD": "FloorModOptions",
    "GATHER": "GatherOptions",
    "GELU": "GeluOptions",
    "GREATER": "GreaterOptions",
    "LEAKY_RELU": "LeakyReluOptions",
    "MAXIMUM": "MaximumMinimumOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "MEAN": "ReducerOptions",
    "MINIMUM": "MaximumMinimumOptions",
    "MIRROR_PAD": "MirrorPadOptions",
    "MUL": "MulOptions",
    "NEG": "NegOptions",
    "PAD": "PadOptions",
    "RANGE": "RangeOptions",
    "REDUCE_MAX": "ReducerOptions",
    "RESIZE_BILINEAR": "ResizeBilinearOptions",
    "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighborOptions",
    "SHAPE": "ShapeOptions",
    "SOFTMAX": "SoftmaxOptions",
    "SPLIT": "SplitOptions",
    "SQUARED_DIFFERENCE": "SquaredDifferenceOptions",
    "STRIDED_SLICE": "StridedSliceOptions",
    "SUB": "SubOptions",
}
_VERSIONS = {"RESIZE_BILINEAR": 3}  # half-pixel centres


class _AlignedBuffer(schema.BufferT):
    """A buffer whose bytes start at a multiple of `ALIGNMENT`; the generated class packs at any byte."""

    def Pack(self, builder: flatbuffers.Builder) -> int:
        """Write the buffer table and return its offset."""
        data = self.data.tobytes()
        builder.StartVector(1, len(data), ALIGNMENT)
        builder.head -= len(data)
        builder.Bytes[builder.head : builder.head + len(data)] = data
        vector = builder.EndVector()
        schema.BufferStart(builder)
        schema.BufferAddData(builder, vector)
        return int(schema.BufferEnd(builder))


class TFLiteBuilder:
    """Collects tensors and operators of one subgraph; `finish` gives the file."""

    def __init__(self) -> None:
        self._buffers = [schema.BufferT()]  # buffer 0 is the empty one by convention
        self._filled: dict[bytes, int] = {}
        self._tensors: list[Any] = []
        self._operators: list[Any] = []
        self._codes: dict[str, int] = {}

    def tensor(
        self, name: str, shape: Sequence[int], signature: Sequence[int], dtype: type = np.float32, buffer: int = 0
    ) -> int:
        """Append a tensor. `shape` is valid at once; `signature` holds -1 for every dimension that may change."""
        tensor = schema.TensorT()
        tensor.name = name
        tensor.type = _TYPES[np.dtype(dtype)]
        tensor.shape = list(shape)
        tensor.shapeSignature = list(signature) if -1 in signature else None
        tensor.buffer = buffer
        tensor.hasRank = True
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def constant(self, name: str, values: Any, dtype: type = np.float32) -> int:
        """Append a constant tensor; equal ones share their bytes in the file."""
        array: NDArray[Any] = np.asarray(values, dtype, order="C")
        buffer = self._filled.setdefault(content(array), len(self._buffers))
        if buffer == len(self._buffers):
            self._buffers.append(_AlignedBuffer())
            self._buffers[buffer].data = array
        return self.tensor(name, array.shape, array.shape, dtype, buffer)

    def operator(self, name: str, inputs: Sequence[int], output: int, **options: Any) -> int:
        """Append an operator (`options` are the fields of its options table) and return `output`.

        A name that no builtin operator has is that of a custom operator.
        """
        self.several(name, inputs, [output], **options)
        return output

    def several(self, name: str, inputs: Sequence[int], outputs: Sequence[int], **options: Any) -> None:
        """As `operator`, for one that writes several tensors."""
        operator = schema.OperatorT()
        operator.opcodeIndex = self._codes.setdefault(name, len(self._codes))
        operator.inputs, operator.outputs = list(inputs), list(outputs)
        if name in _OPTIONS:
            table = getattr(schema, f"{_OPTIONS[name]}T")()
            for field, value in options.items():
                setattr(table, field, value)
            operator.builtinOptions = table
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, _OPTIONS[name])
        self._operators.append(operator)

    def finish(
        self, inputs: Mapping[str, int], outputs: Mapping[str, int], description: str, metadata: Mapping[str, str]
    ) -> bytes:
        """The file's bytes, with a `serving_default` signature that names inputs and outputs."""
        subgraph = schema.SubGraphT()
        subgraph.name = "main"
        subgraph.tensors, subgraph.operators = self._tensors, self._operators
        subgraph.inputs, subgraph.outputs = list(inputs.values()), list(outputs.values())
        model = schema.ModelT()
        model.version = 3
        model.description = description
        model.subgraphs = [subgraph]
        model.operatorCodes = [_operator_code(name) for name in self._codes]
        model.signatureDefs = [_signature(inputs, outputs)]
        model.metadata = [self._metadata(name, text) for name, text in sorted(metadata.items())]
        model.buffers = self._buffers
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())

    def _metadata(self, name: str, text: str) -> Any:
        buffer = _AlignedBuffer()
        buffer.data = np.frombuffer(text.encode(), np.uint8)
        self._buffers.append(buffer)
        entry = schema.MetadataT()
        entry.name, entry.buffer = name, len(self._buffers) - 1
        return entry


def _operator_code(name: str) -> Any:
    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, name, schema.BuiltinOperator.CUSTOM)
    if code.builtinCode == schema.BuiltinOperator.CUSTOM:
        code.customCode = name
    code.deprecatedBuiltinCode = min(code.builtinCode, schema.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES)
    code.version = _VERSIONS.get(name, 1)
    return code


def _signature(inputs: Mapping[str, int], outputs: Mapping[str, int]) -> Any:
    def table(ends: Mapping[str, int]) -> list[Any]:
        entries = []
        for name, index in ends.items():
            entry = schema.TensorMapT()
            entry.name, entry.tensorIndex = name, index
            entries.append(entry)
        return entries

    signature = schema.SignatureDefT()
    signature.signatureKey = "serving_default"
    signature.subgraphIndex = 0
    signature.inputs, signature.outputs = table(inputs), table(outputs)
    return signature
