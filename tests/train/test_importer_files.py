"""What comes in files besides weights: refusals by name, and what other trainers put around their weights."""

from __future__ import annotations

import copy
import zipfile

import pytest
import torch

from sparsr.runtime.errors import SparsrError
from sparsr.train.importers.models import load_model
from sparsr.train.networks import build
from tests.small_networks import assert_same_function, network_of, prefixed


def test_checkpoints_that_cannot_be_imported(tmp_path):
    state = network_of().state_dict()
    cases = {
        "head.0.pruning_units": state | {"head.0.priority_scores": torch.ones(31)},
        "does not fit its weights": state
        | {"head.0.priority_scores": torch.ones(31), "head.0.pruning_units": torch.ones(32, 1, 1, 1, 1)},
        "no mask of SLS": state | {"head.0.priority_scores": torch.full((31,), torch.nan)},
        "lacks the weights 'tail.0.0.weight'": {k: v for k, v in state.items() if not k.startswith("tail")},
        "not finite": state | {"head.0.bias": torch.full((6,), torch.nan)},
        "no part of a convolution": state | {"head.0.weight": torch.ones(6)},
        "do not fit ledsr": state | {"extra.weight": torch.ones(1, 1, 1, 1)},
        "ends in 10 filters": state | {"tail.0.0.weight": torch.ones(10, 6, 3, 3), "tail.0.0.bias": torch.ones(10)},
        "unknown network": {"conv.weight": torch.ones(1, 1, 1, 1)},
        "no state dict": [1, 2],
        "no scale 5": state | {"tail.0.0.weight": torch.ones(75, 6, 3, 3), "tail.0.0.bias": torch.ones(75)},
    }
    cases["do not fit"] = {k: v for k, v in state.items() if k != "body.1.body.2.bias"}
    cases["of 17 blocks"] = build("edsr", 2, channels=2, blocks=17).state_dict()
    for reason, content in cases.items():
        torch.save(content, tmp_path / "net.pt")
        with pytest.raises(SparsrError, match=reason.replace("(", r"\(")) as caught:
            load_model(tmp_path / "net.pt")
        assert "net.pt" in str(caught.value) or "no scale" in reason


def test_widths_that_do_not_fit_together(tmp_path):
    state = copy.deepcopy(network_of().state_dict())
    state["body.0.body.2.weight"], state["body.0.body.2.bias"] = torch.ones(5, 6, 3, 3), torch.ones(5)
    torch.save(state, tmp_path / "net.pt")
    with pytest.raises(SparsrError, match="do not fit ledsr"):
        load_model(tmp_path / "net.pt")


def test_files_that_are_no_checkpoints(tmp_path):
    (tmp_path / "empty.pth").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle/card.json").write_text("{}")
    (tmp_path / "run").mkdir()
    for name in ("best.safetensors", "last.safetensors", "state.pt"):
        (tmp_path / "run" / name).write_text("{}")
    (tmp_path / "text.pth").write_text("hello")
    (tmp_path / "net.onnx").write_text("hello")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("a/readme", "nothing")
    for name, reason in [
        ("missing.pth", "does not exist"),
        ("folder", "holds 0 files with weights"),
        ("bundle", "is a bundle, not a checkpoint"),
        ("run", "is the folder of a training, not a checkpoint"),
        ("empty.pth", "0 bytes"),
        ("net.onnx", r"is a graph \(ONNX, ncnn\), not a checkpoint"),
        ("text.pth", "no checkpoint: neither a PyTorch file"),
        ("other.zip", "without a PyTorch checkpoint"),
    ]:
        with pytest.raises(SparsrError, match=reason) as caught:
            load_model(tmp_path / name)
        assert caught.value.hint
        assert name != "run" or caught.value.hint == f"give {tmp_path / 'run' / 'best.safetensors'}"


def _edsr():
    return network_of("edsr", blocks=1, channels=4)


WRAPPED = {
    "compiled": lambda state: prefixed(state, "_orig_mod."),
    "averaged": lambda state: {"n_averaged": torch.tensor(5), **prefixed(state, "module.")},
    "profiled": lambda state: {**state, "total_ops": torch.zeros(1), "total_params": torch.zeros(1)},
    "of a GAN": lambda state: prefixed(state, "net_g."),
    "Lightning": lambda state: {
        "state_dict": {**prefixed(state, "model."), "criterion.vgg.0.weight": torch.zeros(4, 3, 3, 3)}
    },
    "averages beside": lambda state: {
        "state_dict": {name: 0 * tensor for name, tensor in state.items()},
        "state_dict_ema": state,
    },
}


@pytest.mark.parametrize("wrapping", WRAPPED)
def test_what_other_trainers_put_around_their_weights(tmp_path, wrapping):
    network = _edsr()
    torch.save(WRAPPED[wrapping](network.state_dict()), tmp_path / "a.pth")
    assert_same_function(tmp_path / "a.pth", network)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"), (b"<!DOCTYPE html>", "a web page")],
)
def test_files_are_called_what_they_are(tmp_path, content, words):
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(SparsrError, match=words):
        load_model(tmp_path / "a.pth")


def test_torchscript_is_called_so(tmp_path):
    torch.jit.trace(_edsr().eval(), torch.zeros(1, 3, 16, 16)).save(str(tmp_path / "a.pt"))
    with pytest.raises(SparsrError, match="TorchScript"):
        load_model(tmp_path / "a.pt")
