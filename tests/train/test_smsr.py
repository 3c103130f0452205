"""SMSR: the masks' semantics against the published formulas, and the official weights in every module."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sparsr.runtime.errors import SparsrError
from sparsr.train.importers.models import load_model
from sparsr.train.networks import build
from sparsr.train.networks.sizes import CropLike, PadToEven
from sparsr.train.networks.smsr import mask_blocks
from sparsr.train.networks.sparse_masks import Relaxation, SparseMaskBlock, spatial_mask
from sparsr.train.networks.tracing import trace
from sparsr.train.pruning.channel_groups import channel_groups
from sparsr.train.smsr.training import Smsr, SmsrSettings
from tests.small_networks import image, small

torch.set_num_threads(1)
OFFICIAL = "checkpoints/SMSR_x2_model_1000.pt"


@pytest.fixture(scope="module")
def official(shared_data):
    return load_model(shared_data / OFFICIAL)[0]


def block_and_input(seed=0, channels=6, n=2, h=5, w=7):
    torch.manual_seed(seed)
    return SparseMaskBlock(channels).eval(), torch.randn(n, channels, h, w), torch.randn(n, 2, h, w)


def inference_by_cases(block, features, logits):
    """The paper's definition: full convolutions where the mask is 1, from dense to dense channels elsewhere."""
    m = (logits[:, 1:] > logits[:, :1]).float()
    x, previous, kept = features, torch.ones(features.shape[1]), []
    for layer, conv in enumerate(block.body):
        wins = block.ch_mask[0, :, layer, 0] > block.ch_mask[0, :, layer, 1]
        d = wins.float()[:, None, None]
        full = F.conv2d(x, conv.weight, padding=1)
        dense = d * F.conv2d(x * previous[:, None, None], conv.weight, padding=1)
        x = F.relu(m * full + (1 - m) * dense)
        kept.append(x)
        previous = wins.float()
    return F.conv2d(torch.cat(kept, 1), block.collect.weight, block.collect.bias)


def test_inference_is_the_papers_four_cases():
    for seed in range(5):
        block, features, logits = block_and_input(seed)
        torch.testing.assert_close(block(features, logits), inference_by_cases(block, features, logits))


@pytest.mark.parametrize("channel", ["none dense", "all dense", "mixed"])
@pytest.mark.parametrize("pixel", ["none", "all", "one", "mixed"])
def test_degenerate_masks(channel, pixel):
    block, features, logits = block_and_input()
    with torch.no_grad():
        if channel != "mixed":
            block.ch_mask[..., 0] = 2.0 if channel == "all dense" else -1.0
        if pixel != "mixed":
            logits[:, 1] = logits[:, 0] + (1 if pixel == "all" else -1)
        if pixel == "one":
            logits[:, 1, 2, 3] += 2
    assert spatial_mask(logits).sum() == {"none": 0, "all": 70, "one": 2}.get(pixel, spatial_mask(logits).sum())
    torch.testing.assert_close(block(features, logits), inference_by_cases(block, features, logits))


def test_an_unmasked_pixel_never_reads_a_sparse_channel():
    """Not the same as masking the output: beside the mask's border the sparse inputs must be left out."""
    block, features, logits = block_and_input(3)
    convs, whole = [conv.weight for conv in block.body], features
    kept = []
    for layer, weight in enumerate(convs):
        eta = (block.dense_channels()[layer].float()[:, None, None] + spatial_mask(logits)).clamp(max=1)
        whole = F.relu(F.conv2d(whole, weight, padding=1) * eta)
        kept.append(whole)
    masked_output = F.conv2d(torch.cat(kept, 1), block.collect.weight, block.collect.bias)
    assert (block(features, logits) - masked_output).abs().max() > 1e-2


def test_ties_are_sparse():
    block, _, logits = block_and_input()
    with torch.no_grad():
        block.ch_mask.fill_(0.3)
    assert not block.dense_channels().any()
    assert not spatial_mask(torch.zeros_like(logits)).any()


def test_training_is_the_published_formula():
    """Section 5.2's form with the input split by the previous layer's masks (the code's corrected index)."""
    block, features, logits = block_and_input(1)
    block.train()
    block.relaxation = Relaxation(0.7, (1, 2, 3))
    m = block.relaxation.softmax(logits, 1, shared=False)[:, 1:]
    masks = block.relaxation.softmax(block.ch_mask, 3, shared=True)
    x, kept, etas = features, [], []
    last_d = last_e = torch.zeros(())
    for layer, conv in enumerate(block.body):
        d, e = (masks[:, :, layer, i, None, None] for i in (0, 1))
        if layer == 0:
            a = conv_of(conv, x)
            x = F.relu(a * e * m + a * d)
        else:
            a, b = conv_of(conv, x * last_d), conv_of(conv, x * last_e)
            x = F.relu(a * e * m + a * d + b * e * m + b * d * m)
        last_d, last_e = d, e
        kept.append(x)
        etas.append(e * m + d)
    torch.testing.assert_close(block(features, logits), block.collect(torch.cat(kept, 1)))
    torch.testing.assert_close(block.activity, torch.stack(etas).mean())


