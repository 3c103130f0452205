"""Every architecture: published counts, any image size, gradients, and the way through a checkpoint."""

from __future__ import annotations

import pytest
import torch

from sparsr.runtime.errors import SparsrError
from sparsr.train.networks import ARCHITECTURES, build
from sparsr.train.networks.base import ColourMap
from sparsr.train.networks.smsr import mask_blocks
from sparsr.train.networks.sparse_masks import Relaxation, SparseMaskBlock
from sparsr.train.networks.tracing import trace
from sparsr.train.quality.complexity import gmacs_720p, macs, parameters
from sparsr.train.run import checkpoint
from sparsr.train.run.checkpoint import card_for
from tests.small_networks import EVERY_NETWORK, OPTIONS, image, small

# Parameters without the mean shifts' 24; GMACs for 1280x720 output, weights only. Sources: ASSL's and EDSR's
# published tables (LEDSR by the exact formula), the IMDN, CARN (table 1), SLS and SMSR papers, NTIRE 2022 for RFDN; the
# PAN, RLFN and FSRCNN papers, ESRGAN's release, and the values in the published files of the others.
COUNTS = [
    ("ledsr", 2, {}, 19_507_468, 4492.5),
    ("ledsr", 3, {}, 19_542_043, 2000.2),
    ("ledsr", 4, {}, 19_590_448, 1127.9),
    ("ledsr", 2, {"channels": 49}, 721_390, 165.82),
    ("ledsr", 3, {"channels": 49}, 728_020, 74.38),
    ("ledsr", 4, {"channels": 49}, 737_302, 42.37),
    ("ledsr", 2, {"channels": 48}, 692_412, 159.15),
    ("ledsr", 3, {"channels": 48}, 698_907, 71.40),
    ("ledsr", 4, {"channels": 48}, 708_000, 40.68),
    ("edsr", 2, {}, 1_369_859, 316.25),
    ("edsr", 3, {}, 1_554_499, 160.31),
    ("edsr", 4, {}, 1_517_571, 114.23),
    ("imdn", 2, {}, 694_404, 158.8),
    ("imdn", 3, {}, 703_059, 71.5),
    ("imdn", 4, {}, 715_176, 40.9),
    ("carn", 4, {}, 1_111_875, 90.873),
    ("carn_m", 2, {}, 257_027, 91.2),
    ("carn_m", 3, {}, 303_427, 46.1),
    ("carn_m", 4, {}, 294_147, 32.5),
    ("rfdn", 4, {}, 433_448, None),
    ("rfdn", 4, {"channels": 64, "attention": 32}, 826_800, 39.649),
    ("smsr", 2, {}, 984_746, 223.8),
    ("smsr", 3, {}, 993_401, 100.4),
    ("smsr", 4, {}, 1_005_518, 57.1),
    ("smsr", 2, {"spatial": False, "channel": False}, 925_536, None),
    ("compact", 4, {}, 621_424, None),
    ("rrdb", 4, {}, 16_697_987, None),
    ("span", 4, {"channels": 28}, 150_688, None),
    ("spanf", 4, {}, 148_288, None),
    ("spanv2", 4, {}, 139_104, None),
    ("rlfn", 2, {"channels": 48}, 454_620, None),
    ("efdn", 4, {}, 276_192, None),
    ("pan", 2, {}, 261_403, None),
    ("pan", 3, {}, 261_403, None),
    ("pan", 4, {}, 272_419, None),
    ("dncnn", 1, {}, 555_137, None),
    ("fsrcnn", 2, {}, 12_464 + 173 + 172, None),  # the paper counts neither biases nor slopes
    ("espcn", 3, {}, 22_729, None),
    ("unet", 1, {}, 4_946_243, 580.74),  # ours: the layout of SLS's UNet is not published
    ("srn", 1, {}, 7_086_339, None),
    ("dmphn", 1, {}, 8_052_876, 991.61),
    ("dmphn", 1, {"shuffle": False}, 7_232_524, 916.1),
    ("dmphn", 1, {"shuffle": False, "levels": 3}, 3 * (868_288 + 939_843), None),
]
PUBLISHED_WITH_BIASES = [("dmphn", 994.484), ("srn", 1200.507)]
"""Table 3 of SLS: 10^9 multiply-adds of 1280x720 pixels, an addition for every bias and every ReLU counted too."""
WHOLE_PIXELS = {("imdn", 3): (240, 427), ("rfdn", 4): (180, 320)}  # LR sizes counted instead of 1280/s x 720/s


@pytest.mark.parametrize(("name", "scale", "options", "count", "gmacs"), COUNTS)
def test_counts_are_the_published_ones(name, scale, options, count, gmacs):
    with torch.device("meta"):
        network = build(name, scale, **options)
    assert parameters(network) == count
    if gmacs:
        decimals = len(str(gmacs).partition(".")[2])
        size = WHOLE_PIXELS.get((name, scale))
        found = macs(network, *size) / 1e9 if size else gmacs_720p(network)
        assert round(found, decimals) == pytest.approx(gmacs)


