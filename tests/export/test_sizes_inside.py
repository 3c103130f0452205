"""What networks compute from sizes: borders up to a multiple, sums over pixels, channels written over, maps resized."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sparsr.export.ir import reference
from sparsr.export.lower.from_onnx import lower_onnx
from sparsr.export.lower.torch_module import module_as_onnx
from sparsr.export.passes import optimise
from sparsr.export.writers.native import write_native
from sparsr.export.writers.onnx import write_onnx
from sparsr.export.writers.tflite import write_tflite
from sparsr.runtime.engines.registry import load_engine
from tests.export.graphs import random_image
from tests.export.test_recognised import by_script


class Between(nn.Module):
    """Some function of six maps, and what is made of the image around it."""

    def __init__(self, function, before=None, after=None):
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 3, 1)
        self.down, self.up = nn.Conv2d(6, 6, 3, padding=1), nn.ConvTranspose2d(6, 6, 2, 2)
        self.function, self.before, self.after = function, before, after

    def forward(self, x):
        height, width = x.shape[2:]
        y = self.before(x) if self.before else x
        y = self.last(self.function(self, self.first(y)))
        return self.after(y, height, width) if self.after else y


def to_multiple(multiple, **options):
    return lambda x: F.pad(x, (0, -x.shape[3] % multiple, 0, -x.shape[2] % multiple), **options)


def half(net, x):
    return x + net.up(torch.tanh(net.down(F.max_pool2d(x, 2))))


def quarter(net, x):
    return F.interpolate(torch.relu(net.down(F.avg_pool2d(x, 4))), scale_factor=4) + x


def padded_to_the_other(net, x):
    y = net.up(net.down(F.max_pool2d(x, 2)))
    rows, columns = x.shape[2] - y.shape[2], x.shape[3] - y.shape[3]
    return x * F.pad(y, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))


def written_over(net, x):
    y = x.clone()
    y[:, 1:3] = torch.tanh(x[:, 1:3])
    return y


def same(y, height, width):
    return y[:, :, :height, :width]


def double(y, height, width):
    return F.interpolate(y, scale_factor=2)[:, :, : 2 * height, : 2 * width]


CASES = {
    "zeros to a multiple": Between(half, to_multiple(2), same),
    "mirrored to a multiple": Between(quarter, to_multiple(4, mode="reflect"), same),
    "repeated to a multiple, enlarged": Between(quarter, to_multiple(4, mode="replicate"), double),
    "to another map's size": Between(padded_to_the_other),
    "sum over pixels": Between(lambda net, x: x * torch.sigmoid(x.sum((2, 3), keepdim=True) / 500)),
    "norm over pixels": Between(lambda net, x: x * x.norm(p=2, dim=(2, 3), keepdim=True) / 20),
    "unbiased variance": Between(
        lambda net, x: (
            x
            + (x - x.mean((2, 3), keepdim=True)).pow(2).sum((2, 3), keepdim=True) / (x.shape[2] * x.shape[3] - 1)
        )
    ),
    "channels written over": Between(written_over),
    "corners aligned by a factor": Between(
        lambda net, x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
    ),
    "roots of mean squares": Between(lambda net, x: x / (x.norm(2, dim=1, keepdim=True) * 6**-0.5 + 1e-6)),
    "largest and mean channel": Between(
        lambda net, x: x * torch.sigmoid(torch.max(x, 1)[0].unsqueeze(1) - torch.mean(x, 1).unsqueeze(1))
    ),
    "shares of channels": Between(lambda net, x: x * torch.softmax(3 * x, 1)),
}  # fmt: skip
SIZES = ((13, 22), (20, 16), (17, 31))


@pytest.mark.parametrize("name", CASES)
def test_networks_compute_the_same_at_every_size(name):
    torch.manual_seed(0)
    module = CASES[name].eval()
    assert_every_engine_computes(module, optimise(lower_onnx(by_script(module), name, name, None, 255.0))[0], SIZES)


def assert_every_engine_computes(module, graph, sizes):
    """The reference, ONNX Runtime, LiteRT and the native engine against torch; values in 0..1."""
    engines = {
        "ort": write_onnx(graph),
        "litert": write_tflite(graph),
        "native": write_native(graph, {}),
    }
    runs = [lambda image: reference.run(graph, image)]
    for engine, content in engines.items():
        run = load_engine(engine, content, 1).run
        if engine == "ort":
            runs.append(run)
        else:
            runs.append(lambda image, run=run: run(image.transpose(0, 2, 3, 1).copy()).transpose(0, 3, 1, 2))
    for height, width in sizes:
        image = random_image(graph, height, width) / 255
        with torch.inference_mode():
            expected = module(torch.from_numpy(image)).numpy()
        for run in runs:
            np.testing.assert_allclose(run(image), expected, atol=3e-5)


@pytest.mark.parametrize("name", ["channels written over", "unbiased variance", "largest and mean channel"])
def test_modules_read_by_torch_export_do_so_too(name):
    module = CASES[name].eval()
    graph, _ = optimise(lower_onnx(module_as_onnx(module, "net", 3, 8), "net", "net", None, 255.0))
    for height, width in SIZES:
        image = random_image(graph, height, width) / 255
        with torch.inference_mode():
            expected = module(torch.from_numpy(image)).numpy()
        np.testing.assert_allclose(reference.run(graph, image), expected, atol=3e-5)


def test_the_smallest_image_is_one_that_numbers_come_of():
    """The unbiased variance of a single pixel is 0 / 0."""
    module = CASES["unbiased variance"].eval()
    graph = lower_onnx(by_script(module), "net", "net", None, 255.0)
    assert graph.minimum_size == 2
    assert np.isfinite(reference.run(graph, random_image(graph, 2, 2))).all()
