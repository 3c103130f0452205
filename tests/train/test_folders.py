"""Benchmark and training folders in the shapes people have them, and images that cannot be measured."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.media.images import write_image
from sparsr.train.cli import build_parser
from sparsr.train.data.bicubic import downscale
from sparsr.train.data.folders import pairs
from sparsr.train.data.patches import PatchData
from sparsr.train.networks import build
from sparsr.train.quality.evaluate import evaluate, upscale
from sparsr.train.run import checkpoint, recipe
from sparsr.train.run.checkpoint import card_for


def picture(path, size=(40, 48), seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    write_image(path, pixels)
    return pixels


def names(found):
    return [(pair.hr.name, pair.lr and pair.lr.name) for pair in found]


def test_flat_folders_are_hr(tmp_path):
    """Manga109 and B100; names that end in x2 are HR unless another image has the rest of the name."""
    for name in ("AisazuNihaIrarenai.png", "Box2.png", "matrix2.png"):
        picture(tmp_path / name)
    assert names(pairs(tmp_path, None, 2)) == [(name, None) for name in sorted(p.name for p in tmp_path.iterdir())]


def test_pairs_in_one_folder_are_told_by_their_names(tmp_path):
    """Urban100 as its authors publish it."""
    for name in ("img_001_SRF_2_HR.png", "img_001_SRF_2_LR.png", "img_002_SRF_2_HR.png", "img_002_SRF_2_LR.png"):
        picture(tmp_path / name)
    assert names(pairs(tmp_path, None, 2)) == [
        ("img_001_SRF_2_HR.png", "img_001_SRF_2_LR.png"),
        ("img_002_SRF_2_HR.png", "img_002_SRF_2_LR.png"),
    ]
    (tmp_path / "img_002_SRF_2_LR.png").unlink()
    with pytest.raises(SparsrError, match=r"img_002_SRF_2_HR\.png of .* has no LR"):
        pairs(tmp_path, None, 2)


def test_results_of_other_methods_beside_the_pairs_are_named_and_no_hr(tmp_path):
    """The published archives of Urban100 and BSD100 hold what ten methods made of every picture."""
    for name in ("HR", "LR", "bicubic", "SRCNN", "A+"):
        picture(tmp_path / f"img_001_SRF_4_{name}.png")
    lines = []
    assert names(pairs(tmp_path, None, 4, lines.append)) == [("img_001_SRF_4_HR.png", "img_001_SRF_4_LR.png")]
    assert len(lines) == 1 and "3 images that are not HR" in lines[0] and "img_001_SRF_4_A+.png" in lines[0]


def test_lr_images_among_those_to_be_measured_are_named(tmp_path, capsys):
    for name in ("a", "b", "ax2"):
        picture(tmp_path / f"{name}.png")
    assert eval_command("bicubic", "--data", tmp_path, "--scale", 2) == 0
    out, err = capsys.readouterr()
    assert "mean of 2" in out
    assert err.startswith("left out: 1 images that are not HR") and "ax2.png" in err


def test_names_that_tell_the_kernel_and_the_scale(tmp_path):
    """As RCAN's authors prepare the benchmarks."""
    picture(tmp_path / "HR/Set5/x3/baby_HR_x3.png")
    picture(tmp_path / "LR/LRBI/Set5/x3/baby_LRBI_x3.png")
    for low in ("x3", ""):
        found = pairs(tmp_path / "HR/Set5/x3", tmp_path / "LR/LRBI/Set5" / low, 3)
        assert names(found) == [("baby_HR_x3.png", "baby_LRBI_x3.png")]


@pytest.mark.parametrize("suffix", ["x4", "", "_LR", "_x4"])
@pytest.mark.parametrize("nested", [True, False])
def test_lr_folders_of_their_own(tmp_path, suffix, nested):
    """DIV2K and what comes with Set5 and Set14."""
    low = tmp_path / "DIV2K_valid_LR_bicubic"
    for index in ("0801", "0802"):
        picture(tmp_path / f"DIV2K_valid_HR/{index}.png")
        picture((low / "X4" if nested else low) / f"{index}{suffix}.png")
    found = pairs(tmp_path / "DIV2K_valid_HR", low, 4)
    assert names(found) == [(f"{i}.png", f"{i}{suffix}.png") for i in ("0801", "0802")]


def test_the_folder_above_the_hr_images_will_do(tmp_path):
    """Set5 with HR and LR_bicubic in it, DIV2K with one part; with both parts it must be said which."""
    picture(tmp_path / "Set5/HR/baby.png")
    picture(tmp_path / "Set5/LR_bicubic/X2/babyx2.png")
    assert names(pairs(tmp_path / "Set5", tmp_path / "Set5/LR_bicubic", 2)) == [("baby.png", "babyx2.png")]
    picture(tmp_path / "DIV2K/DIV2K_valid_HR/0801.png")
    picture(tmp_path / "DIV2K/DIV2K_valid_LR_bicubic/X2/0801x2.png")
    assert names(pairs(tmp_path / "DIV2K", None, 2)) == [("0801.png", None)]
    picture(tmp_path / "DIV2K/DIV2K_train_HR/0001.png")
    with pytest.raises(SparsrError, match=r"DIV2K_train_HR and DIV2K_valid_HR"):
        pairs(tmp_path / "DIV2K", None, 2)


