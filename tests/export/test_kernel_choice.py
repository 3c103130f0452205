"""Kernels by error: measured against float64, written into the program, honoured by the engine."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from sparsr.export.ir import reference
from sparsr.export.parity import kernel_choice
from sparsr.export.parity.certificate import WIDE
from sparsr.export.writers.native import write_native
from sparsr.runtime.engines.native.load import NativeModel
from tests.export import graphs
from tests.runtime.native.native_models import kernels_of, native_run

LAYERS = ("n0", "n1", "n2", "n3")


@pytest.fixture(scope="module")
def network():
    """Convolutions of which n1 to n3 have a Winograd kernel, n2 with weights that make its rounding count."""
    rng = np.random.default_rng(0)
    sides = ((3, 32), (32, 32), (32, 32), (32, 16))
    layers = [graphs.conv(rng, *pair, activation=graphs.RELU) for pair in sides]
    return graphs.chain("choice", *layers)


@pytest.fixture(scope="module")
def wide(network):
    image = graphs.random_image(network, *WIDE)
    return image, reference.exact(network, image)


def planned(graph, **plan):
    model = NativeModel(write_native(graph, {}))
    model.set_plan(json.dumps(plan) if plan else "estimate")
    model.prepare(*WIDE)
    return model


def test_nothing_is_left_to_exact_kernels_where_the_quick_ones_do(network, wide):
    choice = kernel_choice.choose(network, *wide)
    assert choice.kernels == {} and 0 < choice.error < kernel_choice.BUDGET
    assert "winograd" in kernels_of(planned(network)).values()


def test_a_budget_nothing_meets_leaves_every_layer_to_exact_kernels(network, wide):
    choice = kernel_choice.choose(network, *wide, budget=1e-12)
    assert set(choice.kernels) == {"n1", "n2", "n3"}
    graph = replace(network, kernels=choice.kernels)
    model = planned(graph)
    assert set(kernels_of(model).values()) == {"dense"}
    image, exact = wide
    assert np.abs(native_run(model, image) - exact).max() == pytest.approx(choice.error, rel=1e-6)


def test_as_few_layers_as_the_budget_needs(network, wide):
    loose, tight = (kernel_choice.choose(network, *wide, budget=budget).error for budget in (1, 1e-12))
    assert tight < loose
    between = (loose + tight) / 2
    choice = kernel_choice.choose(network, *wide, budget=between)
    assert 1 <= len(choice.kernels) <= 3
    assert choice.error <= between
    assert all(kernels == kernel_choice.EXACT for kernels in choice.kernels.values())


def test_the_engine_honours_what_the_program_says_unless_told_otherwise(network):
    graph = replace(network, kernels={"n1": ("dense",), "n2": ("winograd",)})
    assert kernels_of(planned(graph)) | {"n3": ""} == {"n0": "dense", "n1": "dense", "n2": "winograd", "n3": ""}
    pinned = planned(graph, operations=[{"layer": "n1", "kernel": "winograd"}])
    assert kernels_of(pinned)["n1"] == "winograd"


def test_kernels_that_do_not_run_here_leave_all_that_do(network):
    graph = replace(network, kernels={"n0": ("sparse",), "n1": ("a kernel to come",)})
    image = graphs.random_image(network, *WIDE)
    model = planned(graph)
    np.testing.assert_allclose(native_run(model, image), reference.run(network, image), atol=1e-5)
    assert kernels_of(model)["n0"] == "dense"
