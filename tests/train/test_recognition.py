"""Other authors' names and layouts, read as the published formulas say: each is written out here a second time."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sparsr.runtime.errors import SparsrError
from sparsr.train.importers import import_official
from sparsr.train.importers.models import load_model
from sparsr.train.networks import ARCHITECTURES
from sparsr.train.networks.recognition import MisfitError

torch.set_num_threads(1)
IN_0_TO_1 = {"value_range": 1.0}


class Weights(dict):
    """A state dict that grows as the formula under test asks for weights, and applies them."""

    def __init__(self, seed=0):
        self.generator = torch.Generator().manual_seed(seed)

    def random(self, *shape):
        return torch.randn(shape, generator=self.generator) / max(1, np.prod(shape[1:])) ** 0.5

    def conv(self, name, x, outputs, kernel=3, bias=True, padding=None, **options):
        if f"{name}.weight" not in self:
            self[f"{name}.weight"] = self.random(outputs, x.shape[1], kernel, kernel)
            if bias:
                self[f"{name}.bias"] = self.random(outputs)
        padding = kernel // 2 if padding is None else padding
        return F.conv2d(x, self[f"{name}.weight"], self.get(f"{name}.bias"), padding=padding, **options)

    def prelu(self, name, x):
        if f"{name}.weight" not in self:
            self[f"{name}.weight"] = self.random(x.shape[1])
        return F.prelu(x, self[f"{name}.weight"])


def check(tmp_path, state, image, expected, assume=IN_0_TO_1, scale=None):
    torch.save(dict(state), tmp_path / "net.pth")
    network, card = import_official(tmp_path / "net.pth", scale, assume)
    restore = network.restore if image.shape[1] == 1 else network
    with torch.inference_mode():
        torch.testing.assert_close(restore(image), expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))
    assert expected.std() > 1e-3
    return network, card


def picture(height=9, width=12, colours=3):
    return torch.rand(1, colours, height, width, generator=torch.Generator().manual_seed(1))


# RRDBNet, by the names of ESRGAN's second release.


def rrdb(weights, x, enlargements, unshuffle=1):
    x = F.pixel_unshuffle(x, unshuffle)
    shallow = deep = weights.conv("conv_first", x, 8)
    for block in range(2):
        start = deep
        for dense in (1, 2, 3):
            maps, before = [deep], deep
            for index in range(1, 5):
                name = f"RRDB_trunk.{block}.RDB{dense}.conv{index}"
                maps.append(F.leaky_relu(weights.conv(name, torch.cat(maps, 1), 4), 0.2))
            deep = before + 0.2 * weights.conv(f"RRDB_trunk.{block}.RDB{dense}.conv5", torch.cat(maps, 1), 8)
        deep = start + 0.2 * deep
    x = shallow + weights.conv("trunk_conv", deep, 8)
    for number in range(1, enlargements + 1):
        x = F.leaky_relu(weights.conv(f"upconv{number}", F.interpolate(x, scale_factor=2), 8), 0.2)
    return weights.conv("conv_last", F.leaky_relu(weights.conv("HRconv", x, 8), 0.2), 3)


def first_names(name, enlargements):
    """ESRGAN's first release: one sequence, whose numbers count activations and enlargements too."""
    after = 3 * enlargements
    name = re.sub(r"RRDB_trunk\.(\d+)\.RDB(\d)\.conv(\d)", r"model.1.sub.\1.RDB\2.conv\3.0", name)
    name = re.sub(r"upconv(\d)", lambda match: f"model.{3 * int(match[1])}", name)
    ends = {"trunk_conv": "model.1.sub.2", "conv_first": "model.0"}
    for old, new in (ends | {"HRconv": f"model.{after + 2}", "conv_last": f"model.{after + 4}"}).items():
        name = name.replace(old, new)
    return name


def third_names(name, enlargements):
    """BasicSR's."""
    name = re.sub(r"RRDB_trunk\.(\d+)\.RDB(\d)", r"body.\1.rdb\2", name)
    for old, new in {"trunk_conv": "conv_body", "upconv": "conv_up", "HRconv": "conv_hr"}.items():
        name = name.replace(old, new)
    return name


