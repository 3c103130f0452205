"""Runs a graph by the layers' references: slow, obvious numpy, and thereby the definition of what a graph computes.

Sums are accumulated in float64 and every layer's result is rounded to float32: at least as exact as anything compared
with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsr.export.ir.graph import DeployGraph
from sparsr.export.ir.layer import Layer, Values
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.samples import FloatArray


def run(graph: DeployGraph, image: FloatArray) -> FloatArray:
    """The result of `graph` for `image`; both [batch, channels, height, width] float32 in 0..value_range.

    Raises `SparsrError` if the image has other channels or is smaller than `graph.minimum_size`.
    """
    return _run(graph, image.astype(np.float32), apply)


def exact(graph: DeployGraph, image: FloatArray) -> Values:
    """The same in float64 throughout: nothing but the weights is rounded to float32."""
    return _run(graph, image.astype(np.float64), lambda layer, *inputs: layer.reference(*inputs))


def apply(layer: Layer, *inputs: FloatArray) -> FloatArray:
    """The result of one layer; all arrays NCHW float32."""
    return layer.reference(*(tensor.astype(np.float64) for tensor in inputs)).astype(np.float32)


def _run(graph: DeployGraph, image: NDArray[Any], applied: Callable[..., NDArray[Any]]) -> NDArray[Any]:
    if image.ndim != 4 or image.shape[1] != graph.input_channels or min(image.shape[2:]) < graph.minimum_size:
        raise SparsrError(
            f"{graph.name} cannot run on an array of shape {image.shape}",
            f"it takes [batch, {graph.input_channels}, h, w], h and w at least {graph.minimum_size}",
        )
    tensors = {graph.input: image}
    last_use = {name: node for node in graph.nodes for name in node.inputs}
    for node in graph.nodes:
        tensors[node.name] = applied(node.layer, *(tensors[name] for name in node.inputs))
        for name in set(node.inputs):
            if last_use[name] is node and name != graph.output:
                del tensors[name]
    return tensors[graph.output]
