from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import load

from sparsr.export.forms.native import compressed, pack
from sparsr.export.ir import layers as L
from sparsr.export.writers.native import PROGRAM, operators, write_native
from sparsr.runtime.errors import SparsrError
from tests.export import graphs
from tests.runtime.native.native_models import keep_largest, share_places


@pytest.mark.parametrize("v", [1, 2, 4])
@pytest.mark.parametrize("m", [4, 8, 32])
@pytest.mark.parametrize("inputs", [3, 8, 37])
def test_packed_weights_are_the_weights(v, m, inputs):
    rng = np.random.default_rng(inputs)
    weight = keep_largest(rng.normal(size=(5, inputs, 3, 2)).astype(np.float32), 2, m)
    values, indices, *form = pack(weight, m, v)
    assert form == [m, v]
    assert values.shape[1:] == indices.shape[1:]
    assert len(indices) == -(-5 // v)
    assert values.shape[-1] == min(2, inputs) if v == 1 else values.shape[-1] <= min(2 * v, m, inputs)
    restored = np.zeros_like(weight)
    for o, y, x, group, n in np.ndindex(values.shape):
        if values[o, y, x, group, n]:
            restored[o, group * m + indices[o // v, y, x, group, n], y, x] = values[o, y, x, group, n]
    assert np.array_equal(restored, weight)


@pytest.mark.parametrize("outputs", [8, 10])
@pytest.mark.parametrize("v", [1, 2, 4])
def test_places_that_outputs_share_are_stored_once(v, outputs):
    weight = share_places(np.random.default_rng(v), outputs, 64, 4, v)
    packed = compressed(weight)
    assert packed is not None
    assert packed.v == v
    assert packed.values.shape == (outputs, 3, 3, 2, 4)
    assert packed.indices.shape == (-(-outputs // v), 3, 3, 2, 4)


def test_the_file_is_a_safetensors_file_and_sparse_weights_are_small():
    rng = np.random.default_rng(0)
    dense = graphs.conv(rng, 64, 64)
    sparse = L.Conv(keep_largest(dense.weight, 4, 32), dense.bias, padding=dense.padding)
    first = graphs.conv(rng, 3, 64)
    files = [write_native(graphs.chain("net", first, conv), {"about": "x"}) for conv in (dense, sparse)]
    tensors = [load(file) for file in files]
    assert np.array_equal(tensors[0]["n1.weight"], dense.weight)
    assert tensors[1]["n1.values"].nbytes + tensors[1]["n1.indices"].nbytes < 0.16 * dense.weight.nbytes
    header = json.loads(files[0][8 : 8 + int.from_bytes(files[0][:8], "little")])
    assert header["__metadata__"]["about"] == "x"
    assert json.loads(header["__metadata__"][PROGRAM])["layers"][0]["kind"] == "Conv"
    assert operators(files[0]) == ("Conv",)
    assert files[0] == write_native(graphs.chain("net", first, dense), {"about": "x"})


def test_weights_that_are_not_numbers_are_refused():
    conv = graphs.conv(np.random.default_rng(0), 3, 3)
    conv.weight[0, 0, 0, 0] = np.nan
    with pytest.raises(SparsrError, match="n0"):
        write_native(graphs.chain("net", conv), {})
