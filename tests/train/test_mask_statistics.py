"""Sparsity statistics, multiply-adds both ways, mask pictures: against published figures and the official weights."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
import torch

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.media.images import read_image, write_image
from sparsr.train.cli import build_parser
from sparsr.train.networks import build
from sparsr.train.networks.smsr import mask_blocks
from sparsr.train.quality.complexity import gmacs_720p
from sparsr.train.run import checkpoint
from sparsr.train.run.checkpoint import card_for
from sparsr.train.smsr.report import strip
from sparsr.train.smsr.statistics import (
    block_work,
    mean_statistics,
    published_formula_gmacs,
    statistics,
    true_decomposition_gmacs,
)

torch.set_num_threads(1)


def evaluate(*arguments):
    chosen = build_parser().parse_args(["eval", *map(str, arguments)])
    return chosen.action(chosen)


@pytest.mark.parametrize(
    ("scale", "dense", "sparsity", "reduced"), [(2, 224.1, 0.49, 131.6), (3, 100.5, 0.39, 67.8), (4, 57.2, 0.33, 41.6)]
)
def test_the_published_formula_gives_the_published_reductions(scale, dense, sparsity, reduced):
    network = build("smsr", scale)
    saved = gmacs_720p(network) - published_formula_gmacs(network, sparsity)
    assert round(dense - saved, 1) == reduced


def counted_products(block, mask):
    """Multiply-adds by looking at every pixel, layer and pair of channels."""
    dense = [[True] * 4, *block.dense_channels().tolist()]
    total = 0
    for important in mask.flatten().tolist():
        for inputs, outputs in pairwise(dense):
            total += 9 * sum(important or (i and o) for i in inputs for o in outputs)
        total += 4 * sum(important or d for layer in dense[1:] for d in layer)
    return total


def test_the_true_decomposition_counts_what_the_masks_leave():
    torch.manual_seed(2)
    network = build("smsr", 2, channels=4, blocks=2)
    blocks, masks = mask_blocks(network), [torch.rand(5, 7) > limit for limit in (0.3, 0.8)]
    active = [float(mask.float().mean()) for mask in masks]
    for block, mask, share in zip(blocks, masks, active, strict=True):
        assert block_work(block).mean(share) * 35 == pytest.approx(counted_products(block, mask))
    saved = sum(
        block_work(block).total - counted_products(block, mask) / 35 for block, mask in zip(blocks, masks, strict=True)
    )
    assert true_decomposition_gmacs(network, active) == pytest.approx(gmacs_720p(network) - saved * 640 * 360 / 1e9)
    assert true_decomposition_gmacs(network, [1.0, 1.0]) == pytest.approx(gmacs_720p(network))


def test_statistics_and_their_mean():
    network = build("smsr", 2, channels=4, blocks=1)
    with torch.no_grad():
        mask_blocks(network)[0].ch_mask[..., 0] = torch.tensor([1.0, -1, -1, -1])[:, None]
        mask_blocks(network)[0].ch_mask[..., 1] = 0.0
    quarter = statistics(network, [torch.tensor([[True, False], [False, False]])])
    assert quarter.active == [0.25]
    assert quarter.sparsity == [0.75 * 0.75]  # three of four channels at three of four pixels
    whole = statistics(network, [torch.ones(2, 2, dtype=torch.bool)])
    assert (whole.mean_sparsity, whole.multiply_adds) == (0.0, [1.0])
    assert mean_statistics([quarter, whole]).active == [0.625]


def test_official_masks_on_set5(shared_data, tmp_path, capsys):
    """Quality, active pixels, sparsity and true multiply-adds as measured with the authors' code."""
    model, data = shared_data / "checkpoints/SMSR_x2_model_1000.pt", shared_data / "benchmarks/Set5/HR"
    assert evaluate(model, "--data", data, "--masks", tmp_path / "masks", "--json", tmp_path / "quality.json") == 0
    quality = json.loads((tmp_path / "quality.json").read_text())["images"].values()
    assert [one["psnr_y"] for one in quality] == pytest.approx([38.888, 43.282, 35.382, 35.988, 36.415], abs=0.002)
    found = json.loads((tmp_path / "masks/masks.json").read_text())
    assert [round(share, 3) for share in found["mean"]["active"]] == [0.297, 0.321, 0.538, 0.293, 0.380]
    images = found["images"].values()
    assert [round(one["mean_sparsity"], 3) for one in images] == [0.758, 0.623, 0.342, 0.609, 0.586]
    left = [sum(one["multiply_adds"]) / 5 for one in images]
    assert [round(share, 3) for share in left] == [0.229, 0.367, 0.652, 0.382, 0.404]
    assert found["dense_channels"][0] == [24, 9, 3, 0]
    gmacs = found["gmacs_720p"]
    assert gmacs["true_decomposition"] < gmacs["published_formula"] < gmacs["dense"]
    table = capsys.readouterr().out
    assert [float(word) for word in table.splitlines()[-2].split()[3:]] == [0.584, 0.297, 0.321, 0.538, 0.293, 0.380]
    assert "published formula 113.6, true decomposition 111.8" in table
    picture = read_image(tmp_path / "masks/butterfly_masks.png").rgb
    assert picture.shape == (128, 6 * 128 + 5 * 4, 3)


