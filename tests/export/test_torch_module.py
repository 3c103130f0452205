"""A user's modules, read by torch.export: what torch.fx stumbles over, in-place changes, and refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sparsr.export import export_module
from sparsr.export.ir import reference
from sparsr.export.lower.from_onnx import lower_onnx
from sparsr.export.lower.torch_module import module_as_onnx
from sparsr.export.parity import certificate as parity
from sparsr.export.passes import optimise
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.upscale.upscaler import Upscaler
from tests.export.graphs import random_image

pytest.importorskip("onnxscript")


class Compact(nn.Module):
    """Slopes per channel, an enlarged input added at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1), nn.PReLU(8), nn.Conv2d(8, 12, 3, 1, 1), nn.PixelShuffle(2))
        nn.init.uniform_(self.body[1].weight, -1.6, 1.9)

    def forward(self, x):
        return self.body(x) + F.interpolate(x, scale_factor=2, mode="nearest")


class Span(nn.Module):
    """Branches on sizes, and a tensor changed in place that is read again."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 6, 3, 1, 1), nn.Conv2d(6, 6, 3, 1, 1)
        self.tail = nn.Conv2d(12, 12, 3, 1, 1)
        self.act = nn.SiLU(inplace=True)

    def forward(self, x):
        if x.shape[1] == 3:
            x = (x - torch.tensor([0.4, 0.5, 0.3]).view(1, 3, 1, 1).type_as(x)) * 255.0 / 100
        a = self.one(x)
        b = self.two(self.act(a))
        gate = torch.sigmoid(b) - 0.5
        return F.pixel_shuffle(self.tail(torch.cat([a, (b + a) * gate], 1)), 2)


class Attention(nn.Module):
    """Sizes taken from tensors, pooled and resized back."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(3, 4, 3, 2), nn.Conv2d(4, 3, 1)

    def forward(self, x):
        small = F.max_pool2d(self.down(x), 7, 3)
        mask = F.interpolate(small, (x.size(2), x.size(3)), mode="bilinear", align_corners=False)
        return torch.clamp(x * torch.sigmoid(self.up(mask)), 0, 1)


class Transposed(nn.Module):
    """One channel, a transposed convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.up = nn.Conv2d(1, 8, 5, 1, 2), nn.ConvTranspose2d(8, 1, 9, 3, 4, 2)

    def forward(self, x):
        return self.up(torch.tanh(self.head(x)))


CASES = {Compact: (2, 3, 1), Span: (2, 3, 1), Attention: (1, 3, 15), Transposed: (3, 1, 1)}


@pytest.mark.parametrize("kind", CASES)
def test_modules_become_graphs_that_compute_the_same(kind):
    torch.manual_seed(0)
    module, (scale, channels, smallest) = kind().eval(), CASES[kind]
    graph, _ = optimise(lower_onnx(module_as_onnx(module, "net", channels, 16), "net", "net", scale, 1.0))
    assert graph.minimum_size == smallest
    for height, width in ((16, 16), (19, 30), (33, 17)):
        image = random_image(graph, height, width)
        with torch.no_grad():
            expected = 255 * module(torch.from_numpy(image) / 255).numpy()
        np.testing.assert_allclose(reference.run(graph, image), expected, atol=1e-3)


def test_a_module_becomes_a_bundle_that_upscales(tmp_path, monkeypatch):
    monkeypatch.setattr(parity, "_ENGINE_VALUES", 2e4)
    torch.manual_seed(0)
    module = Compact().eval()
    lines = []
    card = export_module(module, tmp_path / "bundle", scale=2, formats=["onnx"], explain=True, report=lines.append)
    assert (card.scale, card.architecture, card.parity[0].hop) == (2, "foreign", "torch -> graph")
    assert any("fuse_activation: applied" in line for line in lines)
    image = np.random.default_rng(0).integers(0, 256, (20, 31, 3)).astype(np.uint8)
    with torch.no_grad():
        expected = 255 * module(torch.from_numpy(image.transpose(2, 0, 1)[None] / np.float32(255))).numpy()[0]
    result = Upscaler(tmp_path / "bundle", "ort")(image)
    assert np.abs(result - expected.transpose(1, 2, 0).clip(0, 255)).max() < 0.51


def test_what_torch_cannot_read_is_refused():
    class Odd(nn.Module):
        def forward(self, x):
            return x if float(x.sum()) > 0 else -x

    with pytest.raises(SparsrError, match=r"Odd: torch\.export cannot read it"):
        module_as_onnx(Odd(), "Odd", 3, 16)


def test_a_module_with_several_results_is_refused_with_what_to_do():
    class Two(nn.Module):
        def forward(self, x):
            return x, -x

    with pytest.raises(SparsrError, match="Two gives 2 tensors") as caught:
        module_as_onnx(Two(), "Two", 3, 16)
    assert "wrap it" in caught.value.hint


class Halved(nn.Module):
    """A U-Net of one step: images of odd sides fail in it."""

    def __init__(self):
        super().__init__()
        self.down, self.up, self.last = nn.Conv2d(3, 6, 4, 2, 1), nn.ConvTranspose2d(6, 3, 2, 2), nn.Conv2d(3, 3, 1)

    def forward(self, x):
        return self.last(self.up(torch.tanh(self.down(x))) + x)


def test_a_module_for_even_sizes_is_read():
    torch.manual_seed(0)
    module = Halved().eval()
    graph = lower_onnx(module_as_onnx(module, "net", 3, 16), "net", "net", None, 255.0)
    image = random_image(graph, 13, 21) / 255
    with torch.no_grad():
        expected = module(F.pad(torch.from_numpy(image), (0, 1, 0, 1), mode="replicate"))[:, :, :13, :21].numpy()
    np.testing.assert_allclose(reference.run(graph, image), expected, atol=1e-5)


def test_a_size_taken_for_granted_is_refused():
    """Pooling to a size that follows from the image's is written with the windows of the example."""

    class Pooled(nn.Module):
        def forward(self, x):
            small = F.adaptive_max_pool2d(x, (x.shape[2] // 4, x.shape[3] // 4))
            return x + F.interpolate(small, size=x.shape[2:], mode="nearest")

    with pytest.raises(SparsrError, match="Pooled"):
        module_as_onnx(Pooled(), "Pooled", 3, 16)