def test_the_penalty_reaches_all_masks_and_the_network_can_be_copied_after_it():
    network = build("smsr", 2, channels=8, blocks=2).train()
    phase = Smsr(SmsrSettings("smsr", sparsity_weight=2.0, warm_up_steps=0)).fine_tuning(9, lambda _: 1.0)
    network = phase.begin(network)
    phase.before_forward(network, 5)
    network(image(network, 6, 8))
    activity = sum(float(block.activity.detach()) for block in mask_blocks(network)) / 2
    penalty = phase.penalty(network, 5)
    assert float(penalty.detach()) == pytest.approx(2 * activity)
    penalty.backward()
    for module in network.body:
        assert module.body.ch_mask.grad.any() and module.spa_mask[5].bias.grad.any()
    assert network.body[-1].body.collect.weight.grad is None  # nothing follows it that has masks
    copy.deepcopy(network)


def test_masks_need_their_method_and_the_method_needs_masks():
    network = build("smsr", 2, channels=8, blocks=1).train()
    with pytest.raises(SparsrError, match="nothing says how"):
        network(image(network, 6, 8))
    plain = build("smsr", 2, channels=8, blocks=1, spatial=False, channel=False)
    with pytest.raises(SparsrError, match="no sparse masks"):
        Smsr(SmsrSettings("smsr")).fine_tuning(1, lambda _: 1.0).begin(plain)


def conv_of(conv, x):
    return F.conv2d(x, conv.weight, padding=1)


def test_drawn_masks_follow_the_logits():
    """The Gumbel-max property: the larger noisy logit wins with the softmax's probability."""
    logits = torch.tensor([0.5, -0.7]).view(1, 2, 1, 1).expand(1, 2, 200, 200)
    for temperature in (1.0, 0.4):
        drawn = Relaxation(temperature, (7,)).softmax(logits, 1, shared=False)
        torch.testing.assert_close(drawn.sum(1), torch.ones(1, 200, 200))
        wins = float((drawn[:, 1] > drawn[:, 0]).float().mean())
        assert wins == pytest.approx(1 / (1 + np.exp(1.2)), abs=0.01)


def test_lower_temperatures_draw_harder_masks():
    logits = torch.zeros(1, 2, 100, 100)
    spread = [float(Relaxation(t).softmax(logits, 1, shared=False).var()) for t in (1.0, 0.7, 0.4)]
    assert spread == sorted(spread)


def test_draws_depend_on_the_seed_and_nothing_else():
    logits = torch.zeros(4, 2, 3, 3)
    first = Relaxation(1.0, (1, 2, 3)).softmax(logits, 1, shared=False)
    torch.manual_seed(99)
    assert torch.equal(Relaxation(1.0, (1, 2, 3)).softmax(logits, 1, shared=False), first)
    for other in ((1, 2, 4), (1, 3, 3), (2, 2, 3)):
        assert not torch.equal(Relaxation(1.0, other).softmax(logits, 1, shared=False), first)
    halves = [Relaxation(1.0, (1, 2, 3), rank, 2).softmax(logits[:2], 1, shared=False) for rank in (0, 1)]
    assert torch.equal(torch.cat(halves), first)
    shared = [Relaxation(1.0, (1, 2, 3), rank, 2).softmax(logits, 1, shared=True) for rank in (0, 1)]
    assert torch.equal(*shared)


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (5, 6), (6, 5), (7, 9), (4, 4)])
def test_odd_sizes_repeat_the_border_for_the_mask(size):
    network = small("smsr", 2)
    x, seen = image(network, *size), {}
    module = network.body[0]
    module.register_forward_pre_hook(lambda _, inputs: seen.update(features=inputs[0]))
    module.body.register_forward_pre_hook(lambda _, inputs: seen.update(logits=inputs[1]))
    network(x)
    features = seen["features"].numpy()
    even = np.pad(features, [(0, 0), (0, 0), (0, size[0] % 2), (0, size[1] % 2)], mode="edge")
    assert torch.equal(PadToEven()(seen["features"]), torch.from_numpy(even))
    expected = module.spa_mask(torch.from_numpy(even))[:, :, : size[0], : size[1]]
    assert torch.equal(seen["logits"], expected)
    assert torch.equal(CropLike()(torch.from_numpy(even), seen["features"]), seen["features"])


