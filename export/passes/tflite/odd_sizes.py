"""Checks what TFLite's form of PadToEven relies on; changes nothing.

It adds a row or column of zeros where the size is even already. That is right only before a convolution of one pixel
around, whose padding those zeros are, then pooling by 2, which leaves the odd row out again.
"""

from __future__ import annotations

from sparsr.export.ir.graph import DeployGraph, Node
from sparsr.export.ir.layers import Conv, MaxPool, PadToEven
from sparsr.runtime.errors import SparsrError


def check_odd_sizes(graph: DeployGraph, node: Node) -> DeployGraph | str | None:
    """Raise `SparsrError` for a PadToEven that TFLite cannot express."""
    if not isinstance(node.layer, PadToEven):
        return None
    for reader in graph.consumers(node.name):
        pools = [pool.layer for pool in graph.consumers(reader.name)]
        conv = reader.layer
        fits = isinstance(conv, Conv) and conv.padding == (1, 1, 1, 1) and conv.weight.shape[2:] == (3, 3)
        if not fits or not all(isinstance(pool, MaxPool) and (pool.kernel, pool.stride) == (2, 2) for pool in pools):
            raise SparsrError(
                f"node {node.name}: TFLite takes PadToEven only before a 3x3 Conv and a pooling by 2",
                "leave out the TFLite file: --format onnx,native",
            )
    return None
