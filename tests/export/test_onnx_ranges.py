"""What an ONNX file leaves open and running it tells: the smallest image, and in which range its values lie."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sparsr.export import source
from sparsr.export.prune import read_network
from sparsr.export.source import from_onnx_file
from sparsr.runtime.errors import SparsrError
from tests.export.onnx_models import model
from tests.export.test_recognised import by_script

NEAREST = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
SMALLEST = """
import sys
import onnx
from sparsr.export.lower.onnx_probe import Probe
print(Probe(onnx.load(sys.argv[1]), 3, "net").minimum_size)
"""


class Attention(nn.Module):
    """RLFN's and RFDN's spatial attention: of small images its pool leaves no pixel, which are enlarged then."""

    def __init__(self):
        super().__init__()
        self.first, self.down = nn.Conv2d(3, 16, 1), nn.Conv2d(16, 16, 3, 2)
        self.pooled, self.last = nn.Conv2d(16, 16, 3, padding=1), nn.Conv2d(16, 3, 1)

    def forward(self, x):
        pooled = self.pooled(F.max_pool2d(self.down(self.first(x)), 7, 3))
        seen = F.interpolate(pooled, x.shape[2:], mode="bilinear", align_corners=False)
        return x * torch.sigmoid(self.last(seen))


def test_images_that_would_end_the_process_in_onnx_runtime_are_not_tried(tmp_path):
    """Of 5 to 10 pixels a side the pool's map has none; from 11 on ONNX Runtime takes the image."""
    onnx.save(by_script(Attention()), tmp_path / "net.onnx")
    command = [sys.executable, "-c", SMALLEST, str(tmp_path / "net.onnx")]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "11\n"), found.stderr


def test_too_little_memory_is_told_as_such(tmp_path, monkeypatch):
    """As ONNX Runtime says it; the file is not to blame."""

    def probe(*_):
        raise RuntimeError(
            "bfc_arena.cc:360 AllocateRawInternal Failed to allocate memory for requested buffer of size 9"
        )

    monkeypatch.setattr(source, "Probe", probe)
    onnx.save(enlarging(0.0), tmp_path / "net.onnx")
    with pytest.raises(SparsrError, match="takes more memory to be looked at than this machine has left"):
        from_onnx_file(tmp_path / "net.onnx", "net", None, None)


def enlarging(offset):
    """Twice the image, and a bias that belongs to a range: small in 0..255, all wrong in 0..1."""
    nodes = [("Resize", ["x", "", "scales"], "large", NEAREST), ("Add", ["large", "offset"], "y", {})]
    return model(
        *nodes, weights={"scales": np.float32([1, 1, 2, 2]), "offset": np.full((1, 3, 1, 1), offset, np.float32)}
    )


@pytest.mark.parametrize("read", [lambda path, value: from_onnx_file(path, "net", None, value), None])
def test_a_file_plainly_made_for_bytes_asks_for_its_range(tmp_path, read):
    read = read or (lambda path, value: read_network(path, None, value))  # for pruning
    onnx.save(enlarging(2.0), tmp_path / "net.onnx")
    with pytest.raises(SparsrError, match=r"net\.onnx seems to be made for values of 0\.\.255") as caught:
        read(tmp_path / "net.onnx", None)
    assert "--range 255" in caught.value.hint


@pytest.mark.parametrize("value_range", [1.0, 255.0])
def test_a_range_that_is_named_is_believed(tmp_path, value_range):
    onnx.save(enlarging(2.0), tmp_path / "net.onnx")
    image = np.random.default_rng(0).uniform(0, 255, (1, 3, 6, 7)).astype(np.float32)
    found = from_onnx_file(tmp_path / "net.onnx", "net", None, value_range).run(image)
    expected = image.repeat(2, 2).repeat(2, 3) + 2 * 255 / value_range
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("offset", [0.0, 1e-3, 300.0])
def test_a_file_that_fits_both_ranges_or_none_is_taken_for_0_to_1(tmp_path, offset):
    onnx.save(enlarging(offset), tmp_path / "net.onnx")
    assert from_onnx_file(tmp_path / "net.onnx", "net", None, None).description.training["value_range"] == "0..1"