@pytest.mark.parametrize("names", [first_names, lambda name, _: name, third_names])
@pytest.mark.parametrize("enlargements", [1, 2, 3])
def test_rrdb_under_all_its_names(tmp_path, names, enlargements):
    weights = Weights()
    expected = rrdb(weights, picture(), enlargements)
    state = {names(name, enlargements): tensor for name, tensor in weights.items()}
    _, card = check(tmp_path, state, picture(), expected)
    assert (card.architecture, card.scale) == ("rrdb", 2**enlargements)
    assert (card.options["channels"], card.options["blocks"], card.options["growth"]) == (8, 2, 4)


@pytest.mark.parametrize(("unshuffle", "scale"), [(2, 2), (4, 1)])
def test_rrdb_whose_image_enters_as_blocks_of_pixels(tmp_path, unshuffle, scale):
    weights = Weights()
    expected = rrdb(weights, picture(12, 16), 2, unshuffle)
    state = {third_names(name, 2): tensor for name, tensor in weights.items()}
    network, _ = check(tmp_path, state, picture(12, 16), expected)
    assert network.scale == scale
    assert network(picture(7, 9)).shape == (1, 3, 7 * scale, 9 * scale)


def test_rrdb_of_many_channels_is_refused(tmp_path):
    weights = Weights()
    rrdb(weights, picture(colours=4), 2)
    torch.save(dict(weights), tmp_path / "net.pth")
    with pytest.raises(SparsrError, match=r"net\.pth takes 4 channels"):
        import_official(tmp_path / "net.pth")


# SPAN as it is trained: every convolution a sum of branches.


def conv3xc(weights, name, x, outputs, stale=True):
    wide = weights.conv(f"{name}.conv.0", F.pad(x, (1, 1, 1, 1)), 2 * x.shape[1], 1)
    wide = weights.conv(f"{name}.conv.1", wide, 2 * outputs, 3, padding=0)
    result = weights.conv(f"{name}.conv.2", wide, outputs, 1) + weights.conv(f"{name}.sk", x, outputs, 1)
    if stale:  # the authors' copy of the sum, as it is in a file saved during training
        weights.conv(f"{name}.eval_conv", x, outputs)
    return result


@pytest.mark.parametrize("normalised", [True, False])
def test_span_in_its_training_form(tmp_path, normalised):
    weights, image = Weights(), picture()
    mean = torch.tensor([0.4488, 0.4371, 0.4040])[None, :, None, None]
    x = conv3xc(weights, "conv_1", (image - mean) * 255 if normalised else image, 8)
    outputs = [x]
    for block in (1, 2):
        first = F.silu(conv3xc(weights, f"block_{block}.c1_r", outputs[-1], 8))
        second = F.silu(conv3xc(weights, f"block_{block}.c2_r", first, 8))
        third = conv3xc(weights, f"block_{block}.c3_r", second, 8)
        outputs.append((third + outputs[-1]) * (torch.sigmoid(third) - 0.5))
    joined = torch.cat([x, conv3xc(weights, "conv_2", outputs[-1], 8), outputs[1], first], 1)
    expected = F.pixel_shuffle(weights.conv("upsampler.0", weights.conv("conv_cat", joined, 8, 1), 12), 2)
    if not normalised:
        weights["no_norm"] = torch.zeros(1)
    assume = {"activated": True} | ({"normalised": True} if normalised else {})
    _, card = check(tmp_path, weights, image, expected, assume)
    assert card.options == {"channels": 8, "blocks": 2, "normalised": normalised, "activated": True}


# PAN.


def pan(weights, image, factors):
    def leaky(x):
        return F.leaky_relu(x, 0.2)

    shallow = x = weights.conv("conv_first", image, 8)
    for block in range(2):
        name = f"SCPA_trunk.{block}"
        plain = leaky(weights.conv(f"{name}.conv1_a", x, 4, 1, bias=False))
        plain = leaky(weights.conv(f"{name}.k1.0", plain, 4, bias=False))
        other = leaky(weights.conv(f"{name}.conv1_b", x, 4, 1, bias=False))
        gate = torch.sigmoid(weights.conv(f"{name}.PAConv.k2", other, 4, 1))
        other = weights.conv(f"{name}.PAConv.k3", other, 4, bias=False) * gate
        other = leaky(weights.conv(f"{name}.PAConv.k4", other, 4, bias=False))
        x = x + weights.conv(f"{name}.conv3", torch.cat([plain, other], 1), 8, 1, bias=False)
    x = shallow + weights.conv("trunk_conv", x, 8)
    for number, factor in enumerate(factors, 1):
        x = weights.conv(f"upconv{number}", F.interpolate(x, scale_factor=factor), 6)
        x = leaky(x * torch.sigmoid(weights.conv(f"att{number}.conv", x, 6, 1)))
        x = leaky(weights.conv(f"HRconv{number}", x, 6))
    enlarged = F.interpolate(image, scale_factor=int(np.prod(factors)), mode="bilinear", align_corners=False)
    return weights.conv("conv_last", x, 3) + enlarged


