"""What docs/results/zoo.md says of the networks that come with SparSR is what their cards and weights say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sparsr.train.importers.models import load_model
from sparsr.train.quality.complexity import gmacs_720p
from sparsr.train.quality.evaluate import colours_of

ROOT = Path(__file__).resolve().parents[2]
ZOO = ROOT / "train" / "zoo"
SETS = {
    "psnr_y": ("Set5", "Set14", "B100", "Urban100 (20 images)"),
    "psnr_rgb": ("B100, shaken", "GoPro (4 pairs)"),
}


def rows():
    """{file: [GMACs, PSNR of every set]} of the page's rows that name a file."""
    found = {}
    for line in (ROOT / "docs" / "results" / "zoo.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if name := re.fullmatch(r"`(\w+)`", cells[0]):
            found[name[1]] = [float(cell) for cell in cells[2:] if re.fullmatch(r"[\d.]+", cell)]
    return found


def test_every_network_has_its_row():
    assert rows().keys() == {path.stem for path in ZOO.glob("*.safetensors")}


@pytest.mark.parametrize("name", sorted(path.stem for path in ZOO.glob("*.safetensors")))
def test_the_figures_are_the_cards_and_files_stay_small(name):
    path = ZOO / f"{name}.safetensors"
    network, card = load_model(path)
    gmacs, *quality = rows()[name]
    measure = f"psnr_{colours_of(network.scale)}"
    assert gmacs == pytest.approx(gmacs_720p(network, nonzero=True), abs=0.006)
    # Of generators made to look right none is given.
    known = [card.metrics[data][measure] for data in SETS[measure] if data in card.metrics]
    assert quality == pytest.approx(known, abs=0.006)
    assert path.stat().st_size <= 5_000_000
