"""What modules spell out in many ONNX nodes, by either of torch's exporters, becomes one layer with the same values."""

from __future__ import annotations

import io

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sparsr.export.ir import reference
from sparsr.export.lower.from_onnx import lower_onnx
from sparsr.export.lower.onnx_file import checked_onnx
from sparsr.export.lower.torch_module import module_as_onnx
from sparsr.export.passes import optimise
from sparsr.export.writers.native import unknown_layer
from tests.export.graphs import random_image

CHANNELS = 6


class Around(nn.Module):
    """A function between convolutions."""

    def __init__(self, inner, outputs=CHANNELS):
        super().__init__()
        self.first, self.inner, self.last = nn.Conv2d(3, CHANNELS, 3, padding=1), inner, nn.Conv2d(outputs, 3, 1)

    def forward(self, x):
        return self.last(self.inner(3 * self.first(x)))


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class SpelledNorm(nn.Module):
    """As NAFNet has it."""

    def __init__(self):
        super().__init__()
        self.weight, self.bias = (nn.Parameter(torch.randn(CHANNELS)) for _ in range(2))

    def forward(self, x):
        mean = x.mean(1, keepdim=True)
        variance = (x - mean).pow(2).mean(1, keepdim=True)
        y = (x - mean) / (variance + 1e-6).sqrt()
        return self.weight.view(1, -1, 1, 1) * y + self.bias.view(1, -1, 1, 1)


class TransposedNorm(nn.LayerNorm):
    """As ConvNeXt has it."""

    def __init__(self):
        super().__init__(CHANNELS, eps=1e-5)
        nn.init.normal_(self.weight)
        nn.init.normal_(self.bias)

    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Squeeze(nn.Module):
    """Squeeze-excite with linear layers."""

    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Linear(CHANNELS, 2), nn.Linear(2, CHANNELS, bias=False)

    def forward(self, x):
        return x * torch.sigmoid(self.up(F.relu(self.down(x.mean((2, 3))))))[:, :, None, None]


def instance_norm():
    norm = nn.InstanceNorm2d(CHANNELS, affine=True)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm


ERF = 2**-0.5
CASES = {
    "gelu": (nn.GELU(), "gelu"),
    "gelu, spelled": (Function(lambda x: x * 0.5 * (1 + torch.erf(x * ERF))), "gelu"),
    "gelu_tanh": (nn.GELU(approximate="tanh"), "gelu_tanh"),
    "mish": (nn.Mish(), "mish"),
    "mish, spelled": (Function(lambda x: x * torch.tanh(F.softplus(x))), "mish"),
    "hardswish": (nn.Hardswish(), "hardswish"),
    "hardswish, spelled": (Function(lambda x: x * F.relu6(x + 3) / 6), "hardswish"),
    "hardsigmoid": (nn.Hardsigmoid(), "clip"),
    "softplus": (nn.Softplus(), "softplus"),
    "elu, spelled": (Function(lambda x: torch.where(x > 0, x, 0.7 * (torch.exp(x) - 1))), "elu"),
    "leaky, spelled": (Function(lambda x: torch.where(x > 0, x, 0.3 * x)), "leaky_relu"),
    "elu, scaled": (nn.SELU(), "elu"),
    "tanh": (nn.Tanh(), "tanh"),
    "relu6": (nn.ReLU6(), "clip"),
    "norm, spelled": (SpelledNorm(), "ChannelNorm"),
    "norm, transposed": (TransposedNorm(), "ChannelNorm"),
    "instance norm": (instance_norm(), "InstanceNorm"),
    "squeeze-excite": (Squeeze(), "GlobalMean"),
    "largest": (Function(lambda x: x * F.adaptive_max_pool2d(x, 1)), "GlobalMax"),
    "edge": (Function(lambda x: F.pad(x, (1, 2, 0, 3), mode="replicate")[:, :, :-3, 3:]), "PadEdge"),
    "reflect": (Function(lambda x: F.pad(x, (2, 1, 3, 0), mode="reflect")[:, :, 3:, 3:]), "PadReflect"),
}


def by_script(module):
    content = io.BytesIO()
    sizes = {"x": {2: "height", 3: "width"}}
    torch.onnx.export(
        module.eval(), (torch.rand(1, 3, 20, 24),), content, input_names=["x"], dynamic_axes=sizes, dynamo=False
    )
    return checked_onnx(onnx.load_from_string(content.getvalue()), "net")


def by_program(module):
    return module_as_onnx(module, "net", 3, 8)


def kinds(graph):
    layers = [node.layer for node in graph.nodes]
    layers += [layer.activation for layer in layers if getattr(layer, "activation", None)]
    return [getattr(layer, "function", layer.kind) for layer in layers]


# Reading a program takes seconds: the few that it spells in its own way.
BOTH = [(by_script, name) for name in CASES]
BOTH += [
    (by_program, name)
    for name in ("gelu", "softplus", "mish, spelled", "norm, spelled", "instance norm", "squeeze-excite")
]


@pytest.mark.parametrize(("export", "name"), BOTH)
def test_spelled_out_functions_are_recognised_and_compute_the_same(name, export):
    torch.manual_seed(0)
    inner, kind = CASES[name]
    module = Around(inner).eval()
    graph, _ = optimise(lower_onnx(export(module), "net", "net", None, 255.0))
    assert kind in kinds(graph)
    assert unknown_layer(graph) is None
    assert len(graph.nodes) <= 8
    for height, width in ((9, 14), (17, 8)):
        image = random_image(graph, height, width) / 64
        with torch.inference_mode():
            expected = module(torch.from_numpy(image)).numpy()
        np.testing.assert_allclose(reference.run(graph, image), expected, atol=3e-5)


@pytest.mark.parametrize("torch_order", [True, False])
def test_pixel_shuffles_spelled_out(torch_order):
    def shuffle(x):
        n, c, h, w = x.shape
        if torch_order:
            return x.reshape(n, c // 4, 2, 2, h, w).permute(0, 1, 4, 2, 5, 3).reshape(n, c // 4, h * 2, w * 2)
        return x.reshape(n, 2, 2, c // 4, h, w).permute(0, 3, 4, 1, 5, 2).reshape(n, c // 4, h * 2, w * 2)

    module = nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), Function(shuffle)).eval()
    graph, _ = optimise(lower_onnx(by_script(module), "net", "net", 2, 255.0))
    assert kinds(graph)[-1] == "DepthToSpace"
    image = random_image(graph, 9, 13) / 255
    with torch.inference_mode():
        expected = module(torch.from_numpy(image)).numpy()
    np.testing.assert_allclose(reference.run(graph, image), expected, atol=1e-5)


def test_what_is_only_alike_is_not_taken_for_a_function():
    """x sigmoid(1.702 x), another approximation of GELU, stays what it is."""
    module = Around(Function(lambda x: x * torch.sigmoid(1.702 * x)))
    graph, _ = optimise(lower_onnx(by_script(module), "net", "net", None, 255.0))
    assert not {"gelu", "gelu_tanh"} & set(kinds(graph))
