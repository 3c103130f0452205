from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparsr.export.ir import reference
from sparsr.export.ir.layers import Add, ChannelAffine, Conv, DepthToSpace
from sparsr.export.lower.from_torch import lower
from sparsr.export.passes import optimise
from sparsr.runtime.errors import SparsrError
from sparsr.train.networks import SRNetwork, build
from sparsr.train.networks.base import conv1x1, conv3x3
from sparsr.train.networks.weight_norm import add_weight_norm
from sparsr.train.pruning.slimming import slim
from tests.small_networks import EVERY_NETWORK, disturb, image, random_kept, small
from tests.toy_networks import Toy, every_toy


def results(network: SRNetwork, height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of torch, of the reference, of the reference after the passes; as fractions of the full range."""
    x = image(network, height, width)
    with torch.no_grad():
        expected = network(x.clone()).numpy() / network.value_range
    graph = lower(network, "g")
    assert graph.value_range == 255
    optimised, _ = optimise(graph)
    pixels = x.numpy() * (255 / network.value_range)
    return expected, reference.run(graph, pixels) / 255, reference.run(optimised, pixels) / 255


def check(network: SRNetwork, height: int, width: int) -> None:
    expected, lowered, optimised = results(network, height, width)
    assert expected.std() > 1e-3
    tolerance = 1e-5 * max(1, np.abs(expected).max())
    np.testing.assert_allclose(lowered, expected, rtol=0, atol=tolerance)
    np.testing.assert_allclose(optimised, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize(("height", "width"), [(1, 2), (9, 14)])
@pytest.mark.parametrize("mixed_colours", [False, True])
@pytest.mark.parametrize(("architecture", "scale"), EVERY_NETWORK)
def test_torch_and_graph_and_optimised_graph_agree(architecture, scale, mixed_colours, height, width):
    network = small(architecture, scale)
    check(disturb(network) if mixed_colours else network, height, width)


@pytest.mark.parametrize("weight_norm", [False, True])
@pytest.mark.parametrize(("architecture", "scale"), EVERY_NETWORK)
def test_slimmed_networks_lower_too(architecture, scale, weight_norm):
    network = small(architecture, scale)
    if weight_norm:
        add_weight_norm(network)
    check(slim(disturb(network), random_kept(network, 5)), 11, 7)


class Forms(Toy):
    """The same few operations in all the ways torch lets one write them."""

    value_range = 1.0
    minimum_size = 3

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.head(x / 0.5 - 0.5))
        x = torch.add(x, F.relu(x - 0.1)) * 0.5 + 0.25
        first, second = x.chunk(2, dim=1)
        third, _, last = torch.split(x, 3, 1)
        x = torch.cat((first, second.contiguous(), third, x[:, 3:6], last[:, 0:1]), dim=1)
        gate = F.adaptive_avg_pool2d(x, 1).sigmoid()
        x = gate * x + 1.5 * torch.std(x, dim=[2, 3], unbiased=False, keepdim=True) * x
        pooled = F.max_pool2d(x, 2, stride=1)
        x = x + F.interpolate(pooled, size=x.shape[-2:], mode="bilinear", align_corners=False)
        x = F.leaky_relu(x.relu() + torch.relu(self.narrow(x)) * -1.0, 0.1)
        return F.pixel_shuffle(self.tail(x * x.mean(dim=(-1, -2), keepdim=True)), 2)


def test_every_way_to_write_an_operation_is_understood():
    torch.manual_seed(0)
    network = Forms(relu=nn.LeakyReLU(0.2), narrow=conv1x1(15, 15), tail=nn.Sequential(nn.Identity(), conv3x3(15, 12)))
    check(network.eval(), 7, 5)


@pytest.mark.parametrize("structure", every_toy())
def test_odd_structures_lower_exactly(structure):
    torch.manual_seed(1)
    check(every_toy()[structure].eval(), 21, 16)


def test_nodes_are_named_after_modules():
    graph = lower(build("ledsr", 2, channels=4, blocks=1), "g")
    names = ["sub_mean", "head.0", "body.0.body.0", "body.0.body.1", "body.0.body.2", "body.0.add", "body.1", "add"]
    assert [node.name for node in graph.nodes] == [*names, "tail.0.0", "tail.0.1", "add_mean"]


def test_a_module_called_twice_gets_two_names():
    names = [node.name for node in lower(every_toy()["shared conv"], "g").nodes]
    assert names == ["head", "block", "block_1", "tail"]


def test_lowering_leaves_the_network_alone():
    network = small("ledsr", 2)
    add_weight_norm(network)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    lower(network.train(), "g")
    assert network.training
    assert network.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize(("architecture", "scale"), EVERY_NETWORK)
def test_ranges_other_than_255_are_rescaled_at_both_ends_and_folded_away(architecture, scale):
    network = small(architecture, scale)
    graph = lower(network, "g")
    affine = [node.name for node in graph.nodes if node.name.endswith("_range")]
    assert affine == ([] if network.value_range == 255 else ["to_network_range", "to_image_range"])
    optimised, _ = optimise(graph)
    left = {node.name.rpartition(".")[2] for node in optimised.nodes if isinstance(node.layer, ChannelAffine)}
    # A mean shift before a zero-padded convolution, SPAN's 1/2, RRDB's 0.2; before a padding, after a clip or crop.
    ends = {"efdn": {"to_image_range"}, "pan": {"to_network_range"}, "rrdb": {"to_network_range", "to_image_range"}}
    ends |= {"srn": ends["rrdb"], "dmphn": {"to_image_range"}}
    assert left <= {"sub_mean", "sub", "mul"} | ends.get(architecture, set())
    if "to_image_range" not in left:
        assert isinstance(optimised.nodes[-1].layer, Conv | DepthToSpace | Add)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.Conv2d(8, 8, 3, padding=2, dilation=2), r"layer: the operation Conv2d with .* dilation \(2, 2\)"),
        (nn.Conv2d(8, 8, 3, padding=1, padding_mode="replicate"), r"layer: the operation Conv2d .*\(replicate\)"),
        (nn.Conv2d(8, 8, 3, padding="same"), "layer: the operation Conv2d .* padding same"),
        (nn.Conv2d(8, 8, 3, stride=(1, 2), padding=1), r"layer: the operation Conv2d with stride \(1, 2\)"),
        (nn.Softplus(), "layer: the operation Softplus is not supported"),
        (nn.BatchNorm2d(8), "layer: the operation BatchNorm2d is not supported"),
        (nn.AdaptiveAvgPool2d(2), "layer: the operation AdaptiveAvgPool2d is not supported .*only output size 1"),
        (nn.MaxPool2d(3, 1, 1), "layer: the operation MaxPool2d is not supported .*padding"),
    ],
)
def test_what_no_layer_kind_expresses_is_named(layer, message):
    class Single(Toy):
        def forward(self, x: Tensor) -> Tensor:
            return self.tail(self.layer(self.head(x)))

    with pytest.raises(SparsrError, match=message):
        lower(Single(layer=layer).eval(), "g")


def test_sums_that_spread_a_single_pixel_are_refused():
    class Spread(Toy):
        def forward(self, x: Tensor) -> Tensor:
            x = self.head(x)
            return self.tail(x + x.mean((2, 3), keepdim=True))

    with pytest.raises(SparsrError, match="add: the operation Add of shapes"):
        lower(Spread(), "g")
