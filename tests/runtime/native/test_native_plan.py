"""How the native engine chooses its kernels, and what it says about them."""

from __future__ import annotations

import json
from dataclasses import astuple, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsr.export.ir import reference
from sparsr.export.ir.layers import Add, DepthToSpace
from sparsr.export.writers.native import write_native
from sparsr.runtime.cli.plan_table import MaskedCost, convolution_costs, cost_table, masked_cost, plan_table, run_plan
from sparsr.runtime.engines.native.costs import KERNELS, layer_cost, peak
from sparsr.runtime.engines.native.load import NativeModel
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.sparsity import Sparsity
from tests.export import graphs
from tests.runtime.native.native_models import keep_largest, kernels_of, native_run


def two_convolutions():
    rng = np.random.default_rng(5)
    second = graphs.conv(rng, 32, 16, activation=graphs.RELU)
    second = replace(second, weight=keep_largest(second.weight, 2, 32))
    return graphs.chain("two", graphs.conv(rng, 3, 32), second, graphs.conv(rng, 16, 16))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of its own, of a process that measures."""
    from sparsr.runtime.engines.native.load import load_library

    load_library()  # from the usual cache
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("SPARSR_PLAN", "measure")
    return tmp_path / "sparsr" / "costs"


def plan_of(layers):
    return json.dumps({"operations": [{"layer": layer, "kernel": kernel} for layer, kernel in layers.items()]})


@given(st.dictionaries(st.sampled_from(["n0", "n1", "n2"]), st.sampled_from(KERNELS)))
@settings(max_examples=12, deadline=None)
def test_a_pinned_plan_is_followed_and_computes_the_same(pins):
    graph = two_convolutions()
    model = NativeModel(write_native(graph, {}))
    model.set_plan(plan_of(pins))
    image = graphs.random_image(graph, 11, 70)
    result, expected = native_run(model, image), reference.run(graph, image)
    assert np.abs(result - expected).max() <= 1e-5 * np.abs(expected).max()
    kernels = kernels_of(model)
    for layer, kernel in pins.items():
        can = kernel == "dense" or (kernel == "sparse" and layer == "n1") or (kernel == "winograd" and layer != "n0")
        assert kernels[layer] == kernel or not can


def test_a_printed_plan_can_be_given_back(tmp_path, monkeypatch):
    content = write_native(two_convolutions(), {})
    model = NativeModel(content)
    model.prepare(30, 70)
    model.set_plan(plan_of({"n1": "winograd", "n2": "dense"}))
    model.prepare(30, 70)
    plan = model.plan()
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    monkeypatch.setenv("SPARSR_PLAN", str(tmp_path / "plan.json"))
    again = NativeModel(content)
    again.prepare(30, 70)
    assert kernels_of(again) == kernels_of(model) != {}
    assert again.plan()["operations"] == plan["operations"]


@pytest.mark.parametrize("plan", ["{", '{"operations": 1}', plan_of({"n1": "magic"}), "/nowhere/plan.json", "fastest"])
def test_what_is_no_plan_is_refused(plan):
    model = NativeModel(write_native(two_convolutions(), {}))
    with pytest.raises(SparsrError, match="cannot follow the plan"):
        model.set_plan(plan)
    model.prepare(5, 5)


def test_costs_are_measured_once_and_kept(cache):
    content = write_native(two_convolutions(), {})
    models = [NativeModel(content) for _ in range(2)]
    for model in models:
        model.prepare(20, 70)
    (file,) = cache.iterdir()
    known = json.loads(file.read_text())
    assert len(known) == 1 + 3 + 2  # dense; dense, sparse, Winograd; dense, Winograd
    assert all(seconds > 0 for seconds in known.values())
    plans = [model.plan()["operations"] for model in models]
    assert plans[0] == plans[1]
    assert all(operation["measured"] for operation in plans[0])
    before = file.stat().st_mtime_ns
    models[1].prepare(10, 70)
    assert file.stat().st_mtime_ns == before
    for damage in ("", "[1]", '{"a": -1}', "{" * 1000):
        file.write_text(damage)
        again = NativeModel(content)
        again.prepare(20, 70)
        assert len(json.loads(file.read_text())) == 6


def test_the_cheapest_kernel_by_the_remembered_costs_is_chosen(cache):
    content = write_native(two_convolutions(), {})
    NativeModel(content).prepare(20, 70)
    (file,) = cache.iterdir()
    known = json.loads(file.read_text())
    for wanted in ("dense", "winograd"):
        file.write_text(json.dumps({name: 1e-6 if f" {wanted} " in name else 1.0 for name in known}))
        model = NativeModel(content)
        model.prepare(20, 70)
        assert kernels_of(model) == {"n0": "dense", "n1": wanted, "n2": wanted}
        assert model.plan()["operations"][1]["cost"] == pytest.approx(20e-6)


def test_without_a_place_for_the_cache_costs_are_estimated(cache, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("HOME")
    assert layer_cost(64, 64, sparsity=Sparsity(2, 32)).measured is False
    model = NativeModel(write_native(two_convolutions(), {}))
    model.prepare(20, 70)
    assert not any(operation["measured"] for operation in model.plan()["operations"])


def test_the_plan_counts_what_is_computed():
    model = NativeModel(write_native(two_convolutions(), {}))
    image, result = np.zeros((20, 70, 3), np.uint8), np.zeros((20, 70, 16), np.uint8)
    model.run(image, result)
    plan = model.plan()
    assert (plan["height"], plan["width"], plan["threads"]) == (20, 70, 1)
    assert plan["buffer_bytes"] == model.info.buffer_bytes >= max(op["ring_bytes"] for op in plan["operations"])
    second = plan["operations"][1]
    assert (second["inputs"], second["outputs"], second["kernel_size"]) == (32, 16, [3, 3])
    assert (second["weights"], second["dense_weights"]) == (16 * 9 * 2, 16 * 9 * 32)
    assert (second["macs"], second["dense_macs"]) == (20 * 70 * 16 * 9 * 2, 20 * 70 * 16 * 9 * 32)
    assert all(operation["seconds"] == 0 for operation in plan["operations"])
    model.set_profiling(True)
    model.run(image, result)
    assert all(operation["seconds"] > 0 for operation in model.plan()["operations"])


@pytest.mark.parametrize(
    ("kernel", "multiply_adds"),
    [("sparse", 16 * 9 * 2), ("dense", 16 * 9 * 32), ("winograd", 16 * 32 * 2)],
)
def test_the_plan_counts_what_kernels_compute(kernel, multiply_adds):
    model = NativeModel(write_native(two_convolutions(), {}))
    model.set_plan(plan_of({"n1": kernel}))
    model.prepare(20, 64)
    assert model.plan()["operations"][1]["kernel_macs"] == 20 * 64 * multiply_adds


def test_names_of_layers_survive_the_description():
    name = 'a"\\\n\u00e9'
    graph = graphs.chain("odd", (name, graphs.RELU, ["image"]))
    model = NativeModel(write_native(graph, {}))
    model.prepare(3, 3)
    assert list(kernels_of(model)) == [name]


def test_estimated_costs_grow_with_the_weights():
    sparse = [layer_cost(64, 64, sparsity=Sparsity(n, 32), kernel="sparse").seconds for n in (2, 4, 8)]
    assert sparse[1] == pytest.approx(2 * sparse[0])
    assert sparse[2] == pytest.approx(4 * sparse[0])
    assert layer_cost(64, 64, width=384).seconds == pytest.approx(2 * layer_cost(64, 64, width=192).seconds)
    assert layer_cost(64, 64).seconds < layer_cost(64, 64, kernel="dense").seconds
    assert layer_cost(64, 64, stride=2).seconds == layer_cost(64, 64, kernel="dense").seconds  # no Winograd there


@pytest.mark.parametrize(
    "arguments",
    [
        (0, 64),
        (64, 5000),
        (64, 64, 2),
        (64, 64, 3, Sparsity(5, 4)),
        (64, 64, 3, None, 0),
        (64, 64, 7, None, 320, "winograd"),
        (64, 64, 3, None, 320, None, None, 3),
        (64, 64, 3, Sparsity(2, 32, 3)),
        (64, 64, 3, Sparsity(2, 32), 320, "shared"),
    ],
)
def test_impossible_convolutions_have_no_cost(arguments):
    with pytest.raises(SparsrError, match="is not known"):
        layer_cost(*arguments)


def test_tables():
    plan = run_plan(write_native(two_convolutions(), {}), np.zeros((20, 70, 3), np.uint8), 2)
    lines = plan_table(plan).splitlines()
    assert [line.split()[:2] for line in lines[1:4]] == [["n0", "dense"], ["n1", "sparse"], ["n2", "winograd"]]
    assert len({len(line) for line in lines[:4]}) == 1
    assert [line.count("%") for line in lines[1:4]] == [2, 3, 2]  # of the time, the peak, and sparse loads
    costs = convolution_costs([(64, 64, 3), (8, 8, 1)], [None, Sparsity(2, 32), Sparsity(2, 32, 4)], 320)
    single = {"dense", "sparse"}
    kernels = [{"dense", "winograd"}, single | {"winograd"}, set(KERNELS), {"dense"}, single, {*single, "shared"}]
    assert [set(cost.seconds) for cost in costs] == kernels
    assert [line.split()[3] for line in cost_table(costs).splitlines()[1:4]] == ["dense", "2:32", "2:32x4"]


MASKED = graphs.drawn_graph(20, [[0, 3], [1], []], 1)


def test_the_plan_estimates_what_masks_save():
    plan = run_plan(write_native(MASKED, {}), np.zeros((20, 70, 3), np.uint8), 1)
    costs = [
        operation["cost"]
        for operation in plan["operations"]
        if operation["kind"] == "MaskedBlock" and "cost" in operation
    ]
    shares = [cost["none"] / cost["all"] for cost in costs]
    assert shares == pytest.approx([2 / 20, 2 / 400, 0, 3 / 60])  # of inputs and outputs, the pairs of dense channels
    assert [cost["all"] for cost in costs] == [cost["without_masks"] for cost in costs]
    assert plan["masked"]["all"] == pytest.approx(sum(cost["all"] for cost in costs))
    line = next(line for line in plan_table(plan).splitlines() if line.startswith("masked blocks, estimated"))
    assert line.endswith("masks always pay")
    assert masked_cost(NativeModel(write_native(two_convolutions(), {})).plan()["operations"]) is None


@pytest.mark.parametrize("instruction_set", [None, "plain"])
def test_masked_blocks_are_measured_once(cache, instruction_set):
    content = write_native(MASKED, {})
    plans = []
    for _ in range(2):
        model = NativeModel(content, instruction_set)
        model.prepare(20, 70)
        plans.append(model.plan()["operations"])
    assert plans[0] == plans[1]
    cost = masked_cost(plans[0])
    assert cost is not None and cost.measured == (instruction_set is None)
    assert min(cost.none, cost.all, cost.without_masks) > 0


def test_the_crossover():
    assert MaskedCost(none=1, all=4, without_masks=4, measured=True).crossover == 1
    assert MaskedCost(none=1, all=5, without_masks=4, measured=True).crossover == 0.75
    assert MaskedCost(none=3, all=5, without_masks=2, measured=True).crossover == 0


@pytest.mark.parametrize("instruction_set", ["base", None])
def test_the_peak_is_measured(instruction_set):
    """Each does what the one before does and more; by how much less it may be measured is noise."""
    repeated = [astuple(peak(instruction_set)) for _ in range(4)]
    arithmetic, loading, near_taps, far_taps = map(max, zip(*repeated, strict=True))
    noise = 1.5
    assert far_taps > 1e8
    assert loading < noise * arithmetic
    assert near_taps < noise * loading
    assert far_taps < noise * near_taps


@pytest.mark.parametrize("kernel", ["plain", "dense", "sparse", "winograd"])
@pytest.mark.parametrize("width", [5, 70])
def test_a_convolution_adds_and_rearranges(kernel, width):
    rng = np.random.default_rng(2)
    tail = graphs.conv(rng, 16, 12)
    tail = replace(tail, weight=keep_largest(tail.weight, 4, 16))
    wide, other = graphs.conv(rng, 3, 16), graphs.conv(rng, 16, 12, 1)
    sides = [("wide", wide, ["image"]), ("other", other, ["wide"]), ("tail", tail, ["wide"])]
    graph = graphs.chain("g", *sides, ("sum", Add(graphs.LEAKY), ["tail", "other"]), DepthToSpace(2), scale=2)
    model = NativeModel(write_native(graph, {}), "plain" if kernel == "plain" else None)
    model.set_plan(plan_of({"tail": kernel} if kernel != "plain" else {}))
    image = graphs.random_image(graph, 11, width)
    result, expected = native_run(model, image), reference.run(graph, image)
    assert np.abs(result - expected).max() <= 1e-5 * np.abs(expected).max()
    kernels = kernels_of(model)
    assert set(kernels) == {"wide", "other", "tail"}
    assert kernels["tail"] == kernel or (kernel == "winograd" and width == 5)
