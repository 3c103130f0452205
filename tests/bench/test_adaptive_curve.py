"""Curves of quality against work and time: every figure against one made another way."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from sparsr import Upscaler
from sparsr.bench import cli
from sparsr.bench.curve.curve import Point, _compare, _line_at, drawing, measure_curve, table
from sparsr.runtime.upscale.adaptive.upscaler import AdaptiveUpscaler
from sparsr.train.data.bicubic import downscale
from sparsr.train.quality.evaluate import measure
from tests.runtime.small_adaptive import write_adaptive


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_adaptive(tmp_path_factory.mktemp("adaptive") / "bundle")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for seed, (height, width) in enumerate([(80, 64), (90, 100)]):
        noise = np.random.default_rng(seed).integers(-128, 128, (height, width, 3))
        strength = np.linspace(-1, 1, width).clip(0)[None, :, None]
        Image.fromarray((128 + noise * strength).astype(np.uint8)).save(folder / f"{seed}.png")
    return folder


def test_figures(bundle, images):
    upscaler = AdaptiveUpscaler(bundle, "ort", 1)
    points = measure_curve(upscaler, images, (0.02, 1e6), 1, lambda line: None)
    assert [(p.name, p.beta) for p in points] == [("large", None), ("middle", None), ("bicubic", None),
                                                  ("adaptive", 0.02), ("adaptive", 1e6)]  # fmt: skip
    for point, network in zip(points, bundle.networks, strict=False):
        assert point.psnr_y == pytest.approx(measure(Upscaler(network, "ort", 1), images, 2).mean.psnr)
        assert point.gmacs_720p == pytest.approx(network.card.gmacs_720p)
    assert points[4].psnr_y == pytest.approx(points[2].psnr_y)
    assert points[4].gmacs_720p == pytest.approx(bundle.card.bicubic_cost + bundle.card.estimator.cost)
    upscaler.beta = 0.02
    assert points[3].psnr_y == pytest.approx(measure(upscaler, images, 2).mean.psnr)
    work = 0.0
    for path in images.iterdir():
        upscaler(downscale(np.asarray(Image.open(path)), 2))
        work += float(np.dot(upscaler.shares.pixels, bundle.card.costs))
    pixels = (40 * 32 + 45 * 50, 640 * 360)
    assert points[3].gmacs_720p == pytest.approx(work / pixels[0] + bundle.card.estimator.cost)
    assert all(point.milliseconds_720p > 0 for point in points)


def test_the_line_through_the_candidates():
    singles = [(1.0, 10.0), (5.0, 12.0), (3.0, 20.0), (9.0, 26.0)]
    assert _line_at(2.0, singles) == pytest.approx(15.0)
    assert _line_at(5.0, singles) == pytest.approx(22.0)  # (5, 12) lies below the others' line
    assert _line_at(0.5, singles) == 10.0
    assert _line_at(20.0, singles) == 26.0


def test_compares_with_the_line():
    points = [
        Point("a", None, 30.0, 10.0, 5.0),
        Point("b", None, 20.0, 0.0, 1.0),
        Point("adaptive", 0.1, 26.0, 5.0, 4.0),
    ]
    _compare(points)
    assert (points[2].above_work, points[2].above_time) == (pytest.approx(1.0), pytest.approx(-1.5))
    assert "+1.000" in table(points) and "-1.500" in table(points)


def test_drawings_hold_every_point():
    points = [Point("a <b>", None, 30.0, 10.0, 5.0), Point("bicubic", None, 20.0, 0.0, 1.0),
              Point("adaptive", 0.1, 26.0, 5.0, 4.0), Point("adaptive", 0.2, 26.0, 5.0, 4.0)]  # fmt: skip
    for against in ("work", "time"):
        root = ElementTree.fromstring(drawing(points, against, "title"))
        texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
        assert {"title", "a <b>", "bicubic", "0.1"} <= set(texts)
        assert len(list(root.iter("{http://www.w3.org/2000/svg}circle"))) == 4


def test_command_line(bundle, images, tmp_path, capsys):
    out = tmp_path / "curve"
    options = ["curve", bundle.path, "--data", images, "--out", out, "--beta", "0.1", "--rounds", "1"]
    assert cli.main([str(option) for option in options]) == 0
    assert "beta 0.1" in capsys.readouterr().out
    record = json.loads(out.with_suffix(".json").read_text())
    assert [point["beta"] for point in record["points"]] == [None, None, None, 0.1]
    for against in ("work", "time"):
        ElementTree.fromstring((tmp_path / f"curve_{against}.svg").read_text())
