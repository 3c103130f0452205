"""Evaluation against the recorded figures of the authors' own code, and the command line."""

from __future__ import annotations

import json
import math
from functools import partial

import numpy as np
import pytest
import torch

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.media.images import list_images, read_image, write_image
from sparsr.train.cli import build_parser
from sparsr.train.data import bicubic
from sparsr.train.data.bicubic import crop_to_multiple, downscale
from sparsr.train.importers.models import load_model
from sparsr.train.networks import build
from sparsr.train.quality.evaluate import Evaluation, Score, evaluate, measure, upscale, validate
from sparsr.train.quality.metrics import psnr_y, ssim_y
from sparsr.train.run import checkpoint
from sparsr.train.run.checkpoint import card_for

torch.set_num_threads(1)
FILES = {"IMDN": "IMDN_x{}.pth", "CARNM": "CARN_M_x234.pth", "RFDN": "RFDN_AIM_x4.pth", "SMSR": "SMSR_x2_model_1000.pt"}
SET5 = ["IMDN_x2", "IMDN_x4", "CARNM_x2", "CARNM_x3", "CARNM_x4", "RFDN_x4"]
LARGER = [("Set14", name) for name in ["SMSR_x2", *SET5, "BICUBIC_x2", "BICUBIC_x3", "BICUBIC_x4"]]
LARGER += [("B100", name) for name in ("SMSR_x2", "IMDN_x2", "IMDN_x4", "CARNM_x4", "RFDN_x4")]
LARGER += [
    ("Urban100_20_images", name) for name in ("SMSR_x2", "IMDN_x4", "CARNM_x4", "RFDN_x4", "BICUBIC_x2", "BICUBIC_x4")
]


