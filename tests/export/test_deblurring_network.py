"""The official DMPHN(1-2-4) from its authors' folder: their outputs, and the published quality on a GoPro pair."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sparsr.export.exporter import export_model
from sparsr.runtime.media.images import read_image
from sparsr.runtime.upscale.upscaler import Upscaler
from sparsr.train.importers.models import load_model
from sparsr.train.quality.evaluate import upscale

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def deblur(shared_data):
    folder = shared_data / "deblur"
    if not folder.is_dir():
        pytest.skip("the deblurring networks are not here")
    return folder


@pytest.fixture(scope="module")
def crops(deblur):
    """(blurred uint8, the authors' output in 0..255) of four pictures."""
    stored = np.load(deblur / "reference_outputs/DMPHN_1_2_4.npz")
    return [(stored[f"c_lr_0{index}"], stored[f"c_sr_0{index}"]) for index in range(4)]


def rgb_psnr(image, truth):
    return 10 * np.log10(255**2 / np.mean((image.astype(float) - truth) ** 2))


def test_a_folder_of_six_files_is_the_authors_network(deblur, crops):
    network, card = load_model(deblur / "checkpoints/DMPHN_1_2_4")
    assert (card.architecture, card.scale, card.options["levels"]) == ("dmphn", 1, 3)
    assert sorted(card.training["sha256"])[0] == "decoder_lv1.pkl"
    for blurred, expected in crops:
        image = torch.from_numpy(blurred).permute(2, 0, 1)[None] / 255
        with torch.inference_mode():
            found = 255 * network(image)[0].permute(1, 2, 0).numpy()
        np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.slow
def test_every_engine_computes_the_authors_network(deblur, crops, tmp_path):
    card = export_model(deblur / "checkpoints/DMPHN_1_2_4", tmp_path / "bundle", report=lambda _: None)
    assert {file.format for file in card.files} == {"onnx", "tflite", "tflite-sparse", "native"}
    blurred, expected = crops[0]
    for engine in ("native", "ort", "litert"):
        found = Upscaler(tmp_path / "bundle", engine, 1, 2**33)(blurred)
        assert np.abs(found - expected.clip(0, 255)).max() < 0.51, engine


@pytest.mark.slow
def test_a_whole_picture_gains_what_its_authors_network_does(deblur):
    network, _ = load_model(deblur / "checkpoints/DMPHN_1_2_4")
    blurred, sharp = (read_image(deblur / end / "00.png").rgb for end in ("blur", "sharp"))
    assert rgb_psnr(blurred, sharp) == pytest.approx(23.582, abs=0.001)
    assert rgb_psnr(upscale(network, blurred), sharp) == pytest.approx(29.794, abs=0.001)