def test_official_lr_give_the_figures_of_lr_made_here(shared_data):
    """The official LR images are MATLAB's; ours are equal to them, so the figures are too."""
    folder = shared_data / "benchmarks/Set5"
    made, given = pairs(folder, None, 2), pairs(folder, folder / "LR_bicubic", 2)
    assert [pair.hr for pair in made] == [pair.hr for pair in given] and len(given) == 5
    from sparsr.train.data import bicubic
    from sparsr.train.quality.evaluate import measure_pairs

    scores = [
        measure_pairs(lambda image: bicubic.upscale(image, scale=2), images, 2).mean.psnr for images in (made, given)
    ]
    assert scores[0] == pytest.approx(scores[1], abs=2e-4)


def eval_command(*arguments):
    chosen = build_parser().parse_args(["eval", *map(str, arguments)])
    return chosen.action(chosen)


def test_images_that_cannot_be_measured_are_named_and_the_rest_is(tmp_path, capsys):
    folder = tmp_path / "hr"
    hr = picture(folder / "good.png")
    picture(folder / "odd.png", (44, 48))
    (folder / "torn.png").write_bytes((folder / "good.png").read_bytes()[:200])
    for name in ("good", "odd", "torn"):
        write_image(tmp_path / f"lr/{name}x2.png", downscale(hr, 2))
    arguments = ("bicubic", "--data", folder, "--lr", tmp_path / "lr", "--scale", 2)
    code = eval_command(*arguments, "--json", tmp_path / "q.json")
    out, err = capsys.readouterr()
    assert code == 2
    assert "mean of 1" in out
    assert "torn.png is damaged" in err and "24x20 and 48x44 pixels, not 1:2" in err
    record = json.loads((tmp_path / "q.json").read_text())
    assert list(record["images"]) == ["good.png"] and set(record["left_out"]) == {"odd.png", "torn.png"}
    (folder / "good.png").unlink()
    with pytest.raises(SparsrError, match="none of 2 images"):
        eval_command(*arguments)


# --- self-ensemble ------------------------------------------------------------------------------------------------


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build("edsr", 2, channels=6, blocks=1).eval()


def test_the_ensemble_is_the_mean_over_the_eight_symmetries(network):
    image = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    total = np.zeros((18, 24, 3))
    for turns in range(4):
        for mirrored in (False, True):
            turned = np.rot90(image[:, ::-1] if mirrored else image, turns)
            with torch.inference_mode():
                output = network(torch.tensor(turned.copy()).permute(2, 0, 1)[None].float())[0]
            back = np.rot90(output.permute(1, 2, 0).numpy(), -turns)
            total += back[:, ::-1] if mirrored else back
    expected = np.rint((total / 8).clip(0, 255))
    found = upscale(network, image, ensemble=True)
    assert np.abs(found - expected).max() <= 1 and (found == expected).mean() > 0.99
    assert (found != upscale(network, image)).any()
    np.testing.assert_array_equal(upscale(network, image[::-1], ensemble=True)[::-1], found)


def test_eval_with_the_ensemble(network, tmp_path, capsys):
    picture(tmp_path / "hr/a.png")
    checkpoint.save(tmp_path / "net.safetensors", network, card_for(network, "dense"))
    assert eval_command(tmp_path / "net.safetensors", "--data", tmp_path / "hr", "--ensemble") == 0
    single = evaluate(network, tmp_path / "hr", 2).mean.psnr
    printed = float(capsys.readouterr().out.splitlines()[-1].split()[-2])
    assert printed > single, "averaging takes noise away, even an untrained network's"
    with pytest.raises(SparsrError, match="flipped"):
        eval_command("bicubic", "--data", tmp_path / "hr", "--scale", 2, "--ensemble")


# --- training images ----------------------------------------------------------------------------------------------


def test_lr_images_among_the_training_images_are_left_out_and_named(tmp_path):
    for index in range(3):
        picture(tmp_path / f"DIV2K_train_HR/000{index}.png", seed=index)
        picture(tmp_path / f"DIV2K_train_LR_bicubic/X2/000{index}x2.png", (20, 24), seed=index)
    picture(tmp_path / "DIV2K_train_HR/0000x2.png")
    lines = []
    data = PatchData([tmp_path], 2, 8, torch.device("cpu"), report=lines.append)
    assert data.images == 3
    assert any("4 LR images among the HR ones" in line and "DIV2K_train" in line for line in lines)


def test_a_range_takes_a_part_of_every_folder(tmp_path):
    for index in range(1, 6):
        picture(tmp_path / f"000{index}.png", seed=index)
    whole = PatchData([tmp_path], 2, 8, torch.device("cpu"), report=lambda _: None)
    part = PatchData([tmp_path], 2, 8, torch.device("cpu"), report=lambda _: None, data_range=(2, 4))
    assert (whole.images, part.images) == (5, 3)
    with pytest.raises(SparsrError, match="has 5 images, not 9"):
        PatchData([tmp_path], 2, 8, torch.device("cpu"), data_range=(1, 9))
    assert recipe.first_and_last("1-800") == (1, 800)
    for wrong in ("800", "0-5", "9-3", "a-b"):
        with pytest.raises(SparsrError, match="not FIRST-LAST"):
            recipe.first_and_last(wrong)
