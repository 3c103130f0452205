"""What exporters make of common modules: against ONNX Runtime on the file itself, at sizes that were not looked at."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from sparsr.export.ir import reference
from sparsr.export.lower import phases
from sparsr.export.lower.from_onnx import lower_onnx
from sparsr.export.lower.onnx_file import checked_onnx
from sparsr.export.lower.size_rule import SizeRule
from sparsr.export.passes import optimise
from sparsr.export.source import from_onnx_file
from sparsr.runtime.errors import SparsrError
from tests.export.graphs import random_image
from tests.export.onnx_models import integers, model, normal

WIDE = ("Conv", ["x", "w12"], "a", {})
NARROW = ("Conv", ["b", "w3"], "y", {})
SIZE = [
    ("Shape", ["a"], "s", {}),
    ("Gather", ["s", "i2"], "h", {}),
    ("Gather", ["s", "i3"], "w", {}),
]
WEIGHTS = {
    "w12": normal(12, 3, 1, 1), "w3": normal(3, 12, 1, 1), "c": normal(1, 12, 1, 1), "half": np.float32(0.5),
    "up": normal(12, 2, 4, 4), "down": normal(8, 3, 1, 1), "dup": normal(12, 3, 3, 3), "w24": normal(3, 24, 1, 1),
    "i0": integers(0), "i1": integers(1), "i2": integers(2), "i3": integers(3), "one": integers(1),
    "big": integers(2**60),
    "two": integers(2), "three": integers(3), "four": integers(4), "twelve": integers(12), "hw": integers(2, 3),
    "turn": integers(2, 1, 0), "gain": normal(12) + 1, "shift": normal(12),
    "unit": np.ones(3, np.float32), "none": np.zeros(3, np.float32), "group": integers(0, 3, -1), "last": integers(-1),
    "four_wide": integers(1, 4, 1, 1), "w9": normal(9, 3, 1, 1), "small": normal(12, 12, 2, 2), "back": integers(-12),
}  # fmt: skip
POOL = {"kernel_shape": [3, 3], "pads": [1] * 4}
KINDS = {
    "max with a number": [WIDE, ("Max", ["a", "half"], "b", {}), NARROW],
    "min with one a channel": [WIDE, ("Min", ["c", "a"], "b", {}), NARROW],
    "max with one a channel": [WIDE, ("Max", ["a", "c"], "b", {}), NARROW],
    "max of maps": [WIDE, ("Neg", ["a"], "n", {}), ("Max", ["a", "n"], "b", {}), NARROW],
    "min of maps": [WIDE, ("Tanh", ["a"], "n", {}), ("Min", ["a", "n"], "b", {}), NARROW],
    "absolute": [WIDE, ("Abs", ["a"], "b", {}), NARROW],
    "sum": [WIDE, ("Neg", ["a"], "n", {}), ("Relu", ["a"], "r", {}), ("Sum", ["a", "n", "r"], "b", {}), NARROW],
    "a pixel added": [WIDE, ("GlobalMaxPool", ["a"], "m", {}), ("Sub", ["a", "m"], "b", {}), NARROW],
    "largest channel": [WIDE, ("ReduceMax", ["a"], "m", {"axes": [1]}), ("Mul", ["a", "m"], "b", {}), NARROW],
    "smallest of nine": [
        ("Conv", ["x", "w9"], "n", {}), ("ReduceMin", ["n"], "m", {"axes": [1]}), ("Mul", ["x", "m"], "y", {}),
    ],
    "channel sum": [WIDE, ("ReduceSum", ["a", "i1"], "m", {}), ("Mul", ["a", "m"], "b", {}), NARROW],
    "pools with borders": [
        WIDE, ("MaxPool", ["a"], "m", POOL), ("AveragePool", ["m"], "b", POOL | {"count_include_pad": 1}), NARROW,
    ],
    "transposed in groups": [
        WIDE, ("ConvTranspose", ["a", "up"], "d", {"strides": [2, 2], "pads": [1] * 4, "group": 4}),
        ("Conv", ["d", "down8"], "y", {}),
    ],
    "transposed, dilated": [WIDE, ("ConvTranspose", ["a", "dup"], "y", {"pads": [2] * 4, "dilations": [2, 2]})],
    "channel shuffle": [
        WIDE, *SIZE, ("Concat", ["one", "four", "three", "h", "w"], "t", {"axis": 0}), ("Reshape", ["a", "t"], "r", {}),
        ("Transpose", ["r"], "p", {"perm": [0, 2, 1, 3, 4]}), ("Concat", ["one", "twelve", "h", "w"], "u", {"axis": 0}),
        ("Reshape", ["p", "u"], "b", {}), NARROW,
    ],
    "repeated channels": [
        ("Unsqueeze", ["x", "two"], "q", {}), ("Tile", ["q", "tile"], "r", {}), ("Shape", ["x"], "s", {}),
        ("Gather", ["s", "i2"], "h", {}), ("Gather", ["s", "i3"], "w", {}),
        ("Concat", ["one", "twelve", "h", "w"], "u", {"axis": 0}), ("Reshape", ["r", "u"], "a", {}),
        ("DepthToSpace", ["a"], "y", {"blocksize": 2, "mode": "CRD"}),
    ],
    "blue first": [("Gather", ["x", "turn"], "y", {"axis": 1})],
    "channels backwards": [WIDE, ("Slice", ["a", "last", "back2", "i1", "last"], "b", {}), NARROW],
    "expanded pixel": [
        WIDE, ("GlobalAveragePool", ["a"], "m", {}), ("Shape", ["a"], "s", {}), ("Expand", ["m", "s"], "e", {}),
        ("Mul", ["a", "e"], "b", {}), NARROW,
    ],
    "cut by the image": [
        ("Conv", ["x", "w3x3"], "p", {"strides": [2, 2], "pads": [1] * 4}),
        ("Resize", ["p", "", "scales"], "r", {"mode": "linear"}), ("Shape", ["x"], "s", {}),
        ("Gather", ["s", "i2"], "h", {}), ("Gather", ["s", "i3"], "w", {}),
        ("Slice", ["r", "i0", "h", "i2"], "q", {}), ("Slice", ["q", "i0", "w", "i3"], "y", {}),
    ],
    "channels mixed by a convolution along them": [
        WIDE, ("GlobalAveragePool", ["a"], "m", {}), ("Squeeze", ["m", "i3"], "q", {}),
        ("Transpose", ["q"], "t", {"perm": [0, 2, 1]}), ("Conv", ["t", "along"], "v", {"pads": [1, 1]}),
        ("Transpose", ["v"], "u", {"perm": [0, 2, 1]}), ("Unsqueeze", ["u", "i3"], "g", {}),
        ("Mul", ["a", "g"], "b", {}),
        NARROW,
    ],
    "group norm": [
        WIDE, ("Reshape", ["a", "group"], "g", {}), ("InstanceNormalization", ["g", "unit", "none"], "n", {}),
        ("Shape", ["a"], "s", {}), ("Reshape", ["n", "s"], "b", {}), NARROW,
    ],
    "group norm, one operator": [
        WIDE, ("GroupNormalization", ["a", "gain", "shift"], "b", {"num_groups": 3}), NARROW,
    ],
}  # fmt: skip
WEIGHTS |= {
    "down8": normal(3, 8, 1, 1), "tile": integers(1, 1, 4, 1, 1), "back2": integers(-(2**60)), 
    "w3x3": normal(3, 3, 3, 3),
    "along": normal(1, 1, 3),
    "scales": np.float32([1, 1, 2, 2]),
}  # fmt: skip


def of_nodes(nodes, **options):
    used = {operand for _, inputs, _, _ in nodes for operand in inputs}
    return model(*nodes, weights={key: value for key, value in WEIGHTS.items() if key in used}, **options)


def compare(foreign, graph, sizes=((7, 10), (12, 12), (9, 5))):
    session = onnxruntime.InferenceSession(foreign.SerializeToString(), providers=["CPUExecutionProvider"])
    for height, width in sizes:
        image = random_image(graph, height, width)
        (expected,) = session.run(None, {session.get_inputs()[0].name: image})
        limit = 2e-6 * max(1, np.abs(expected).max())
        for found in (graph, optimise(graph)[0]):
            np.testing.assert_allclose(reference.run(found, image), expected, rtol=1e-5, atol=limit)


@pytest.mark.parametrize("name", KINDS)
def test_what_exporters_write_computes_the_same(name):
    foreign = of_nodes(KINDS[name], opset=21 if "one operator" in name else 13)
    compare(foreign, lower_onnx(checked_onnx(foreign, name), name, name, None, 255.0))


@pytest.mark.parametrize(("channels", "groups"), [(12, 3), (16, 1), (6, 3), (48, 1), (10, 5), (4, 4)])
def test_group_norm_by_squares(channels, groups):
    import torch

    norm = torch.nn.GroupNorm(groups, channels).double()
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    gain, shift = (value.detach().numpy() for value in (norm.weight, norm.bias))
    steps = phases.group_norm(gain, shift, groups, norm.eps)
    x = np.random.default_rng(0).normal(2, 3, (1, channels, 5, 7))
    values = x
    for _, layer in steps:
        values = layer.reference(values)
    np.testing.assert_allclose(values, norm(torch.from_numpy(x)).detach().numpy(), rtol=1e-6, atol=1e-6)


def test_groups_that_fill_no_square_are_refused_by_name():
    assert phases.group_norm(np.ones(11, np.float32), np.ones(11, np.float32), 1, 1e-5) is None


UNSHUFFLE = [
    ("SpaceToDepth", ["x"], "a", {"blocksize": 2}),
    ("Conv", ["a", "w12x12"], "r", {}),
    ("DepthToSpace", ["r"], "y", {"blocksize": 2}),
]
EVERY_SECOND = [
    ("Slice", ["x", "i0", "big", "i2", "two"], "a", {}),
    ("Slice", ["a", "i0", "big", "i3", "two"], "b", {}),
    ("Slice", ["a", "i1", "big", "i3", "two"], "c2", {}),
    ("Slice", ["x", "i1", "big", "i2", "two"], "d", {}),
    ("Slice", ["d", "i0", "big", "i3", "two"], "e", {}),
    ("Slice", ["d", "i1", "big", "i3", "two"], "f", {}),
    ("Concat", ["b", "c2", "e", "f"], "g", {"axis": 1}),
    ("Conv", ["g", "w12x12"], "r", {}),
    ("DepthToSpace", ["r"], "y", {"blocksize": 2}),
]
WEIGHTS["w12x12"] = normal(12, 12, 1, 1)


@pytest.mark.parametrize("nodes", [UNSHUFFLE, EVERY_SECOND])
def test_a_network_for_even_sizes_takes_any(nodes):
    """Odd rows and columns are repeated, and the result is cut."""
    foreign = of_nodes(nodes)
    graph = lower_onnx(checked_onnx(foreign, "net"), "net", "net", None, 255.0)
    compare(foreign, graph, ((6, 10), (12, 4)))
    session = onnxruntime.InferenceSession(foreign.SerializeToString(), providers=["CPUExecutionProvider"])
    image = random_image(graph, 7, 9)
    (expected,) = session.run(None, {"x": np.pad(image, ((0, 0), (0, 0), (0, 1), (0, 1)), mode="edge")})
    np.testing.assert_allclose(reference.run(graph, image), expected[:, :, :7, :9], rtol=1e-5, atol=1e-4)


def test_an_image_grows_to_a_multiple_by_repeating():
    image = np.random.default_rng(0).random((1, 3, 9, 14)).astype(np.float32)
    for multiple in (2, 4, 8, 16):
        large = SizeRule(1, 0, multiple).grown(image)
        assert [side % multiple for side in large.shape[2:]] == [0, 0]
        np.testing.assert_array_equal(large[:, :, :9, :14], image)
        assert set(large[0, 0].ravel()) <= set(image[0, 0].ravel())


BAKED = [
    WIDE, ("MaxPool", ["a"], "m", {"kernel_shape": [2, 2], "strides": [2, 2]}),
    ("Resize", ["m", "", "", "as_a"], "r", {"mode": "linear"}), ("Mul", ["a", "r"], "n", {}),
    ("Reshape", ["n", "blocks"], "q", {}), ("Transpose", ["q"], "t", {"perm": [0, 1, 4, 2, 5, 3]}),
    ("Reshape", ["t", "large"], "y", {}),
]  # fmt: skip
WEIGHTS |= {
    "as_a": integers(1, 12, 10, 14),
    "blocks": integers(1, 3, 2, 2, 10, 14),
    "large": integers(1, 3, 20, 28),
}


def test_sizes_written_into_a_file_are_followed(tmp_path):
    """As torch writes pixel shuffles and interpolations to another map's size, without free dimensions."""
    import torch
    from torch.nn import functional as F

    foreign = of_nodes(BAKED, size=(10, 14))
    onnx.save(foreign, tmp_path / "net.onnx")
    source = from_onnx_file(tmp_path / "net.onnx", "net", None, 255.0)
    image = random_image(source.graph, 13, 20)
    x = torch.from_numpy(image)
    a = F.conv2d(x, torch.from_numpy(WEIGHTS["w12"]))
    expected = F.pixel_shuffle(a * F.interpolate(F.max_pool2d(a, 2), a.shape[2:], mode="bilinear"), 2).numpy()
    for result in (reference.run(source.graph, image), source.run(image)):
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_a_file_for_one_size_whose_graph_is_another_is_refused(tmp_path):
    """A crop written as an end is no crop of the other sizes; what a file cannot be shown to do is not exported."""
    nodes = [("Shape", ["x"], "s", {}), ("Cast", ["s"], "f", {"to": 1}), ("Mul", ["x", "f"], "y", {})]
    onnx.save(of_nodes(nodes, size=(4, 4)), tmp_path / "net.onnx")
    with pytest.raises(SparsrError):
        from_onnx_file(tmp_path / "net.onnx", "net", None, 255.0)