def test_pan_x4(tmp_path):
    weights = Weights()
    _, card = check(tmp_path, weights, picture(), pan(weights, picture(), (2, 2)))
    assert (card.architecture, card.scale, card.options["inner"]) == ("pan", 4, 6)


@pytest.mark.parametrize("scale", [2, 3])
def test_pan_x2_and_x3_have_the_same_weights_and_the_scale_is_asked_for(tmp_path, scale):
    weights = Weights()
    expected = pan(weights, picture(), (scale,))
    check(tmp_path, weights, picture(), expected, scale=scale)
    check(tmp_path, weights, picture(), expected, IN_0_TO_1 | {"scale": scale})
    with pytest.raises(SparsrError, match="scale is 2 or 3") as caught:
        import_official(tmp_path / "net.pth", assume=IN_0_TO_1)
    assert "--assume scale=2" in caught.value.hint
    with pytest.raises(SparsrError, match="cannot be 4"):
        import_official(tmp_path / "net.pth", 4)


# FSRCNN with its transposed convolution.


def fsrcnn(weights, image, scale, words):
    first, last = ("feature_extraction", "deconv") if words else ("first_part", "last_part")
    middle = ["shrink.0", "shrink.1", "map.0", "map.1", "map.2", "map.3", "expand.0", "expand.1"]
    middle = middle if words else [f"mid_part.{place}" for place in range(8)]
    x = weights.prelu(f"{first}.1", weights.conv(f"{first}.0", image, 8, 5))
    for index, (outputs, kernel) in enumerate(((4, 1), (4, 3), (4, 3), (8, 1))):
        x = weights.prelu(middle[2 * index + 1], weights.conv(middle[2 * index], x, outputs, kernel))
    weights[f"{last}.weight"] = weights.random(8, image.shape[1], 9, 9)
    weights[f"{last}.bias"] = weights.random(image.shape[1])
    return F.conv_transpose2d(x, weights[f"{last}.weight"], weights[f"{last}.bias"], scale, 4, scale - 1)


