from __future__ import annotations

import pytest

from sparsr.export.ir.graph import DeployGraph, Node
from sparsr.export.ir.layers import Activation, Add
from sparsr.export.lower.from_torch import lower
from sparsr.export.passes import optimise
from sparsr.runtime.errors import SparsrError
from sparsr.train.networks import build
from tests.export.graphs import chain

RELU = Activation("relu")


def test_malformed_graphs_are_refused():
    first = Node("a", RELU, ("image",))
    with pytest.raises(SparsrError, match="b reads c, which no earlier node writes"):
        DeployGraph("g", (first, Node("b", RELU, ("c",)), Node("c", RELU, ("a",))), "b", 1, 1.0)
    with pytest.raises(SparsrError, match="two nodes write a"):
        DeployGraph("g", (first, first), "a", 1, 1.0)
    with pytest.raises(SparsrError, match="output b is written by no node"):
        DeployGraph("g", (first,), "b", 1, 1.0)


def test_edits_leave_the_original_alone_and_rewire_readers_and_output():
    graph = chain("g", ("a", RELU, ["image"]), ("b", RELU, ["a"]), ("c", Add(), ["a", "b"]), ("d", RELU, ["c"]))
    edited = graph.without("b", "a").without("d", "c")
    assert [node.name for node in edited.nodes] == ["a", "c"]
    assert edited.node("c").inputs == ("a", "a")
    assert edited.output == "c"
    assert [node.name for node in graph.nodes] == ["a", "b", "c", "d"]
    assert edited.with_layer("c", Add(RELU)).node("c").layer.activation is RELU
    assert graph.producer("image") is None
    assert graph.producer("b").inputs == ("a",)
    assert [node.name for node in graph.consumers("a")] == ["b", "c"]


@pytest.mark.parametrize(
    ("architecture", "scale", "options", "gmacs"),
    [
        ("ledsr", 2, {"channels": 48}, 159.15),
        ("ledsr", 2, {"channels": 49}, 165.82),
        ("ledsr", 4, {"channels": 48}, 40.68),
        ("edsr", 2, {}, 316.25),
        ("edsr", 4, {}, 114.23),
    ],
)
def test_multiply_adds_equal_the_published_ones(architecture, scale, options, gmacs):
    graph, _ = optimise(lower(build(architecture, scale, **options), "g"))
    assert round(graph.macs(720 // scale, 1280 // scale) / 1e9, 2) == gmacs


def test_shapes_follow_the_image():
    graph = lower(build("ledsr", 3, channels=8, blocks=1), "g")
    shapes = graph.shapes(5, 7)
    assert shapes["image"] == (3, 5, 7)
    assert shapes["tail.0.0"] == (27, 5, 7)
    assert shapes[graph.output] == (3, 15, 21)
