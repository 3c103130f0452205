"""Graphs made trainable: they compute what they computed, come back exactly, and `sparsr prune` prunes them."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from torch import nn

from sparsr.export.exporter import export_model
from sparsr.export.ir import layers
from sparsr.export.lower.onnx_cut import Between
from sparsr.export.lower.trainable import as_graph, as_network
from sparsr.export.prune import read_network
from sparsr.runtime.engines.registry import load_engine
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.model.bundle import Bundle
from sparsr.train.networks.graph import KINDS
from sparsr.train.networks.widths import convolutions
from sparsr.train.run import checkpoint
from sparsr.train.run.prune import Order, prune
from tests.export.graphs import chain, conv, random_image, small_network, torch_run
from tests.export.layer_graphs import layer_graphs
from tests.export.test_onnx_cut import decorated


def unfused(graph):
    """Whether the graph is as it is before any pass, and holds nothing but what can be trained."""
    fused = any(getattr(node.layer, "activation", None) for node in graph.nodes)
    return not fused and all(node.layer.kind in KINDS for node in graph.nodes)


GRAPHS = {name: graph for name, graph in (layer_graphs() | {"small": small_network()}).items() if unfused(graph)}


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize(("height", "width"), [(3, 3), (7, 13), (16, 9)])
def test_a_network_computes_what_its_graph_does_and_gives_it_back(name, height, width):
    graph = GRAPHS[name]
    image = random_image(graph, max(height, graph.minimum_size), max(width, graph.minimum_size)) - 0.3
    network = as_network(graph)
    with torch.no_grad():
        result = network.restore(torch.from_numpy(image))
    np.testing.assert_allclose(result, torch_run(graph, image), rtol=1e-5, atol=2e-6 * graph.value_range)
    back = as_graph(network, name)
    assert [node.layer.kind for node in back.nodes] == [node.layer.kind for node in graph.nodes]
    for ours, theirs in zip(back.nodes, graph.nodes, strict=True):
        for field in dataclasses.fields(theirs.layer):
            np.testing.assert_array_equal(getattr(ours.layer, field.name), getattr(theirs.layer, field.name))


def test_every_layer_kind_can_be_trained_but_masked_blocks():
    assert set(KINDS) == {kind.__name__ for kind in layers.KINDS} - {"MaskedBlock"}
    assert {node.layer.kind for graph in GRAPHS.values() for node in graph.nodes} == set(KINDS)


def test_what_cannot_be_trained_is_named():
    masked = next(g for g in layer_graphs().values() if any(n.layer.kind == "MaskedBlock" for n in g.nodes))
    with pytest.raises(SparsrError, match="MaskedBlock cannot be trained"):
        as_network(masked)


class Users(nn.Module):
    """A network as users write them: a PReLU, a residual, one-sided padding, a bilinear skip."""

    def __init__(self, colours, even):
        super().__init__()
        self.head = nn.Conv2d(colours, 8, 3, padding=1)
        last = [nn.Conv2d(8, 8, 3, padding=1)] if even else [nn.ZeroPad2d((1, 0, 1, 0)), nn.Conv2d(8, 8, 2)]
        self.body = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.PReLU(8), *last)
        self.tail = nn.Conv2d(8, 4 * colours, 3, padding=1)

    def forward(self, x):
        features = self.head(x)
        enlarged = nn.functional.pixel_shuffle(self.tail(features + self.body(features)), 2)
        return enlarged + nn.functional.interpolate(x, scale_factor=2, mode="nearest")


def onnx_file(path, colours, even):
    torch.manual_seed(1)
    image = torch.rand(1, colours, 12, 14)
    axes = {"x": {2: "h", 3: "w"}}
    torch.onnx.export(
        Users(colours, even), (image,), path, input_names=["x"], dynamic_axes=axes, dynamo=False, opset_version=13
    )
    return path


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    random = np.random.default_rng(0)
    for i in range(3):
        coarse = Image.fromarray(random.integers(0, 256, (9, 11, 3), dtype=np.uint8))
        coarse.resize((44, 36), Image.Resampling.BICUBIC).save(folder / f"{i}.png")
    return folder


@pytest.mark.parametrize(("colours", "method"), [(3, "sls"), (3, "channels"), (1, "nm")])
def test_a_users_onnx_file_is_pruned_and_exported(colours, method, pictures, tmp_path):
    source = onnx_file(tmp_path / "users.onnx", colours, even=method == "channels")
    order = Order(0.6, method, pictures, steps=20, patch=8, batch=2)
    pruned = prune(source, order, tmp_path / "run", device="cpu", read=read_network)
    network, card = checkpoint.load(pruned)
    dense, _ = read_network(source)
    weights = [sum(int(c.weight.count_nonzero()) for c in convolutions(n).values()) for n in (network, dense)]
    assert weights[0] < 0.75 * weights[1]
    assert card.training["pruned_from"]["from"] == "users.onnx"
    export_model(pruned, tmp_path / "bundle", formats=["native"], report=lambda line: None)
    image = np.random.default_rng(2).uniform(0, 255, (1, 3, 20, 23)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(image)).numpy()
    engine = load_engine("native", Bundle.open(tmp_path / "bundle").model("native"), 1)
    result = engine.run(image.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(result, expected, atol=0.02)


def test_a_file_for_one_size_is_read_as_export_reads_it(tmp_path):
    torch.manual_seed(1)
    module = Users(3, even=True).eval()
    torch.onnx.export(module, (torch.rand(1, 3, 12, 14),), tmp_path / "fixed.onnx", dynamo=False, opset_version=13)
    network, _ = read_network(tmp_path / "fixed.onnx")
    image = torch.rand(1, 3, 21, 17)
    with torch.no_grad():
        np.testing.assert_allclose(network(255 * image) / 255, module(image), atol=2e-5)


def test_a_network_inside_a_file_is_pruned_alone(tmp_path):
    foreign = decorated()
    clip = next(node for node in foreign.graph.node if node.op_type == "Clip")
    clip.input.extend(["", "most"])
    foreign.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(0.9), "most"))
    onnx.save(foreign, tmp_path / "net.onnx")
    network, _ = read_network(tmp_path / "net.onnx", between=Between("image", "d"))
    assert [layer.kind for layer in network.layers if layer.kind == "Conv"] == ["Conv", "Conv"]
    with pytest.raises(SparsrError, match="DecodeImage"):
        read_network(tmp_path / "net.onnx")
    (tmp_path / "net.pth").write_bytes(b"")
    with pytest.raises(SparsrError, match="no ONNX file"):
        read_network(tmp_path / "net.pth", between=Between("image", "d"))


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "Exec"},
        {"inputs": ["elsewhere"]},
        {"shapes": {"weight": [8, 3, 1 << 20, 3], "bias": [8]}},
        {"options": {"stride": 1, "padding": [0, 0, 0, 1e9], "groups": 1}},
        {"options": {}},
    ],
)
def test_hostile_cards_are_refused(change, tmp_path):
    network = as_network(chain("one", conv(np.random.default_rng(0), 3, 8)))
    checkpoint.save(tmp_path / "a.safetensors", network, checkpoint.card_for(network, "imported"))
    text = json.loads((tmp_path / "a.json").read_text())
    text["layers"][0] |= change
    with pytest.raises(SparsrError, match="make no network"):
        checkpoint.skeleton(checkpoint.parse_card(json.dumps(text), tmp_path / "a.safetensors"))
