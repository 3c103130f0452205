"""Weights that several layers share (the parts of a picture in DMPHN) are stored once in every file format."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from onnx import numpy_helper

from sparsr.export.ir import layers as L
from sparsr.export.writers.native import write_native
from sparsr.export.writers.onnx import write_onnx
from sparsr.export.writers.tflite import write_tflite
from tests.export import graphs

WEIGHTS = 32 * 32 * 9


def weights(kept):
    """A convolution's, [32, 32, 3, 3], with `kept` of every 32 inputs."""
    random = np.random.default_rng(3)
    order = random.random((32, 32, 3, 3)).argsort(1)
    return np.where(order < kept, random.standard_normal((32, 32, 3, 3)), 0).astype(np.float32)


def network(*layers):
    """Convolutions one after the other between two of three channels."""
    random = np.random.default_rng(4)
    first, last = (random.standard_normal(shape).astype(np.float32) for shape in ((32, 3, 3, 3), (3, 32, 3, 3)))
    convolutions = [
        L.Conv(weight, np.full(len(weight), 0.5, np.float32), padding=(1, 1, 1, 1), activation=graphs.RELU)
        for weight in (first, *layers, last)
    ]
    return graphs.chain("shared", *convolutions)


def native_floats(graph):
    content = write_native(graph, {})
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return [np.prod(entry["shape"]) for name, entry in header.items() if name[0] != "_" and entry["dtype"] == "F32"]


def onnx_floats(graph):
    model = onnx.load_from_string(write_onnx(graph))
    constants = [node.attribute[0].t for part in model.functions for node in part.node if node.op_type == "Constant"]
    arrays = [numpy_helper.to_array(tensor) for tensor in (*model.graph.initializer, *constants)]
    return [array.size for array in arrays if array.dtype == np.float32]


def tflite_floats(graph):
    model = schema.ModelT.InitFromPackedBuf(write_tflite(graph), 0)
    return [len(buffer.data) // 4 for buffer in model.buffers if buffer.data is not None]


FORMATS = pytest.mark.parametrize("floats", [native_floats, onnx_floats, tflite_floats])


@FORMATS
def test_equal_weights_are_stored_once(floats):
    one, other = weights(32), -weights(32)
    assert floats(network(one, one, other, one)).count(WEIGHTS) == 2


@pytest.mark.parametrize("floats", [native_floats, onnx_floats])
def test_equal_sparse_weights_are_stored_once(floats):
    one, other = weights(4), -weights(4)
    found = floats(network(one, one, other, one))
    assert (found.count(WEIGHTS // 8), found.count(WEIGHTS)) == (2, 0)
