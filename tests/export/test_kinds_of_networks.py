"""What public restoration networks do between their convolutions, by torch's exporters, in every engine, odd sizes."""

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
from sparsr.export.source import from_onnx_file
from sparsr.runtime.errors import SparsrError
from tests.export.graphs import random_image
from tests.export.test_recognised import by_script
from tests.export.test_sizes_inside import Between, assert_every_engine_computes

SIZES = ((13, 22), (17, 31))
EVEN = ((14, 22), (18, 12))


class Inside(Between):
    """With more layers than `Between` has."""

    def __init__(self, function, **layers):
        super().__init__(function)
        for name, layer in layers.items():
            setattr(self, name, layer)


def attention_to_lines(net, x):
    """Coordinate attention (Hou et al., 2021): rows and columns behind each other go through one convolution."""
    height, width = x.shape[2:]
    rows, columns = x.mean(3, keepdim=True), x.mean(2, keepdim=True).permute(0, 1, 3, 2)
    rows, columns = torch.split(F.hardswish(net.mix(torch.cat([rows, columns], 2))), [height, width], 2)
    return x * torch.sigmoid(net.rows(rows)) * torch.sigmoid(net.columns(columns.permute(0, 1, 3, 2)))


def contrast(net, x):
    """IMDN's and BSRN's attention, which sums along one axis after the other."""
    mean = x.sum(3, keepdim=True).sum(2, keepdim=True) / (x.shape[2] * x.shape[3])
    variance = (x - mean).pow(2).sum(3, keepdim=True).sum(2, keepdim=True) / (x.shape[2] * x.shape[3])
    return x * torch.sigmoid(net.mix(variance.pow(0.5) + F.adaptive_avg_pool2d(x, 1)))


def selective(net, x):
    """MIRNet's selective kernels: softmax over stacked maps."""
    maps = torch.stack([net.mix(x), net.rows(x), net.columns(x)], 1)
    pooled = F.adaptive_avg_pool2d(maps.sum(1), 1)
    shares = torch.cat([net.mix(pooled), net.rows(pooled), net.columns(pooled)], 1).view(1, 3, 6, 1, 1).softmax(1)
    return (maps * shares).sum(1)


def of_tokens(function):
    """Restormer's and ShuffleMixer's way: pixels as one axis, channels last."""

    def apply(net, x):
        tokens = function(net, x.flatten(2).transpose(1, 2))
        return tokens.transpose(1, 2).reshape(x.shape[0], -1, x.shape[2], x.shape[3])

    return apply


def without_mean(net, tokens):
    """Restormer's normalisation without bias."""
    return tokens / torch.sqrt(tokens.var(-1, keepdim=True, unbiased=False) + 1e-5) * net.gain


def wavelets(net, x):
    """MWCNN's transforms: every second row and column taken, and written."""
    top, bottom = x[:, :, 0::2, :] / 2, x[:, :, 1::2, :] / 2
    a, b, c, d = top[..., 0::2], bottom[..., 0::2], top[..., 1::2], bottom[..., 1::2]
    low, high = torch.tanh(a + b + c + d), a - b - c + d
    result = torch.zeros_like(x)
    result[:, :, 0::2, 0::2] = low - high
    result[:, :, 1::2, 0::2] = low + high
    result[:, :, 0::2, 1::2] = low + 2 * high
    result[:, :, 1::2, 1::2] = low - 3 * high
    return result


def resized(ratio, **options):
    """There and back again."""
    return lambda net, x: F.interpolate(
        F.interpolate(x, scale_factor=ratio, **options), size=x.shape[2:], mode="bilinear"
    )


def noisy(net, x):
    """FFDNet and DRUNet: a noise level beside the image."""
    level = torch.full((1, 1, x.shape[2], x.shape[3]), 0.06)
    return net.mix(torch.cat([x[:, :5], level], 1)) + torch.ones_like(x) * 0.25


def conv():
    return nn.Conv2d(6, 6, 1)


