"""Networks for tests driven by the registry: every architecture at every scale, small where its options allow."""

from __future__ import annotations

import random

import torch

from sparsr.train.importers.models import load_model
from sparsr.train.networks import ARCHITECTURES, SRNetwork, build
from sparsr.train.networks.base import MeanShift
from sparsr.train.networks.weight_norm import WeightNormConv2d
from sparsr.train.networks.widths import convolutions
from sparsr.train.pruning.channel_groups import channel_groups

torch.set_num_threads(1)  # these networks are too small for two: the second would only wait

OPTIONS = {
    "ledsr": {"channels": 10, "blocks": 3},
    "edsr": {"channels": 10, "blocks": 3},
    "imdn": {"channels": 20, "blocks": 2},
    "carn": {"channels": 8},
    "carn_m": {"channels": 16},
    "rfdn": {"channels": 14, "blocks": 2},
    "smsr": {"channels": 12, "blocks": 2},
    "compact": {"channels": 8, "blocks": 2},
    "rrdb": {"channels": 8, "blocks": 1, "growth": 4},
    "span": {"channels": 8, "blocks": 2},
    "spanf": {"channels": 8, "blocks": 2},
    "spanv2": {"channels": 8, "blocks": 2},
    "rlfn": {"channels": 8, "blocks": 2, "attention": 4},
    "efdn": {"channels": 8},
    "pan": {"channels": 8, "inner": 6, "blocks": 2},
    "dncnn": {"channels": 8, "blocks": 2},
    "fsrcnn": {"channels": 8, "inner": 4, "blocks": 1},
    "espcn": {"channels": 8},
    "unet": {"channels": 4},
    "srn": {"channels": 4, "blocks": 1},
    "dmphn": {"channels": 4, "levels": 3},
}
SCALES = {"compact": (1, 3), "rrdb": (1, 2, 4), "span": (2,), "spanf": (2,), "spanv2": (3,), "rlfn": (2,), "efdn": (2,)}
SCALES |= {"pan": (3, 4), "fsrcnn": (2, 3), "espcn": (3,)}
"""Of networks whose scale changes little else: those that are tested."""
EVERY_NETWORK = [(name, scale) for name, entry in ARCHITECTURES.items() for scale in SCALES.get(name, entry.scales)]


def small(architecture: str, scale: int, seed: int = 0) -> SRNetwork:
    """A small network with random weights and biases, without gradients."""
    torch.manual_seed(seed)
    return build(architecture, scale, **OPTIONS.get(architecture, {})).eval().requires_grad_(False)


def image(network: SRNetwork, height: int, width: int, seed: int = 0) -> torch.Tensor:
    """A random image [1, 3, h, w] in the network's range, at least as large as the network needs."""
    generator = torch.Generator().manual_seed(seed)
    size = [max(side, network.minimum_size) for side in (height, width)]
    return torch.rand(1, 3, *size, generator=generator) * network.value_range


def disturb(network: SRNetwork) -> SRNetwork:
    """Random weight-norm scales, and mean shifts that mix colours, as after pruning and fine-tuning; in place."""
    with torch.no_grad():
        for conv in convolutions(network).values():
            if isinstance(conv, WeightNormConv2d):
                conv.wn_scale.uniform_(0.2, 1.0)
            if isinstance(conv, MeanShift):
                conv.weight.add_(0.1 * torch.randn_like(conv.weight))
    return network


def random_kept(network: SRNetwork, seed: int) -> dict[str, list[int]]:
    """Random units to keep in every prunable group, equally many per block, in random order."""
    rng = random.Random(seed)
    kept = {}
    for group in channel_groups(network):
        if group.prunable:
            count = rng.randint(1, len(group.blocks[0]))
            kept[group.name] = [unit for block in group.blocks for unit in rng.sample(block, count)]
    return kept


def network_of(architecture="ledsr", scale=2, seed=0, **options):
    """Two blocks of six channels, drawn from a seed."""
    torch.manual_seed(seed)
    return build(architecture, scale, **({"channels": 6, "blocks": 2} | options)).eval()


def assert_same_function(path, network, scale=None):
    imported, card = load_model(path, scale)
    lr = torch.rand(1, 3, 7, 9, generator=torch.Generator().manual_seed(1)) * 255
    with torch.inference_mode():
        torch.testing.assert_close(imported(lr), network(lr), rtol=1e-5, atol=1e-3)
    assert (imported.architecture, imported.scale) == (network.architecture, network.scale)
    assert not card.weight_norm
    return imported


def prefixed(state, prefix):
    """A state dict as wrappers of networks name it."""
    return {prefix + name: tensor for name, tensor in state.items()}
