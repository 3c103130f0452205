"""Convolutions whose outputs share the places of their weights, against their obvious form, over odd shapes."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sparsr.export.forms.native import pack
from sparsr.runtime.errors import SparsrError
from tests.runtime.native.native_models import kernels_of, share_places
from tests.runtime.native.operator_programs import SETS, check, conv_layer, convolved, image_of, layer, model_of


@pytest.mark.parametrize("outputs", [4, 11])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("shared", [2, 4])
@pytest.mark.parametrize("instruction_set", SETS[1:])
def test_patterns_shared_by_outputs(instruction_set, shared, stride, outputs):
    rng = np.random.default_rng(6)
    weight = share_places(rng, outputs, 10, 3, shared, 8)
    options, tensors = conv_layer(rng, weight, activation={"function": "relu"})
    options["stride"] = stride
    model = model_of([layer("Conv", **options)], tensors, 10, instruction_set)
    model.set_plan(json.dumps({"operations": [{"layer": "n0", "kernel": "shared"}]}))
    for size in ((1, 1), (6, 4), (9, 34), (6, 223)):
        image = image_of(rng, 10, *size)
        check(model, image, np.maximum(convolved(image, weight, tensors["b"], stride), 0))
        if stride == 1:
            assert kernels_of(model)["n0"] == "shared"


@pytest.mark.parametrize("instruction_set", SETS[1:])
def test_chains_take_longer_steps_and_give_the_same(instruction_set):
    rng = np.random.default_rng(8)
    layers, tensors, weights = [], {}, []
    for index in range(3):
        weights.append(share_places(rng, 12, 12, 3, 4, 8))
        options, named = conv_layer(rng, weights[-1])
        options |= {"weight": f"w{index}", "bias": f"b{index}"}
        layers.append(layer("Conv", inputs=(index,), name=f"n{index}", **options))
        tensors |= {f"{name}{index}": value for name, value in named.items()}
    layers.append(layer("Add", inputs=(3, 1), name="n3"))  # which needs the first one's rows for long
    model = model_of(layers, tensors, 12, instruction_set)
    model.set_plan(json.dumps({"operations": [{"layer": f"n{index}", "kernel": "shared"} for index in range(3)]}))
    for threads in (1, 2):
        twin = model.share(threads)
        for height in (3, 21, 22, 23, 24, 40):
            image = image_of(rng, 12, height, 19)
            maps = [image]
            for index in range(3):
                maps.append(convolved(maps[-1], weights[index], tensors[f"b{index}"], 1))
            check(twin, image, maps[3] + maps[1])
            assert kernels_of(twin)["n1"] == "shared"


def packed_layer(rng, outputs, v):
    """A convolution of 10 channels in the packed form, its tensors, and its weight."""
    weight = share_places(rng, outputs, 10, 3, v, 8)
    weight[0, :, 1, 1] = 0  # what others read there this one does not
    packed = pack(weight, 8, v)
    options, tensors = conv_layer(rng, weight, m=8, v=v, values="v", indices="i")
    del options["weight"], tensors["w"]
    return options, tensors | {"v": packed.values, "i": packed.indices}, weight


@pytest.mark.parametrize("outputs", [4, 11])
@pytest.mark.parametrize("v", [1, 2, 4])
@pytest.mark.parametrize("instruction_set", SETS)
def test_places_stored_once_for_several_outputs(instruction_set, v, outputs):
    rng = np.random.default_rng(7)
    options, tensors, weight = packed_layer(rng, outputs, v)
    model = model_of([layer("Conv", **options)], tensors, 10, instruction_set)
    for kernel in ("sparse", "shared") if v > 1 and instruction_set != "plain" else ("sparse",):
        model.set_plan(json.dumps({"operations": [{"layer": "n0", "kernel": kernel}]}))
        image = image_of(rng, 10, 6, 35)
        check(model, image, convolved(image, weight, tensors["b"], 1))
        assert kernels_of(model)["n0"] == (kernel if instruction_set != "plain" else "plain")


@pytest.mark.parametrize("v", [0, 1, 3, 4, 5, -2, 2.5, "2", None, 1 << 40])
def test_places_for_other_outputs_are_refused(v):
    options, tensors, _ = packed_layer(np.random.default_rng(7), 12, 2)
    model_of([layer("Conv", **options)], tensors, 10, "plain")
    with pytest.raises(SparsrError):
        model_of([layer("Conv", **options | {"v": v})], tensors, 10, "plain")
    del options["v"]
    with pytest.raises(SparsrError, match="n0 has places for other weights"):
        model_of([layer("Conv", **options)], tensors, 10, "plain")