def test_without_masks_it_is_the_dense_network():
    """The maskless network is the masked one with every pixel important."""
    dense = build("smsr", 2, channels=8, blocks=2, spatial=False, channel=False).eval()
    masked = build("smsr", 2, channels=8, blocks=2).eval()
    masked.load_state_dict(masked.state_dict() | dense.state_dict())
    for module in masked.body:
        with torch.no_grad():
            module.spa_mask[5].weight.zero_()
            module.spa_mask[5].bias.copy_(torch.tensor([-1.0, 1.0]))
    x = image(dense, 6, 7)
    with torch.inference_mode():
        torch.testing.assert_close(masked(x), dense(x))


def test_the_two_ablations():
    x = image(small("smsr", 2), 8, 6)
    torch.manual_seed(0)
    spatial = build("smsr", 2, channels=8, blocks=1, channel=False).eval()
    assert not any(name.endswith("ch_mask") for name, _ in spatial.named_parameters())
    assert not mask_blocks(spatial)[0].dense_channels().any()
    channel = build("smsr", 2, channels=8, blocks=1, spatial=False).eval()
    block = mask_blocks(channel)[0]
    with torch.inference_mode():
        before = channel(x)
        for layer, conv in enumerate(block.body):  # sparse channels are never computed
            conv.weight[~block.dense_channels()[layer]] = 1e3
        torch.testing.assert_close(channel(x), before)
        assert spatial(x).isfinite().all()


def test_the_trace_has_one_operation_per_masked_block():
    network = small("smsr", 3)
    operations = {operation.name: operation for operation in trace(network).operations}
    masked = [operation for operation in operations.values() if operation.kind == "masked"]
    assert [operation.module for operation in masked] == ["body.0.body", "body.1.body"]
    for operation in masked:
        features, logits = (operations[name] for name in operation.inputs)
        assert (features.channels, logits.channels, logits.kind) == (12, 2, "crop_like")
    kinds = {operation.kind for operation in operations.values()}
    assert {"avg_pool", "conv_transpose", "pad_to_even", "bicubic", "mean", "pixel_shuffle"} <= kinds
    plain = build("smsr", 2, channels=8, blocks=1, spatial=False, channel=False)
    assert {o.kind for o in trace(plain).operations} & {"masked", "conv_transpose", "pad_to_even"} == set()


def test_channels_around_masks_are_kept_and_others_can_go():
    prunable = {group.name for group in channel_groups(small("smsr", 2)) if group.prunable}
    assert {"body.0.spa_mask.0", "body.0.ca.conv_du.0", "collect.0"} <= prunable
    assert not any(name.startswith(("head.2", "body.0.spa_mask.3", "body.0.body")) for name in prunable)


def test_official_elements(official):
    assert sum(tensor.numel() for tensor in official.state_dict().values()) == 987_330
    assert len(official.state_dict()) == 99
    dense = [block.dense_channels().sum(1).tolist() for block in mask_blocks(official)]
    assert dense == [[24, 9, 3, 0], [16, 4, 1, 0], [16, 7, 1, 0], [3, 0, 0, 0], [14, 5, 0, 0]]


def test_every_official_module_is_the_authors(official, shared_data):
    reference = np.load(shared_data / "reference_outputs/SMSR_x2_c32.npz")
    logits, outputs = [], []
    hooks = [m.body.register_forward_pre_hook(lambda _, i: logits.append(i[1][0])) for m in official.body]
    hooks += [m.register_forward_hook(lambda *a: outputs.append(a[2][0])) for m in official.body]
    with torch.inference_mode():
        official(torch.from_numpy(reference["c32_lr"]).permute(2, 0, 1)[None].float())
    for hook in hooks:
        hook.remove()
    assert len(logits) == len(outputs) == 5
    for k, block in enumerate(mask_blocks(official)):
        assert np.array_equal(block.dense_channels().numpy().T, reference[f"ch_dense_mask_smm{k}"] == 1)
        assert np.array_equal(spatial_mask(logits[k][None])[0, 0].numpy(), reference[f"c32_spa_smm{k}"] == 1)
        difference = (logits[k][1] - logits[k][0]).numpy() - reference[f"c32_spalogitdiff_smm{k}"]
        assert np.abs(difference).max() <= 1e-4
        assert np.abs(outputs[k].numpy() - reference[f"c32_out_smm{k}"]).max() <= 1e-3