def cut_to_even_sides(network, folder):
    """Scores as SMSR's authors measure images with an odd LR side: its last row or column is cut off."""
    scores = {}
    for path in list_images(folder):
        hr = crop_to_multiple(read_image(path).rgb, 2)
        lr = downscale(hr, 2)
        height, width = (side // 2 * 2 for side in lr.shape[:2])
        if (height, width) != lr.shape[:2]:
            sr, hr = upscale(network, lr[:height, :width]), hr[: 2 * height, : 2 * width]
            scores[path.name] = Score(psnr_y(sr, hr, 2), ssim_y(sr, hr, 2))
    return scores


def compare(shared_data, data_set, name):
    network_name, _, scale = name.partition("_x")
    folder = shared_data / "benchmarks" / data_set.partition("_")[0] / "HR"
    expected = json.loads((shared_data / "reference_metrics.json").read_text())["sets"][data_set][name]
    if network_name == "BICUBIC":
        found = measure(partial(bicubic.upscale, scale=int(scale)), folder, int(scale))
    else:
        network, _ = load_model(shared_data / "checkpoints" / FILES[network_name].format(scale), int(scale))
        found = evaluate(network, folder, int(scale))
    if network_name == "SMSR":
        found = Evaluation(found.images | cut_to_even_sides(network, folder))
    assert found.mean.psnr == pytest.approx(expected["mean"]["psnr_y"], abs=0.002)
    assert found.mean.ssim == pytest.approx(expected["mean"]["ssim_y"], abs=0.0002)
    assert len(found.images) == len(expected["per_image"])
    for file_name, score in found.images.items():
        single = expected["per_image"][file_name.rpartition(".")[0]]
        assert score.psnr == pytest.approx(single["psnr_y"], abs=0.002)
        assert score.ssim == pytest.approx(single["ssim_y"], abs=0.0002)


@pytest.mark.parametrize("name", SET5)
def test_official_checkpoints_give_the_reference_figures(shared_data, name):
    compare(shared_data, "Set5", name)


@pytest.mark.slow
@pytest.mark.parametrize(("data_set", "name"), LARGER)
def test_official_checkpoints_on_the_larger_sets(shared_data, data_set, name):
    compare(shared_data, data_set, name)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build("ledsr", 2, channels=6, blocks=1).eval()


@pytest.fixture
def folder(tmp_path):
    generator = np.random.default_rng(0)
    for name, size in (("a.png", (33, 40)), ("b.bmp", (36, 31))):
        write_image(tmp_path / "hr" / name, generator.integers(0, 256, (*size, 3), dtype=np.uint8))
    return tmp_path / "hr"


def test_upscale_is_clipped_and_rounded(network):
    image = np.random.default_rng(1).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    with torch.inference_mode():
        exact = network(torch.tensor(image).permute(2, 0, 1)[None].float())[0].permute(1, 2, 0).numpy()
    result = upscale(network, image)
    assert result.dtype == np.uint8 and result.shape == (18, 14, 3)
    np.testing.assert_array_equal(result, np.rint(exact).clip(0, 255))


def test_upscale_uses_the_networks_own_range():
    torch.manual_seed(0)
    unit = build("imdn", 2, channels=16, blocks=1, value_range=1.0).eval()
    image = np.random.default_rng(1).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    with torch.inference_mode():
        exact = 255 * unit(torch.tensor(image).permute(2, 0, 1)[None] / 255)[0].permute(1, 2, 0).numpy()
    assert np.abs(upscale(unit, image) - exact.clip(0, 255)).max() <= 0.501


def test_validation_agrees_with_evaluation(network, folder):
    pairs = []
    for path in sorted(folder.iterdir()):
        hr = crop_to_multiple(read_image(path).rgb, 2)
        pairs.append([torch.tensor(image).permute(2, 0, 1) for image in (downscale(hr, 2), hr)])
    expected = evaluate(network, folder, 2).mean.psnr
    assert validate(network, pairs, torch.device("cpu")) == pytest.approx(expected, abs=1e-9)


def test_the_network_keeps_its_mode(network):
    lr, hr = torch.zeros(3, 8, 8, dtype=torch.uint8), torch.zeros(3, 16, 16, dtype=torch.uint8)
    for training in (True, False):
        network.train(training)
        validate(network, [(lr, hr)], torch.device("cpu"))
        upscale(network, np.zeros((8, 8, 3), np.uint8))
        assert network.training is training


def test_images_are_cropped_to_a_multiple_and_reported(network, folder):
    seen = []
    found = evaluate(network, folder, 2, lambda name, score: seen.append((name, score)))
    assert seen == list(found.images.items()) and [name for name, _ in seen] == ["a.png", "b.bmp"]
    hr = read_image(folder / "a.png").rgb[:32]
    assert found.images["a.png"].psnr == psnr_y(upscale(network, downscale(hr, 2)), hr, 2)


def test_wrong_scale_and_small_images(network, folder):
    with pytest.raises(SparsrError, match="enlarges x2, not x4"):
        evaluate(network, folder, 4)
    write_image(folder / "c.png", np.zeros((1, 1, 3), np.uint8))
    with pytest.raises(SparsrError, match=r"c\.png"):
        evaluate(network, folder, 2)
    with pytest.raises(SparsrError, match="too few for rfdn") as caught:
        upscale(build("rfdn", 2, channels=8, blocks=1), np.zeros((14, 40, 3), np.uint8))
    assert "15x15" in caught.value.hint


def test_json_of_an_evaluation():
    found = Evaluation({"a": Score(30.0, 0.9), "b": Score(math.inf, 1.0)})
    plain = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert plain["images"] == {"a": {"psnr_y": 30.0, "ssim_y": 0.9}, "b": {"psnr_y": None, "ssim_y": 1.0}}
    assert plain["mean"]["ssim_y"] == pytest.approx(0.95)


def run(*arguments):
    chosen = build_parser().parse_args(["eval", *map(str, arguments)])
    return chosen.action(chosen)


def test_eval_command(network, folder, tmp_path, capsys):
    checkpoint.save(tmp_path / "net.safetensors", network, card_for(network, "dense"))
    assert run(tmp_path / "net.safetensors", "--data", folder, "--scale", 2, "--json", tmp_path / "q.json") == 0
    record = json.loads((tmp_path / "q.json").read_text())
    expected = evaluate(network, folder, 2)
    assert record["images"]["a.png"]["psnr_y"] == expected.images["a.png"].psnr
    table = capsys.readouterr().out
    assert f"{expected.mean.psnr:.3f}" in table and "b.bmp" in table


def test_eval_command_with_bicubic(folder, capsys):
    run("bicubic", "--data", folder, "--scale", 3)
    expected = measure(partial(bicubic.upscale, scale=3), folder, 3).mean
    assert f"{expected.psnr:.3f}" in capsys.readouterr().out
    with pytest.raises(SparsrError, match="scale"):
        run("bicubic", "--data", folder)
    with pytest.raises(SparsrError, match="no folder"):
        run("bicubic", "--data", folder / "missing", "--scale", 2)
