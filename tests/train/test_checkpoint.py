"""Our checkpoint format: round trips, and what a damaged or hostile file gets."""

from __future__ import annotations

import json
import struct

import pytest
import torch

from sparsr.runtime.errors import SparsrError
from sparsr.train.networks import build
from sparsr.train.networks.weight_norm import add_weight_norm
from sparsr.train.pruning.slimming import slim
from sparsr.train.run import checkpoint
from sparsr.train.run.checkpoint import card_for


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    network = build("ledsr", 2, channels=8, blocks=2)
    path = tmp_path / "net.safetensors"
    checkpoint.save(path, network, card_for(network, "dense"))
    return path, network


def rewrite(path, change):
    """Pass a file's card through `change`, keeping the tensors."""
    raw = path.read_bytes()
    (size,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + size])
    header["__metadata__"]["card"] = change(header["__metadata__"]["card"])
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + raw[8 + size :])


def edited(**values):
    return lambda card: json.dumps(json.loads(card) | values)


@pytest.mark.parametrize("weight_norm", [False, True])
@pytest.mark.parametrize("slimmed", [False, True])
def test_a_network_comes_back_as_it_was(tmp_path, weight_norm, slimmed):
    torch.manual_seed(1)
    network = build("ledsr", 3, channels=8, blocks=2)
    if slimmed:
        network = slim(network, {"head.0": [0, 3, 7], "body.1.body.0": [2, 5]})
    if weight_norm:
        add_weight_norm(network)
    card = card_for(network, "assl", training={"steps": 3}, metrics={"Set5": {"psnr_y": 30.0}})
    checkpoint.save(tmp_path / "net.safetensors", network, card)
    loaded, loaded_card = checkpoint.load(tmp_path / "net.safetensors")
    image = torch.rand(1, 3, 5, 7) * 255
    assert torch.equal(loaded(image), network(image))
    assert loaded_card == card
    assert json.loads((tmp_path / "net.json").read_text())["method"] == "assl"
    frozen = {name for name, parameter in loaded.named_parameters() if not parameter.requires_grad}
    assert frozen == {"sub_mean.weight", "sub_mean.bias", "add_mean.weight", "add_mean.bias"}


@pytest.mark.parametrize("size", [0, 4, 100, -1])
def test_a_truncated_file_is_refused(saved, size):
    path, _ = saved
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(SparsrError, match="not a whole safetensors file"):
        checkpoint.load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (edited(schema="sparsr-checkpoint/9"), "schema"),
        (edited(options={"channels": 10**9}), "out of range"),
        (edited(options={"channels": "8"}), "must be numbers"),
        (edited(options={"nonsense": 8}), "cannot be built"),
        (edited(widths={"head.0": [10**9, 3]}), "impossible"),
        (edited(widths={"head.0": "many"}), "damaged"),
        (edited(widths={"no.such": [3, 3]}), "does not have"),
        (edited(architecture="resnet"), "no architecture"),
        (edited(scale=7), "no scale"),
        (edited(extra=1), "damaged"),
        (lambda card: "[]", "damaged"),
        (lambda card: "{", "damaged"),
    ],
)
def test_a_wrong_card_is_refused(saved, change, message):
    path, _ = saved
    rewrite(path, change)
    with pytest.raises(SparsrError, match=message):
        checkpoint.load(path)


def test_a_card_that_promises_too_much_costs_no_memory(saved):
    """16,384 channels throughout would be gigabytes; the weights in the file do not fit and decide."""
    path, _ = saved
    widths = {name: [16_384, 16_384] for name in ("body.0.body.0", "body.0.body.2", "body.1.body.0")}
    rewrite(path, lambda card: json.dumps(json.loads(card) | {"widths": json.loads(card)["widths"] | widths}))
    with pytest.raises(SparsrError, match="do not fit its card"):
        checkpoint.load(path)


def test_a_missing_file_and_a_file_without_card_are_refused(tmp_path):
    from safetensors.torch import save_file

    with pytest.raises(SparsrError, match="there is no checkpoint"):
        checkpoint.load(tmp_path / "none.safetensors")
    save_file({"x": torch.zeros(1)}, tmp_path / "bare.safetensors")
    with pytest.raises(SparsrError, match="no SparSR card"):
        checkpoint.load(tmp_path / "bare.safetensors")


def test_a_full_disk_leaves_the_old_file(saved, monkeypatch):
    path, network = saved
    before = path.read_bytes()

    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(path, network, card_for(network, "dense"))
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert sorted(p.name for p in path.parent.iterdir()) == ["net.json", "net.safetensors"]