@pytest.mark.parametrize(("name", "published"), PUBLISHED_WITH_BIASES)
def test_multiply_adds_are_those_of_sls_with_biases_and_relus(name, published):
    with torch.device("meta"):
        network = build(name, 1)
    extra, weights = 0, macs(network, 720, 1280)

    def count(module, inputs, output):
        nonlocal extra
        extra += output.numel() if isinstance(module, torch.nn.Conv2d | torch.nn.ReLU) else 0

    for module in network.modules():
        module.register_forward_hook(count)
    with torch.no_grad():
        network(torch.empty(1, 3, 720, 1280, device="meta"))
    assert round((weights + extra) / 1e9, 3) == published


def test_counts_cover_every_architecture():
    assert {name for name, *_ in COUNTS} == set(ARCHITECTURES) == set(OPTIONS)


@pytest.mark.parametrize(("name", "scale"), EVERY_NETWORK)
def test_any_size_from_the_minimum_on(name, scale):
    network = small(name, scale)
    least = network.minimum_size
    for height, width in ((least, least), (least + 2, least), (least + 4, least + 11)):
        output = network(image(network, height, width))
        assert output.shape == (1, 3, scale * height, scale * width)
        assert output.isfinite().all()


def test_minimum_sizes_are_the_true_ones():
    for name, scale in EVERY_NETWORK:
        network = small(name, scale)
        if network.minimum_size > 1:
            with pytest.raises(RuntimeError):
                network(torch.zeros(1, 3, network.minimum_size - 1, 64))


@pytest.mark.parametrize(("name", "scale"), EVERY_NETWORK)
def test_gradients_reach_every_weight(name, scale):
    attention = name in ("imdn", "smsr", "efdn")
    options = OPTIONS[name] | ({"channels": 64} if attention else {})  # else one unit, which a ReLU may close
    torch.manual_seed(0)
    network = build(name, scale, **options)
    for block in mask_blocks(network):
        block.relaxation = Relaxation()
    if name == "efdn":  # clips its result: grey in the middle of the range
        torch.nn.init.constant_(network.tail[0].bias, 0.5)
    network(image(network, 20, 17)).square().mean().backward()
    frozen = {id(p) for module in network.modules() if isinstance(module, ColourMap) for p in module.parameters()}
    for key, parameter in network.named_parameters():
        if id(parameter) not in frozen:
            assert parameter.grad is not None and parameter.grad.isfinite().all(), key
            assert parameter.grad.any(), key


@pytest.mark.parametrize(("name", "scale"), EVERY_NETWORK)
def test_images_of_a_batch_do_not_mix(name, scale):
    network = small(name, scale)
    images = torch.cat([image(network, 19, 16, seed) for seed in (1, 2)])
    whole = network(images)
    for i in (0, 1):
        torch.testing.assert_close(whole[i : i + 1], network(images[i : i + 1]), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(("name", "scale"), EVERY_NETWORK)
def test_a_checkpoint_gives_the_network_back(name, scale, tmp_path):
    network = small(name, scale)
    checkpoint.save(tmp_path / "net.safetensors", network, card_for(network, "dense"))
    loaded, card = checkpoint.load(tmp_path / "net.safetensors")
    assert (card.architecture, card.scale, loaded.value_range) == (name, scale, network.value_range)
    lr = image(network, 16, 18)
    assert torch.equal(loaded(lr), network(lr))


@pytest.mark.parametrize("value_range", [1.0, 255.0])
@pytest.mark.parametrize("name", ["imdn", "rfdn"])
def test_a_value_range_that_is_an_option_survives_the_checkpoint(name, value_range, tmp_path):
    network = build(name, 2, channels=16, blocks=1, value_range=value_range)
    checkpoint.save(tmp_path / "net.safetensors", network, card_for(network, "dense"))
    assert checkpoint.load(tmp_path / "net.safetensors")[0].value_range == value_range


@pytest.mark.parametrize(("name", "scale"), EVERY_NETWORK)
def test_every_convolution_is_traced(name, scale):
    network = small(name, scale)
    traced = {operation.module for operation in trace(network).operations if operation.module}
    whole = {key for key, module in network.named_modules() if isinstance(module, SparseMaskBlock)}
    for key, module in network.named_modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            assert (key in traced) != any(key.startswith(f"{block}.") for block in whole)
    assert whole <= traced


def test_unknown_names_scales_and_options():
    with pytest.raises(SparsrError) as caught:
        build("imnd", 2)
    assert "imdn" in caught.value.hint
    for name in ARCHITECTURES:
        with pytest.raises(SparsrError, match="no scale 9"):
            build(name, 9)
        with pytest.raises(SparsrError, match="cannot be built"):
            build(name, ARCHITECTURES[name].scales[0], colour=3)