THREE = {"mix": conv, "rows": conv, "columns": conv}
CASES = {
    "attention to rows and columns": (attention_to_lines, THREE),
    "largest of rows and columns": (
        lambda net, x: x.amax(3, keepdim=True) * x + x.amin(2, keepdim=True).expand_as(x), {}
    ),
    "sums along columns": (
        lambda net, x: x * x.sum(3, keepdim=True) / x.shape[3] - x.norm(2, dim=2, keepdim=True) / 9, {}
    ),
    "contrast": (contrast, THREE),
    "selective kernels": (selective, THREE),
    "two shares of numbers": (
        lambda net, x: (lambda share: x * share[:, 0].view(1, 1, 1, 1) - net.mix(x) * share[:, 1].view(1, 1, 1, 1))(
            net.two(x.mean((2, 3)))
        ),
        {"mix": conv, "two": lambda: nn.Sequential(nn.Linear(6, 2), nn.Softmax(1))},
    ),
    "largest of groups": (lambda net, x: x.view(1, 2, 3, *x.shape[2:]).amax(1).repeat(1, 2, 1, 1) - x, {}),
    "norm of tokens": (of_tokens(lambda net, t: net.norm(t)), {"norm": lambda: nn.LayerNorm(6)}),
    "norm of tokens without mean": (of_tokens(without_mean), {"gain": lambda: nn.Parameter(torch.rand(6) + 0.5)}),
    "linear layers of tokens": (
        of_tokens(lambda net, t: net.layers(t)),
        {"layers": lambda: nn.Sequential(nn.Linear(6, 9), nn.GELU(), nn.Linear(9, 6))},
    ),
    "columns first, channels last": (
        lambda net, x: net.norm(x.transpose(1, 3)).transpose(1, 3), {"norm": lambda: nn.LayerNorm(6)}
    ),
    "mean of everything": (lambda net, x: x - x.mean() + x.mean((1, 2, 3), keepdim=True) * x, {}),
    "masks": (lambda net, x: torch.where(x > x.mean((2, 3), keepdim=True), 2 * x, -x) + x * (x <= 0.1).float(), {}),
    "shrinkage": (lambda net, x: F.softshrink(x, 0.1) + F.hardshrink(x, 0.2), {}),
    "signs and waves": (lambda net, x: torch.sign(x) * torch.sin(3 * x) + torch.cos(x), {}),
    "noise levels": (noisy, THREE),
    "enlarged by 9/4": (resized(2.25, mode="nearest"), {}),
    "enlarged by 3/2": (resized(1.5, mode="bilinear"), {}),
    "every second pixel": (resized(0.5, mode="nearest"), {}),
    "made a quarter": (resized(0.25, mode="bilinear"), {}),
    "made a half, bicubic": (resized(0.5, mode="bicubic"), {}),
    "means that count no zeros": (lambda net, x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False) - x, {}),
    "pools to the last pixel": (
        lambda net, x: x + F.interpolate(F.max_pool2d(x, 3, 2, ceil_mode=True), x.shape[2:]),
        {},
    ),
}  # fmt: skip
BY_TWO = {
    "wavelets": (wavelets, {}),
    "halves": (
        lambda net, x: torch.cat(
            [torch.tanh(x[:, :, : x.shape[2] // 2]), -x[:, :, x.shape[2] // 2 :]], 2
        ) + F.pixel_shuffle(F.pixel_unshuffle(x, 2), 2),
        {},
    ),
}  # fmt: skip


def made(name):
    torch.manual_seed(0)
    function, layers = (CASES | BY_TWO)[name]
    return Inside(function, **{key: layer() for key, layer in layers.items()}).eval()


@pytest.mark.parametrize("name", [*CASES, *BY_TWO])
def test_every_engine_computes_what_torch_does(name):
    module = made(name)
    graph, _ = optimise(lower_onnx(by_script(module), name, name, None, 255.0))
    assert_every_engine_computes(module, graph, EVEN if name in BY_TWO else SIZES)


@pytest.mark.parametrize("name", ["attention to rows and columns", "selective kernels", "norm of tokens", "masks"])
def test_modules_read_by_torch_export_do_so_too(name):
    module = made(name)
    graph = lower_onnx(module_as_onnx(module, "net", 3, 8), "net", "net", None, 255.0)
    for height, width in SIZES:
        image = random_image(graph, height, width) / 255
        with torch.inference_mode():
            expected = module(torch.from_numpy(image)).numpy()
        np.testing.assert_allclose(reference.run(graph, image), expected, atol=3e-5)


def pooled_lines(net, x):
    """Coordinate attention as published, by pools whose size a file for one size holds."""
    rows, columns = F.adaptive_avg_pool2d(x, (None, 1)), F.adaptive_avg_pool2d(x, (1, None)).permute(0, 1, 3, 2)
    rows, columns = torch.split(F.hardswish(net.mix(torch.cat([rows, columns], 2))), x.shape[2:], 2)
    return x * torch.sigmoid(net.rows(rows)) * torch.sigmoid(net.columns(columns.permute(0, 1, 3, 2)))


FIXED = {
    "pools of lines": (pooled_lines, THREE),
    "pools of everything": (
        lambda net, x: x * torch.sigmoid(net.mix(F.adaptive_max_pool2d(x, 1)) + net.mix(F.adaptive_avg_pool2d(x, 1))),
        THREE,
    ),
    "noise levels": (noisy, THREE),
    "contrast": (contrast, THREE),
}


@pytest.mark.parametrize("name", FIXED)
def test_what_a_file_for_one_size_takes_for_granted(name, tmp_path):
    """Windows as large as the map, numbers of pixels, whole maps of one number: at other sizes they are others."""
    torch.manual_seed(0)
    function, layers = FIXED[name]
    module = Inside(function, **{key: layer() for key, layer in layers.items()}).eval()
    file = io.BytesIO()
    torch.onnx.export(module, (torch.rand(1, 3, 24, 36),), file, opset_version=13, dynamo=False)
    (tmp_path / "net.onnx").write_bytes(file.getvalue())
    source = from_onnx_file(tmp_path / "net.onnx", "net", None, 255.0)
    for height, width in SIZES:
        image = random_image(source.graph, max(height, 16), width)
        with torch.inference_mode():
            expected = module(torch.from_numpy(image)).numpy()
        np.testing.assert_allclose(reference.run(source.graph, image), expected, rtol=1e-4, atol=1e-3)


def test_attention_between_pixels_is_refused_by_name():
    attention = Inside(of_tokens(lambda net, t: torch.softmax(t @ t.transpose(1, 2), -1) @ t))
    with pytest.raises(SparsrError, match="matrix products"):
        lower_onnx(by_script(attention), "net", "net", None, 255.0)


def test_an_older_bilinear_enlargement_begins_at_the_first_pixel():
    """Opset 10 knows no coordinates but asymmetric ones."""
    nodes = [
        onnx.helper.make_node("Resize", ["x", "s"], ["y"], "resize", mode="linear"),
    ]
    ends = [onnx.helper.make_tensor_value_info(name, 1, [1, 3, None, None]) for name in ("x", "y")]
    scales = onnx.numpy_helper.from_array(np.float32([1, 1, 3, 3]), "s")
    body = onnx.helper.make_graph(nodes, "made", ends[:1], ends[1:], [scales])
    model = onnx.helper.make_model(body, opset_imports=[onnx.helper.make_opsetid("", 10)], ir_version=6)
    graph = lower_onnx(checked_onnx(model, "net"), "net", "net", None, 255.0)
    line = np.float32([0, 30, 90])
    image = np.broadcast_to(line, (1, 3, 2, 3)).copy()
    expected = [0, 10, 20, 30, 50, 70, 90, 90, 90]
    np.testing.assert_allclose(reference.run(graph, image)[0, 0, 0], expected, atol=1e-4)
