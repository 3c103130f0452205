"""Official checkpoints, in every wrapping they come in."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from sparsr.runtime.errors import SparsrError
from sparsr.train.importers import import_official
from sparsr.train.importers.models import load_model
from sparsr.train.networks import build
from sparsr.train.networks.base import MeanShift
from sparsr.train.networks.weight_norm import add_weight_norm
from sparsr.train.networks.widths import convolutions
from sparsr.train.pruning.nm import ranks
from sparsr.train.pruning.slimming import slim
from sparsr.train.run import checkpoint
from tests.small_networks import assert_same_function, network_of, prefixed

torch.set_num_threads(1)
OFFICIAL = [
    ("IMDN_x2.pth", 2, "IMDN_x2"),
    ("IMDN_x4.pth", 4, "IMDN_x4"),
    ("CARN_M_x234.pth", 2, "CARNM_x2"),
    ("CARN_M_x234.pth", 3, "CARNM_x3"),
    ("CARN_M_x234.pth", 4, "CARNM_x4"),
    ("RFDN_AIM_x4.pth", 4, "RFDN_x4"),
    ("SMSR_x2_model_1000.pt", 2, "SMSR_x2"),
]


@pytest.mark.parametrize(("file", "scale", "outputs"), OFFICIAL)
def test_official_weights_give_the_authors_outputs(shared_data, file, scale, outputs):
    network, card = import_official(shared_data / "checkpoints" / file, scale)
    reference = np.load(shared_data / "reference_outputs" / f"{outputs}_c32.npz")
    lr = torch.from_numpy(reference["c32_lr"]).permute(2, 0, 1)[None] / 255 * network.value_range
    with torch.inference_mode():
        sr = network(lr)[0].permute(1, 2, 0).numpy() / network.value_range * 255
    assert np.abs(sr - reference["c32_sr"]).max() <= 1e-3
    assert (card.scale, card.method, card.training["imported_from"]) == (scale, "imported", file)


def test_an_imported_network_is_saved_and_loaded_as_ours(shared_data, tmp_path):
    network, card = load_model(shared_data / "checkpoints/RFDN_AIM_x4.pth")
    checkpoint.save(tmp_path / "rfdn.safetensors", network, card)
    again, _ = load_model(tmp_path / "rfdn.safetensors")
    lr = torch.rand(1, 3, 16, 17) * 255
    assert torch.equal(again(lr), network(lr))


def test_networks_not_known_are_refused_by_name(shared_data):
    with pytest.raises(SparsrError, match="unknown network") as caught:
        load_model(shared_data / "checkpoints/IMDN_RTC_x2.pth")
    assert "imdn" in caught.value.hint


def test_a_file_for_several_scales_needs_one(shared_data):
    path = shared_data / "checkpoints/CARN_M_x234.pth"
    with pytest.raises(SparsrError, match="several scales") as caught:
        load_model(path)
    assert "[2, 3, 4]" in caught.value.hint
    with pytest.raises(SparsrError, match="no scale 5"):
        load_model(path, 5)
    with pytest.raises(SparsrError, match="enlarges x4, not x2"):
        load_model(shared_data / "checkpoints/IMDN_x4.pth", 2)


# Synthetic checkpoints in the authors' wrappings: our LEDSR and EDSR use their keys.


WRAPPINGS = {
    "plain": lambda network: network.state_dict(),
    "parallel": lambda network: prefixed(network.state_dict(), "module."),
    "with module": lambda network: {"arch": network, "state_dict": network.state_dict()},
    "just pruned": lambda network: {
        "pruned_wg": {"head.0": [1, 2]},
        "kept_wg": {"head.0": [0]},
        "model": network,
        "state_dict": prefixed(network.state_dict(), "model."),
    },
    "training state": lambda network: {"epoch": 3, "best": np.float64(30.5), "params": network.state_dict()},
}


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_every_wrapping_in_both_formats(tmp_path, wrapping, zipped):
    network = network_of()
    torch.save(WRAPPINGS[wrapping](network), tmp_path / "net.pt", _use_new_zipfile_serialization=zipped)
    if "module" in wrapping:  # what torch itself refuses to read
        with pytest.raises(pickle.UnpicklingError):
            torch.load(tmp_path / "net.pt", weights_only=True)
    assert_same_function(tmp_path / "net.pt", network)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("architecture", ["ledsr", "edsr"])
def test_scale_and_widths_come_from_the_shapes(tmp_path, architecture, scale):
    network = network_of(architecture, scale, channels=9, blocks=3)
    pruned = slim(network, {"head.0": [0, 2, 3, 7], "body.1.body.0": [1, 5]})
    torch.save(pruned.state_dict(), tmp_path / "net.pt")
    imported = assert_same_function(tmp_path / "net.pt", pruned)
    assert convolutions(imported)["body.1.body.0"].out_channels == 2


def test_weight_normalisation_is_merged(tmp_path):
    network = network_of()
    add_weight_norm(network)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("wn_scale"):
                parameter.uniform_(-1, 1)
    torch.save(network.state_dict(), tmp_path / "net.pt")
    assert_same_function(tmp_path / "net.pt", network)


def test_mean_shifts_keep_their_stored_values(tmp_path):
    network = network_of()
    with torch.no_grad():
        for shift in (network.sub_mean, network.add_mean):
            shift.weight.add_(0.1 * torch.randn_like(shift.weight))
            shift.bias.add_(1)
    torch.save(network.state_dict(), tmp_path / "net.pt")
    imported = assert_same_function(tmp_path / "net.pt", network)
    assert torch.equal(imported.add_mean.weight, network.add_mean.weight)


def test_mean_shifts_left_out_are_the_constants(tmp_path):
    network = network_of("edsr")
    state = {name: tensor for name, tensor in network.state_dict().items() if "mean" not in name}
    torch.save(state, tmp_path / "net.pt")
    assert_same_function(tmp_path / "net.pt", network)


@pytest.mark.parametrize("architecture", ["ledsr", "edsr", "carn_m"])
def test_the_other_value_range_is_converted(tmp_path, architecture):
    options = {"channels": 8} | ({} if architecture == "carn_m" else {"blocks": 2})
    network = build(architecture, 2, **options).eval()
    other = 256 - network.value_range
    state = {
        name: tensor * (other / network.value_range if name.endswith("bias") else 1)
        for name, tensor in network.state_dict().items()
    }
    if architecture == "carn_m":
        state = {
            name.replace("upsample.", "upsample.up.body.").replace("_mean.", "_mean.shifter."): tensor
            for name, tensor in state.items()
        }
    torch.save(state, tmp_path / "net.pt")
    imported, _ = load_model(tmp_path / "net.pt")
    lr = torch.rand(1, 3, 7, 9) * network.value_range
    torch.testing.assert_close(imported(lr), network(lr), rtol=1e-4, atol=1e-4 * network.value_range)


@pytest.mark.parametrize(("file", "own"), [("IMDN_x2.pth", 1.0), ("RFDN_AIM_x4.pth", 255.0)])
def test_networks_with_sigmoids_keep_the_range_they_were_trained_on(shared_data, tmp_path, file, own):
    state = torch.load(shared_data / "checkpoints" / file, map_location="cpu", weights_only=True)
    other = 256 - own
    for name in state:  # the same network for images of the other range
        if "fea_conv.weight" in name:
            state[name] *= own / other
        if "upsampler.0." in name:
            state[name] *= other / own
    torch.save(state, tmp_path / "net.pth")
    official, _ = load_model(shared_data / "checkpoints" / file)
    imported, _ = load_model(tmp_path / "net.pth")
    assert (official.value_range, imported.value_range) == (own, other)
    lr = torch.rand(1, 3, 16, 16)
    torch.testing.assert_close(imported(lr * other) / other, official(lr * own) / own, rtol=1e-3, atol=1e-4)


# An RFDN whose refining convolutions have no skips has the same names and shapes (public descendants of it do).


def without_skips(state):
    """The same network written for blocks without skips: identity added to the centre taps."""
    changed = {name: tensor.clone() for name, tensor in state.items()}
    for name in changed:
        if name.endswith(("c1_r.weight", "c2_r.weight", "c3_r.weight")):
            channels = torch.arange(len(changed[name]))
            changed[name][channels, channels, 1, 1] += 1
    return changed


def rfdn_of_the_authors(shared_data):
    path = shared_data / "checkpoints/RFDN_AIM_x4.pth"
    return path, torch.load(path, map_location="cpu", weights_only=True)


def test_an_rfdn_without_skips_is_told_from_one_with(shared_data, tmp_path):
    path, state = rfdn_of_the_authors(shared_data)
    torch.save(without_skips(state), tmp_path / "net.pth")
    official, _ = load_model(path)
    imported, card = load_model(tmp_path / "net.pth")
    assert (official.options["residual"], imported.options["residual"]) == (True, False)
    lr = torch.rand(1, 3, 20, 17) * 255
    torch.testing.assert_close(imported(lr), official(lr), rtol=0, atol=2e-2)
    checkpoint.save(tmp_path / "ours.safetensors", imported, card)
    assert torch.equal(load_model(tmp_path / "ours.safetensors")[0](lr), imported(lr))


def test_refining_convolutions_of_other_widths_can_have_no_skips(shared_data, tmp_path):
    _, state = rfdn_of_the_authors(shared_data)
    state = without_skips(state)
    for block in ("B1", "B2", "B3", "B4"):  # two more channels, which nothing reads
        refine, readers = f"{block}.c1_r", (f"{block}.c2_r.weight", f"{block}.c2_d.weight")
        state[f"{refine}.weight"] = torch.cat([state[f"{refine}.weight"], torch.randn(2, 50, 3, 3)])
        state[f"{refine}.bias"] = torch.cat([state[f"{refine}.bias"], torch.randn(2)])
        for reader in readers:
            state[reader] = torch.cat([state[reader], torch.zeros_like(state[reader][:, :2])], 1)
    torch.save(state, tmp_path / "net.pth")
    official, _ = load_model(rfdn_of_the_authors(shared_data)[0])
    imported, _ = load_model(tmp_path / "net.pth")
    lr = torch.rand(1, 3, 16, 16) * 255
    assert imported.options["residual"] is False
    torch.testing.assert_close(imported(lr), official(lr), rtol=0, atol=2e-2)


def test_what_stays_open_is_asked_and_never_guessed(shared_data, tmp_path):
    """Neither reading of untrained weights enlarges an image."""
    _, state = rfdn_of_the_authors(shared_data)
    torch.manual_seed(0)
    torch.save({name: 0.05 * torch.randn_like(tensor) for name, tensor in state.items()}, tmp_path / "net.pth")
    with pytest.raises(SparsrError, match="can be read in 4 ways") as caught:
        load_model(tmp_path / "net.pth")
    assert "--assume value_range=255 --assume residual=true" in caught.value.hint
    with pytest.raises(SparsrError, match="can be read in 2 ways"):
        load_model(tmp_path / "net.pth", assume={"residual": False})
    chosen, _ = load_model(tmp_path / "net.pth", assume={"residual": False, "value_range": 1.0})
    assert (chosen.options["residual"], chosen.value_range) == (False, 1.0)
    with pytest.raises(SparsrError, match=r"value_range of .* cannot be 3"):
        load_model(tmp_path / "net.pth", assume={"value_range": 3.0})
    with pytest.raises(SparsrError, match="leaves no choice of skips") as caught:
        load_model(tmp_path / "net.pth", assume={"skips": True})
    assert "value_range, residual" in caught.value.hint


def test_an_assumption_stands_against_the_test_image(shared_data):
    path, _ = rfdn_of_the_authors(shared_data)
    wrong, _ = load_model(path, assume={"residual": False, "value_range": 255.0})
    assert wrong.options["residual"] is False
    with pytest.raises(SparsrError, match="can be read in 2 ways"):  # no reading without skips is plausible
        load_model(path, assume={"residual": False})


def sls_checkpoint(path, seed=0):
    """A CARN with random masks in SLS's published layout: (network with the masked weights, layers' open units)."""
    torch.manual_seed(seed)
    network = build("carn", 4, channels=32)
    state, opened = dict(network.state_dict()), {}
    for name, conv in convolutions(network).items():
        if conv.in_channels < 32 or conv.out_channels == 3:
            continue
        rank = ranks(conv.weight, 32)
        state[f"{name}.pruning_units"] = torch.stack([(rank == i).float() for i in range(32)])
        scores = 1 - 0.08 * torch.rand(31)
        if name == "b1.c1.body.0":
            scores[:] = 1.03
            scores[2:5] = torch.tensor([0.5, 0.98, 0.95])  # after 1.0609: 0.53, 0.52, 0.494, then rising again
        state[f"{name}.priority_scores"] = scores
        on, priority = [0], 1.0
        for i, score in enumerate(scores.tolist(), 1):
            priority *= min(max(score, 0.0), 1.03)
            on += [i] if priority > 0.5 else []
        opened[name] = on
        with torch.no_grad():
            conv.weight.mul_(sum((rank == i).float() for i in on))
    torch.save(state, path)
    return network, opened


def test_the_masks_of_sls_are_those_of_its_units(tmp_path):
    expected, opened = sls_checkpoint(tmp_path / "sls.pth")
    assert opened["b1.c1.body.0"] != list(range(len(opened["b1.c1.body.0"])))  # a unit is off before one that is on
    network, card = import_official(tmp_path / "sls.pth")
    assert (card.architecture, card.scale, card.gates) == ("carn", 4, 0)
    for name, conv in convolutions(expected).items():
        torch.testing.assert_close(convolutions(network)[name].weight, conv.weight, rtol=0, atol=0)
    x = torch.rand(1, 3, 9, 7) * 255
    torch.testing.assert_close(network(x), expected(x))


def test_the_authors_carn_is_in_0_to_1_and_has_other_names(tmp_path):
    torch.manual_seed(1)
    network = build("carn", 3, channels=8)
    with torch.no_grad():  # about the identity, so that the range can be told
        for conv in convolutions(network).values():
            if not isinstance(conv, MeanShift):
                conv.weight.mul_(0.1)
                conv.bias.mul_(0.01)
    state = {}
    for name, tensor in network.state_dict().items():
        name = name.replace("_mean.", "_mean.shifter.").replace("upsample.", "upsample.up.body.")
        state[name] = tensor / 255 if name.endswith("bias") else tensor
    torch.save(state, tmp_path / "carn.pth")
    found, card = import_official(tmp_path / "carn.pth")
    assert (card.architecture, card.scale) == ("carn", 3)
    x = torch.rand(1, 3, 9, 7) * 255
    torch.testing.assert_close(found(x), network(x), rtol=1e-4, atol=1e-2)
