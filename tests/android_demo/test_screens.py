"""The app's screens, drawn by its own code on this machine: every one, light and dark, for phones and tablets."""

from __future__ import annotations

import os
from pathlib import Path

import java
import numpy as np
import pytest
from PIL import Image
from test_java import bundle

from tests.export import graphs

SCREENS = (
    "upscale_empty", "upscale_running", "upscale_done", "upscale_failed", "benchmark_choices", "benchmark_running",
    "benchmark_done", "history", "bundles",
)  # fmt: skip
WIDTHS = (360, 1000)
DENSITY = 1.5


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """The folder with the pictures: SPARSR_SCREENS names one to look at them."""
    folder = tmp_path_factory.mktemp("screens")
    graph = graphs.small_network(value_range=255.0)
    bundles = bundle(folder, "pruned", "sls", graph), bundle(folder, "dense", "dense", graph)
    colours = np.zeros((30, 40, 3), np.uint8)
    colours[..., 0], colours[..., 2] = 200, np.arange(40) * 6
    Image.fromarray(colours).save(folder / "before.png")
    Image.fromarray(255 - colours).resize((80, 60), Image.Resampling.BILINEAR).save(folder / "after.png")
    out = Path(os.environ.get("SPARSR_SCREENS", folder / "pictures"))
    out.mkdir(parents=True, exist_ok=True)
    arguments = (out, folder / "before.png", folder / "after.png", *bundles)
    result = java.run("dev.sparsr.demo.screen.Render", *arguments, library=java.host_library(), checked=False)
    assert result.returncode == 0, result.stderr
    return out


def read(path):
    return np.asarray(Image.open(path).convert("RGB"))


@pytest.mark.parametrize("screen", SCREENS)
def test_screens_are_drawn(pictures, screen):
    for width in WIDTHS:
        light, dark = (read(pictures / f"{screen}_{theme}_{width}.png") for theme in ("light", "dark"))
        assert light.shape == dark.shape
        assert light.shape[1] == width * DENSITY
        assert light[0, 0].min() > 200 > 60 > dark[0, 0].max()
        for picture in (light, dark):
            margin = picture[:, -int(8 * DENSITY) :]  # nothing is drawn beyond the cards
            assert (margin == picture[0, 0]).all()
            assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 20  # letters have soft edges


def test_the_comparison_shows_before_on_the_left_and_after_on_the_right(pictures):
    picture = read(pictures / "upscale_done_light_360.png").astype(int)
    reddish = (picture[..., 0] - picture[..., 1] > 150).sum(0)
    bluish = (picture[..., 1] - picture[..., 0] > 150).sum(0)
    middle = picture.shape[1] // 2
    assert reddish[:middle].sum() > 50 * reddish[middle:].sum()
    assert bluish[middle:].sum() > 50 * bluish[:middle].sum()
