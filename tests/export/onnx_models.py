"""Small ONNX models, as tests write them."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

RNG = np.random.default_rng(0)


def model(*nodes, weights=None, channels=3, opset=17, outputs=("y",), size=(None, None), last=False):
    """A model of nodes (operator, inputs, output, attributes); the image is `x`, the result `y`."""
    made = [helper.make_node(kind, inputs, [result], result, **options) for kind, inputs, result, options in nodes]
    image = helper.make_tensor_value_info(
        "x", TensorProto.FLOAT, [1, *size, channels] if last else [1, channels, *size]
    )
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", "c", "h", "w"]) for name in outputs]
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in (weights or {}).items()]
    body = helper.make_graph(made, "made", [image], ends, tensors)
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def normal(*shape):
    return RNG.normal(0, 0.3, shape).astype(np.float32)


def integers(*values):
    return np.array(values, np.int64)
