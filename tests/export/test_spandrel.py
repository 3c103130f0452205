"""Checkpoints that only spandrel knows; skipped where it is not installed."""

from __future__ import annotations

import sys

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from sparsr.export.exporter import export_model
from sparsr.export.lower import spandrel_model as door
from sparsr.runtime.errors import SparsrError

torch.set_num_threads(1)


@pytest.fixture
def spandrel():
    try:
        import spandrel
    except Exception as error:
        pytest.skip(f"spandrel cannot be used: {error}")
    return spandrel


class Residual(nn.Module):
    """RCAN's names: groups of attended blocks."""

    def __init__(self, channels):
        super().__init__()
        self.head = nn.Sequential(nn.Conv2d(3, channels, 3, 1, 1))
        attention = nn.Module()
        attention.conv_du = nn.Sequential(nn.Conv2d(channels, 2, 1), nn.ReLU(), nn.Conv2d(2, channels, 1), nn.Sigmoid())
        block, group = nn.Module(), nn.Module()
        conv = [nn.Conv2d(channels, channels, 3, 1, 1) for _ in range(4)]
        block.body = nn.Sequential(conv[0], nn.ReLU(), conv[1], attention)
        group.body = nn.Sequential(block, conv[2])
        self.body = nn.Sequential(group, conv[3])
        self.tail = nn.Sequential(
            nn.Sequential(nn.Conv2d(channels, 4 * channels, 3, 1, 1)), nn.Conv2d(channels, 3, 3, 1, 1)
        )


@pytest.fixture
def checkpoint(tmp_path):
    torch.manual_seed(0)
    torch.save(Residual(32).state_dict(), tmp_path / "net.pth")
    return tmp_path / "net.pth"


def test_a_network_of_spandrel_is_exported_with_its_own_scale(spandrel, checkpoint, tmp_path):
    lines = []
    card = export_model(checkpoint, tmp_path / "bundle", formats=("onnx",), report=lines.append)
    assert (card.scale, card.method) == (2, "imported")
    assert "read as RCAN x2, by spandrel" in lines
    session = onnxruntime.InferenceSession(tmp_path / "bundle/model.onnx", providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).random((1, 3, 19, 22), np.float32)
    with torch.inference_mode():
        expected = spandrel.ModelLoader("cpu").load_from_file(checkpoint).model.eval()(torch.from_numpy(image)).numpy()
    (found,) = session.run(None, {"image": image * 255})
    np.testing.assert_allclose(found / 255, expected, rtol=0, atol=1e-5)
    with pytest.raises(SparsrError, match="enlarges x2, not x4"):
        export_model(checkpoint, tmp_path / "other", scale=4, report=lines.append)


def test_what_spandrel_does_not_know_either_is_refused(spandrel, tmp_path):
    torch.save({"conv.weight": torch.ones(3, 3, 3, 3)}, tmp_path / "net.pth")
    with pytest.raises(SparsrError, match="neither SparSR nor spandrel"):
        export_model(tmp_path / "net.pth", tmp_path / "bundle", report=lambda line: None)


def test_without_spandrel_the_network_is_unknown_and_the_door_names_the_extra(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "spandrel", None)
    monkeypatch.setattr("sparsr.export.exporter.find_spec", lambda name: None)
    with pytest.raises(SparsrError, match="unknown network"):
        export_model(checkpoint, tmp_path / "bundle", report=lambda line: None)
    with pytest.raises(SparsrError, match="spandrel cannot be used") as caught:
        door.spandrel_model(checkpoint)
    assert "sparsr[spandrel]" in caught.value.hint
