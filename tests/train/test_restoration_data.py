"""Networks that keep the picture's size: pairs as people have them, camera shake, RGB measures, tasks and training."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import center_of_mass
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.media.images import read_image, write_image
from sparsr.train.cli import build_parser
from sparsr.train.data.folders import pairs
from sparsr.train.data.patches import PatchData
from sparsr.train.data.shake import kernel, make_pairs, shaken
from sparsr.train.networks import build
from sparsr.train.networks.widths import convolutions
from sparsr.train.pruning.nm import can_be_sparse
from sparsr.train.quality.complexity import layer_macs
from sparsr.train.quality.evaluate import compare, evaluate
from sparsr.train.quality.metrics import psnr_rgb, ssim_rgb
from sparsr.train.run import checkpoint, recipe
from sparsr.train.run.checkpoint import card_for
from sparsr.train.run.loop import train
from sparsr.train.run.prepare import prepare
from sparsr.train.run.prune import Order, recipe_for

torch.set_num_threads(1)
CPU = torch.device("cpu")


def picture(path, size=(40, 48), seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    write_image(path, pixels)
    return pixels


@pytest.fixture
def gopro(tmp_path):
    """Two clips of a picture or two, as GoPro's training set lies on disk."""
    for seed, place in enumerate(("GOPR1/{}/000001.png", "GOPR1/{}/000002.png", "GOPR2/{}/000001.png")):
        sharp = picture(tmp_path / place.format("sharp"), seed=seed)
        write_image(tmp_path / place.format("blur"), sharp // 2)
        picture(tmp_path / place.format("blur_gamma"), seed=9)
    return tmp_path


def test_pairs_lie_in_folders_called_blur_and_sharp(gopro):
    found = pairs(gopro, None, 1)
    assert [pair.hr.relative_to(gopro).as_posix() for pair in found] == [
        "GOPR1/sharp/000001.png", "GOPR1/sharp/000002.png", "GOPR2/sharp/000001.png",
    ]  # fmt: skip
    assert all(pair.lr == pair.hr.parent.parent / "blur" / pair.hr.name for pair in found)


def test_pairs_of_two_folders_are_told_by_their_names(tmp_path):
    for end in ("x/a.png", "b.png"):
        picture(tmp_path / "gt" / end)
        picture(tmp_path / "lq" / end.replace("png", "bmp"))
    assert [pair.lr.name for pair in pairs(tmp_path / "gt", tmp_path / "lq", 1)] == ["b.bmp", "a.bmp"]


@pytest.mark.parametrize("end", ["blur", "sharp"])
def test_a_picture_without_a_partner_is_named(gopro, end):
    (gopro / f"GOPR1/{end}/000002.png").unlink()
    with pytest.raises(SparsrError, match=r"000002\.png has no partner"):
        pairs(gopro, None, 1)


def test_a_folder_without_pairs_says_what_is_missing(tmp_path):
    picture(tmp_path / "a.png")
    with pytest.raises(SparsrError, match="holds no pairs") as caught:
        pairs(tmp_path, None, 1)
    assert "`blur`" in caught.value.hint and "`sharp`" in caught.value.hint


def test_patches_of_a_pair_show_the_same_place(gopro):
    data = PatchData([gopro], 1, 16, CPU, report=lambda _: None)
    blurred, sharp = data.batch(1, 0, 64)
    assert torch.equal(blurred, sharp.div(2, rounding_mode="floor")) and blurred.shape == (64, 3, 16, 16)


def test_pictures_of_other_sizes_are_left_out_of_training_and_named(gopro):
    picture(gopro / "GOPR1/blur/000001.png", (40, 44))
    said = []
    data = PatchData([gopro], 1, 16, CPU, report=said.append)
    assert data.images == 2
    assert any("000001.png" in line and "44x40 and 48x40 pixels, which is no pair" in line for line in said)


def test_the_cache_notices_another_blurred_picture(gopro, tmp_path):
    first = PatchData([gopro], 1, 8, CPU, tmp_path / "cache", report=lambda _: None).batch(1, 0, 32)[0]
    picture(gopro / "GOPR2/blur/000001.png", seed=77)
    second = PatchData([gopro], 1, 8, CPU, tmp_path / "cache", report=lambda _: None).batch(1, 0, 32)[0]
    assert not torch.equal(first, second)


def test_rgb_measures_are_those_of_scikit_image():
    random = np.random.default_rng(0)
    truth = random.integers(0, 256, (37, 41, 3), dtype=np.uint8)
    restored = (truth + random.normal(0, 12, truth.shape)).clip(0, 255).round().astype(np.uint8)
    assert psnr_rgb(restored, truth) == pytest.approx(peak_signal_noise_ratio(truth, restored), abs=1e-9)
    options = {"channel_axis": 2, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    _, whole = structural_similarity(truth, restored, data_range=255, full=True, **options)
    assert ssim_rgb(restored, truth) == pytest.approx(whole[5:-5, 5:-5].mean(), abs=1e-9)
    score = compare(restored, truth, 1)
    assert score.to_json() == {"psnr_rgb": score.psnr, "ssim_rgb": score.ssim}
    with pytest.raises(SparsrError, match="different sizes"):
        psnr_rgb(restored[1:], truth)


def test_evaluation_of_pairs_compares_all_colours(gopro, tmp_path, capsys):
    network = build("unet", 1, channels=4)
    with torch.no_grad():
        network.exit.weight.zero_()
        network.exit.bias.zero_()  # the picture as it is
    checkpoint.save(tmp_path / "net.safetensors", network, card_for(network, "dense"))
    found = evaluate(network, gopro, 1)
    sharp, blurred = (read_image(gopro / f"GOPR2/{end}/000001.png").rgb for end in ("sharp", "blur"))
    assert compare(blurred, sharp, 1) == found.images["000001.png"]
    for model in (str(tmp_path / "net.safetensors"), "bicubic"):
        scale = ["--scale", "1"] if model == "bicubic" else []
        out = tmp_path / "scores.json"
        arguments = build_parser().parse_args(["eval", model, "--data", str(gopro), "--json", str(out), *scale])
        assert arguments.action(arguments) == 0
        assert json.loads(out.read_text())["mean"]["psnr_rgb"] == pytest.approx(found.mean.psnr)
    assert "RGB, whole pictures" in capsys.readouterr().out


def test_evaluation_leaves_out_what_is_no_pair(gopro, capsys):
    picture(gopro / "GOPR1/blur/000001.png", (40, 44))
    arguments = build_parser().parse_args(["eval", "bicubic", "--scale", "1", "--data", str(gopro)])
    assert arguments.action(arguments) == 2
    assert "44x40 and 48x40 pixels" in capsys.readouterr().err


def test_a_shake_moves_light_and_loses_none():
    for seed in range(5):
        trace = kernel(np.random.default_rng(seed), 9.0)
        assert trace.sum() == pytest.approx(1, abs=1e-5) and trace.min() >= 0 and len(trace) % 2 == 1
        assert center_of_mass(trace) == pytest.approx([len(trace) // 2] * 2, abs=1e-3)
        rows, columns = (np.flatnonzero(trace.sum(axis) > 1e-6) for axis in (1, 0))
        assert 8 <= max(np.ptp(rows), np.ptp(columns)) <= 11
        dot = np.zeros((41, 41, 3), np.uint8)
        dot[20, 20] = 255
        seen = shaken(dot, trace).astype(float)[..., 0] / 255
        radius = len(trace) // 2
        np.testing.assert_allclose(seen[20 - radius : 21 + radius, 20 - radius : 21 + radius], trace, atol=0.003)


def test_shaken_pairs_are_pairs_and_the_same_every_time(tmp_path):
    picture(tmp_path / "photos/a.png", (60, 70))
    for out in ("one", "two"):
        assert make_pairs(tmp_path / "photos", tmp_path / out, 9, 2, 1) == 2
    first, second = (pairs(tmp_path / out, None, 1) for out in ("one", "two"))
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(read_image(a.lr).rgb, read_image(b.lr).rgb)
        assert read_image(a.lr).rgb.std() < read_image(a.hr).rgb.std()
    with pytest.raises(SparsrError, match="not possible"):
        make_pairs(tmp_path / "photos", tmp_path / "three", 500, 1, 1)


def settings(folder, **network):
    raw = {
        "name": "r",
        "network": {"architecture": "unet", "scale": 1, "channels": 4} | network,
        "data": {"folders": [str(folder)], "patch": 16, "batch": 2, "holdout": 1},
        "train": {"steps": 2, "validate_every": 1, "save_every": 1, "log_every": 1},
    }
    return recipe.parse(raw, "test")


@pytest.mark.parametrize(("named", "task"), [("", "deblurring"), ("denoising", "denoising")])
def test_a_trained_network_says_what_it_is_for(gopro, tmp_path, named, task):
    with prepare(settings(gopro, task=named), tmp_path / "run", False, "cpu") as run:
        train(run)
    network, card = checkpoint.load(tmp_path / "run/best.safetensors")
    assert network.task == card.task == task
    assert list(card.metrics["held-out"]) == ["psnr_rgb"]


def test_tasks_of_the_registry():
    assert build("dncnn", 1).task == "denoising" and build("dmphn", 1).task == "deblurring"
    assert build("compact", 1).task == "restoration" and build("compact", 2).task == "super_resolution"
    with pytest.raises(SparsrError, match=r"network\.task"):
        settings(".", architecture="rfdn", scale=2, task="denoising")


@pytest.mark.parametrize(("architecture", "options"), [("unet", {}), ("srn", {"blocks": 1}), ("dmphn", {"levels": 2})])
def test_sls_spends_its_budget_on_networks_that_share_layers_and_cut_pictures(gopro, tmp_path, architecture, options):
    torch.manual_seed(0)
    network = build(architecture, 1, channels=8, **options)
    checkpoint.save(tmp_path / "dense.safetensors", network, card_for(network, "dense"))
    raw = {
        "name": "r",
        "network": {"architecture": architecture, "scale": 1, "start": str(tmp_path / "dense.safetensors")},
        "data": {"folders": [str(gopro)], "patch": 16, "batch": 1, "holdout": 1},
        "prune": {"method": "sls", "m": 4, "budget": 0.5, "exact": True, "steps": 3, "score_gain": 50.0},
        "train": {"steps": 1, "validate_every": 1, "save_every": 9, "log_every": 9},
    }
    raw["prune"]["cost_weight"] = 1e-3
    with prepare(recipe.parse(raw, "test"), tmp_path / "run", False, "cpu") as run:
        train(run)
    pruned, card = checkpoint.load(tmp_path / "run/best.safetensors")
    whole, kept = layer_macs(network, 48, 48), 0.0
    sparse = [name for name, conv in convolutions(network).items() if can_be_sparse(conv, 4)]
    for name in sparse:
        weight = pruned.get_submodule(name).weight
        kept += whole[name] * int(weight.count_nonzero()) / weight.numel()
    assert card.method == "sls" and "exit" not in " ".join(sparse)
    assert kept / sum(whole[name] for name in sparse) == pytest.approx(0.5, abs=0.03)


def test_pruning_with_pictures_alone_takes_them_as_inputs(gopro, tmp_path):
    network = build("unet", 1, channels=8)
    for seed in range(2):
        picture(tmp_path / f"flat/{seed}.png", seed=seed)
    alone = Order(0.5, "nm", tmp_path / "flat", steps=10)
    assert recipe_for(network, tmp_path / "dense.safetensors", alone).data.unlabelled
    with_targets = Order(0.5, "nm", gopro, steps=10)
    assert not recipe_for(network, tmp_path / "dense.safetensors", with_targets).data.unlabelled
    with pytest.raises(SparsrError, match="holds no pairs"):
        recipe_for(network, tmp_path / "dense.safetensors", replace(alone, hr_share=0.5))