@pytest.mark.slow
@pytest.mark.parametrize(("data_set", "sparsity", "active"), [("Set14", 0.463, [0.408, 0.505, 0.640, 0.426, 0.502])])
def test_official_masks_on_set14(shared_data, tmp_path, data_set, sparsity, active):
    model, data = shared_data / "checkpoints/SMSR_x2_model_1000.pt", shared_data / f"benchmarks/{data_set}/HR"
    evaluate(model, "--data", data, "--masks", tmp_path)
    mean = json.loads((tmp_path / "masks.json").read_text())["mean"]
    assert mean["mean_sparsity"] == pytest.approx(sparsity, abs=0.0006)
    assert mean["active"] == pytest.approx(active, abs=0.0006)


def test_a_picture_keeps_important_pixels_and_darkens_the_others():
    image = np.full((3, 4, 3), 200, np.uint8)
    mask = torch.zeros(3, 4, dtype=torch.bool)
    mask[1, 2] = True
    picture = strip(image, [mask, ~mask])
    assert picture.shape == (3, 4 * 3 + 2 * 4, 3)
    first, second = picture[:, 8:12], picture[:, 16:]
    assert (first[1, 2] == 200).all() and (second[0, 0] == 200).all()
    assert first[0, 0].mean() < 100 and second[1, 2].mean() < 100
    assert (picture[:, 4:8] == 255).all()


@pytest.mark.parametrize("kind", ["spatial", "channel"])
def test_ablations_have_statistics_too(tmp_path, kind):
    network = build("smsr", 2, channels=8, blocks=2, **{kind: False})
    checkpoint.save(tmp_path / "net.safetensors", network, card_for(network, "smsr"))
    (tmp_path / "images").mkdir()
    write_image(tmp_path / "images/a.png", np.random.default_rng(0).integers(0, 256, (22, 26, 3), dtype=np.uint8))
    evaluate(tmp_path / "net.safetensors", "--data", tmp_path / "images", "--masks", tmp_path / "masks")
    found = json.loads((tmp_path / "masks/masks.json").read_text())
    if kind == "spatial":
        assert found["mean"]["active"] == [0.0, 0.0]
    else:
        assert found["dense_channels"] == [[0] * 4] * 2
        assert found["mean"]["sparsity"] == pytest.approx([1 - share for share in found["mean"]["active"]])
    assert (tmp_path / "masks/a_masks.png").is_file()


def test_networks_without_masks_are_refused(tmp_path):
    network = build("smsr", 2, channels=8, blocks=1, spatial=False, channel=False)
    checkpoint.save(tmp_path / "net.safetensors", network, card_for(network, "dense"))
    (tmp_path / "images").mkdir()
    write_image(tmp_path / "images/a.png", np.zeros((22, 26, 3), np.uint8))
    for model in (tmp_path / "net.safetensors", "bicubic"):
        with pytest.raises(SparsrError, match="no sparse masks") as caught:
            evaluate(model, "--data", tmp_path / "images", "--masks", tmp_path / "masks", "--scale", 2)
        assert caught.value.hint == "leave out --masks"
    assert not (tmp_path / "masks").exists()
