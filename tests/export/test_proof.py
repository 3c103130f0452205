"""Statements of others about a network: its output for a picture, its PSNR over pictures."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from sparsr.export.parity.proof import Statement, prove, read_statement
from sparsr.runtime.errors import CheckFailedError, SparsrError
from sparsr.train.quality.metrics import psnr_y
from tests.export.graphs import chain, small_network, torch_run
from tests.export.graphs import conv as random_conv

NETWORK = small_network()


def run(image):
    return torch_run(NETWORK, image)


def pixels(height, width, seed=0):
    return np.random.default_rng(seed).integers(60, 190, (height, width, 3), np.uint8)


def upscaled(image):
    result = run(image.astype(np.float32).transpose(2, 0, 1)[None])[0].transpose(1, 2, 0)
    return np.floor(np.clip(result, 0, 255) + 0.5).astype(np.uint8)


@pytest.fixture
def pair(tmp_path):
    given = pixels(9, 13)
    Image.fromarray(given).save(tmp_path / "low.png")
    Image.fromarray(upscaled(given)).save(tmp_path / "high.png")
    return Statement(tmp_path / "low.png", tmp_path / "high.png")


def test_statements_are_read():
    assert str(read_statement("cat.png")) == "cat.png"
    pair = read_statement("low/a.png=high/a.png")
    assert (str(pair.given), str(pair.expected), pair.decibels) == ("low/a.png", "high/a.png", None)
    assert read_statement("low=high@32.15").decibels == 32.15
    for wrong in ("low=high@fast", "low=high@-3", "low=high@nan"):
        with pytest.raises(SparsrError, match="no PSNR"):
            read_statement(wrong)


def test_the_stated_output_is_found_again(pair):
    lines = []
    sentence = prove(pair, run, NETWORK, lines.append)
    assert sentence.startswith("low.png becomes high.png: 100.000 %") and lines == [f"verified: {sentence}"]


@pytest.mark.parametrize("change", [lambda x: x[:, ::-1], lambda x: x ^ 2, lambda x: np.where(x > 120, x - 1, x)])
def test_another_output_is_not(pair, change):
    Image.fromarray(np.ascontiguousarray(change(np.array(Image.open(pair.expected)))).astype(np.uint8)).save(
        pair.expected
    )
    with pytest.raises(CheckFailedError, match=r"not so that low\.png becomes high\.png") as caught:
        prove(pair, run, NETWORK, print)
    assert "--range" in caught.value.hint


def test_outputs_of_another_size_are_refused(pair):
    Image.fromarray(pixels(9, 9)).save(pair.expected)
    with pytest.raises(SparsrError, match="26x18 pixels"):
        prove(pair, run, NETWORK, print)


def test_figures_over_folders(tmp_path):
    figures = []
    for folder in ("low", "high"):
        (tmp_path / folder).mkdir()
    for name, size in (("a.png", (9, 13)), ("b.png", (14, 8))):
        given = pixels(*size)
        truth = np.clip(upscaled(given).astype(int) + pixels(2 * size[0], 2 * size[1], 1) % 9 - 4, 0, 255).astype(
            np.uint8
        )
        Image.fromarray(given).save(tmp_path / "low" / name)
        Image.fromarray(truth).save(tmp_path / "high" / name)
        figures.append(psnr_y(upscaled(given), truth, 2))
    stated = round(float(np.mean(figures)), 2)
    statement = Statement(tmp_path / "low", tmp_path / "high", stated)
    assert "2 pictures" in prove(statement, run, NETWORK, print)
    with pytest.raises(CheckFailedError, match="dB on Y, not the"):
        prove(Statement(statement.given, statement.expected, stated + 0.05), run, NETWORK, print)
    (tmp_path / "low" / "c.png").write_bytes((tmp_path / "low" / "a.png").read_bytes())
    with pytest.raises(SparsrError, match="equally many pictures"):
        prove(statement, run, NETWORK, print)


def test_pictures_too_small_are_refused(pair):
    large = chain("large", random_conv(np.random.default_rng(0), 3, 3), minimum_size=30)
    with pytest.raises(SparsrError, match="too small for large"):
        prove(pair, run, large, print)
