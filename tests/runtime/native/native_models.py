"""What the tests of the native engine share."""

from __future__ import annotations

import os

import numpy as np

from sparsr.export.writers.native import write_native
from sparsr.runtime.engines.native.load import NativeModel
from sparsr.runtime.errors import SparsrError


def instruction_sets():
    """Those this processor runs; SPARSR_ISA limits them to one."""
    if chosen := os.environ.get("SPARSR_ISA"):
        return [chosen]
    return [name for name in ("plain", "base", "avx2", "avx512", "neon") if _runs(name)]


def _runs(name):
    from tests.export import graphs

    try:
        NativeModel(write_native(graphs.chain("probe", graphs.RELU), {}), name)
    except SparsrError:
        return False
    return True


def native_run(model, image):
    """[1, c, h, w] float32 -> the same of the result."""
    pixels = image[0].transpose(1, 2, 0)
    result = np.full(model.output_shape(*pixels.shape[:2]), np.nan, np.float32)
    assert model.run(pixels, result)
    return result.transpose(2, 0, 1)[None]


def kernels_of(model):
    """The kernel of every layer, for the size last run."""
    return {operation["layer"]: operation["kernel"] for operation in model.plan()["operations"]}


def keep_largest(weight, n, m):
    """The weight with all but the n largest of every m input channels set to zero."""
    result = np.zeros_like(weight)
    for start in range(0, weight.shape[1], m):
        block = weight[:, start : start + m]
        rank = np.argsort(np.argsort(-np.abs(block), axis=1), axis=1)
        result[:, start : start + m] = np.where(rank < n, block, 0)
    return result


def share_places(rng, outputs, inputs, n, v, m=32):
    """A 3x3 weight with n of every m inputs at random places, those of v consecutive outputs the same."""
    rank = np.argsort(rng.random((-(-outputs // v), -(-inputs // m), m, 9)), axis=2).reshape(-(-outputs // v), -1, 3, 3)
    kept = (rank < n).repeat(v, 0)[:outputs, :inputs]
    return np.where(kept, rng.uniform(0.5, 1, kept.shape) * rng.choice([-1, 1], kept.shape), 0).astype(np.float32)