@pytest.mark.parametrize("words", [False, True])
@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_fsrcnn_under_both_names(tmp_path, words, colours, scale):
    weights, image = Weights(), picture(colours=colours)
    expected = fsrcnn(weights, image, scale, words)
    _, card = check(tmp_path, weights, image, expected, scale=scale)
    assert (card.architecture, card.scale) == ("fsrcnn", scale)
    assert (card.options["channels"], card.options["inner"], card.options["blocks"]) == (8, 4, 2)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_scale_of_a_transposed_convolution_shows_in_the_brightness(tmp_path, scale):
    # An FSRCNN that enlarges bilinearly: the first channel is handed through, 0..1 stays positive.
    weights = Weights()
    fsrcnn(weights, picture(colours=1), scale, words=False)
    for name, tensor in weights.items():
        tensor.zero_()
        if name.endswith("weight") and tensor.dim() == 4:
            tensor[0, 0, tensor.shape[2] // 2, tensor.shape[3] // 2] = 1
        elif name.endswith("weight"):
            tensor.fill_(1)
    line = (1 - (torch.arange(9.0) - 4).abs() / scale).clamp_min(0)
    weights["last_part.weight"][0, 0] = line[:, None] * line
    torch.save(dict(weights), tmp_path / "net.pth")
    with pytest.raises(SparsrError) as caught:  # without biases the range cannot show, but the scale does
        import_official(tmp_path / "net.pth")
    assert "value_range is" in str(caught.value) and "scale is" not in str(caught.value)
    assert import_official(tmp_path / "net.pth", assume=IN_0_TO_1)[0].scale == scale


# DnCNN with batch normalisation.


@pytest.mark.parametrize(("prefix", "epsilon", "bias"), [("model.", 1e-4, True), ("dncnn.", 1e-5, False)])
@pytest.mark.parametrize("colours", [1, 3])
def test_dncnn_with_batch_normalisation(tmp_path, prefix, epsilon, bias, colours):
    weights, image = Weights(), picture(colours=colours)
    x = F.relu(weights.conv(f"{prefix}0", image, 6, bias=bias))
    for place in (2, 5):
        x, norm = weights.conv(f"{prefix}{place}", x, 6, bias=bias), f"{prefix}{place + 1}"
        for key in ("weight", "bias", "running_mean", "running_var"):
            weights[f"{norm}.{key}"] = weights.random(6)
        weights[f"{norm}.running_var"] = weights[f"{norm}.running_var"].square() / 100
        weights[f"{norm}.num_batches_tracked"] = torch.tensor(3)
        statistics = [weights[f"{norm}.{key}"] for key in ("running_mean", "running_var", "weight", "bias")]
        x = F.relu(F.batch_norm(x, *statistics, eps=epsilon))
    expected = image - weights.conv(f"{prefix}8", x, colours, bias=bias)
    _, card = check(tmp_path, weights, image, expected, IN_0_TO_1 | {"residual": True})
    assert (card.architecture, card.options["blocks"], card.options["colours"]) == ("dncnn", 2, colours)


def test_a_chain_to_other_sizes_is_no_dncnn(tmp_path):
    weights = Weights()
    x = weights.conv("model.0", picture(), 6)
    weights.conv("model.4", weights.conv("model.2", x, 6), 12)
    torch.save(dict(weights), tmp_path / "net.pth")
    with pytest.raises(SparsrError, match="not one from an image to an image of its size"):
        import_official(tmp_path / "net.pth")


# Compact, where no slopes are stored.


@pytest.mark.parametrize("slope", [0.0, 0.1])
def test_compact_with_one_activation_for_all(tmp_path, slope):
    weights, image = Weights(), picture()
    x = image
    for place in (0, 2, 4):
        x = F.leaky_relu(weights.conv(f"body.{place}", x, 6), slope)
    expected = F.pixel_shuffle(weights.conv("body.6", x, 27), 3) + F.interpolate(image, scale_factor=3)
    _, card = check(tmp_path, weights, image, expected, IN_0_TO_1 | {"slope": slope})
    assert (card.architecture, card.scale, card.options["blocks"]) == ("compact", 3, 2)
    with pytest.raises(SparsrError, match=r"slope is 0 or 0\.1|slope is 0\.1 or 0"):
        import_official(tmp_path / "net.pth", assume=IN_0_TO_1)


# What no architecture may do with weights it does not expect.


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_foreign_weights_are_not_mistaken(architecture):
    recognise = ARCHITECTURES[architecture].recognise
    for state in ({}, {"conv.weight": torch.zeros(3, 3, 3, 3)}, {"block_1.weight": torch.zeros(2)}):
        try:
            assert recognise(state, None) is None
        except MisfitError:
            pytest.fail("it takes these for its own")


def test_two_architectures_with_the_same_names_are_asked_about(tmp_path, monkeypatch):
    weights, image = Weights(), picture()
    expected = pan(weights, image, (2, 2))
    twin = ARCHITECTURES["pan"].__class__(**vars(ARCHITECTURES["pan"]))
    monkeypatch.setitem(ARCHITECTURES, "twin", twin)
    torch.save(dict(weights), tmp_path / "net.pth")
    with pytest.raises(SparsrError, match="architecture is pan or twin") as caught:
        load_model(tmp_path / "net.pth", assume=IN_0_TO_1)
    assert "--assume architecture=pan" in caught.value.hint
    check(tmp_path, weights, image, expected, IN_0_TO_1 | {"architecture": "twin"})
    with pytest.raises(SparsrError, match="cannot be rfdn"):
        load_model(tmp_path / "net.pth", assume={"architecture": "rfdn"})


@pytest.mark.parametrize("cut", [1, 7, 300, 3000])
def test_damaged_tensorflow_graphs_are_refused(tmp_path, shared_data, cut):
    source = shared_data / "foreign/FSRCNN_Tensorflow/FSRCNN-small_x3.pb"
    if not source.exists():
        pytest.skip("the public networks are not here")
    content = source.read_bytes()
    for damaged in (content[:-cut], content[cut:], b"\x0a\xff\xff\xff\xff\x07" + content, b"\xff" * cut, b"text"):
        (tmp_path / "net.pb").write_bytes(damaged)
        with pytest.raises(SparsrError, match=r"net\.pb"):
            load_model(tmp_path / "net.pb")
