"""Where ASSL's parts pay: `python docs/results/alignment.py --help`. Every network of a seed and depth starts from the
same dense one and trains as many steps on the same patches; one part of the method is left out at a time.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import torch

from sparsr.runtime.media.images import list_images, read_image
from sparsr.train.data import bicubic
from sparsr.train.networks import SRNetwork
from sparsr.train.pruning.assl import Assl
from sparsr.train.pruning.channel_groups import ChannelGroup
from sparsr.train.pruning.settings import AsslSettings
from sparsr.train.quality.evaluate import psnr_of, upscale
from sparsr.train.run import checkpoint, recipe
from sparsr.train.run.loop import train
from sparsr.train.run.methods import METHODS, MethodEntry
from sparsr.train.run.prepare import prepare

SCALE = 2
LIMIT = 0.5

Quality = dict[str, float]
"""Mean luma PSNR in dB by set of images."""


class OwnPicks(Assl):
    """ASSL whose layers do not agree: each penalises channels of its own choice, the first one's channels are kept."""

    def groups(self, network: SRNetwork) -> list[ChannelGroup]:
        """A group for every layer, that of the first one under the name of those it shares channels with."""
        return [
            replace(group, name=writer if at else group.name, writer_filters={writer: group.filters(writer)})
            for group in super().groups(network)
            for at, writer in enumerate(group.writers)
        ]

    def finish(self, network: SRNetwork) -> SRNetwork:
        """Remove what the first layers have picked."""
        assert self.kept is not None
        self.kept = {group.name: self.kept[group.name] for group in super().groups(network)}
        return super().finish(network)


METHODS["assl_own_picks"] = MethodEntry(AsslSettings, lambda settings, run: OwnPicks(settings))


def variants(steps: int) -> dict[str, tuple[str, dict[str, object]]]:
    """Recipe and settings of every row of the table, of `steps` steps in all.

    The stages before slimming take two fifths of them, with a step size that lets scales fall to zero in that time.
    """
    align, grow, stabilise = steps // 15, steps // 5, steps * 2 // 15
    lengths: dict[str, object] = {
        "prune.ssa_steps": align,
        "prune.granularity": LIMIT / grow,
        "prune.stabilise_steps": stabilise - 1,  # growing takes one step more, to exceed the limit
        "prune.lr": 2e-3,
        "train.steps": steps - align - grow - stabilise,
    }
    unaligned = lengths | {"prune.ssa_steps": 0, "train.steps": steps - grow - stabilise}
    ungrown = {"prune.granularity": 1e-6 * LIMIT / grow, "prune.limit": 1e-6 * LIMIT}
    return {
        "L1": ("compare/l1", {"train.steps": steps}),
        "ASSL": ("compare/assl", lengths),
        "without alignment": ("compare/assl", unaligned),
        "without growing coefficients": ("compare/assl", lengths | ungrown),
        "without alignment, every layer's own pick": ("compare/assl", unaligned | {"prune.method": "assl_own_picks"}),
    }


def trained(name: str, settings: dict[str, object], out: Path) -> SRNetwork:
    """The network that recipe `name` gives, trained in `out` unless it is there, resumed where it was stopped."""
    if not (out / "done").exists():
        common = {"data.cache": str(out.parents[1] / "cache"), "train.validate_every": 10**6, "train.save_every": 250}
        chosen = recipe.load(name, [f"{key}={value}" for key, value in (common | settings).items()])
        with prepare(chosen, out, (out / "state.pt").exists(), "cpu") as run:
            train(run)
        (out / "done").touch()
    return checkpoint.load(out / "last.safetensors")[0]


class Images:
    """Benchmark images with the LR made of them, kept in memory: every network is measured on all of them."""

    def __init__(self, folders: list[Path]) -> None:
        self.sets = {folder.name: list(self._pairs(folder)) for folder in folders}

    @staticmethod
    def _pairs(folder: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for path in list_images(folder / "HR"):
            hr = bicubic.crop_to_multiple(read_image(path).rgb, SCALE)
            yield bicubic.downscale(hr, SCALE), hr

    def quality(self, network: SRNetwork) -> Quality:
        """By the protocol of `sparsr train eval`."""
        return {
            name: fmean(psnr_of(upscale(network, lr), hr, SCALE) for lr, hr in pairs)
            for name, pairs in self.sets.items()
        }


def measure(networks: dict[str, SRNetwork], images: Images, results: dict[str, Quality], record: Path) -> None:
    """Measure what has no result yet, and keep it."""
    for key, network in networks.items():
        if key not in results:
            results[key] = images.quality(network)
            record.write_text(json.dumps(results, indent=1) + "\n")
        print(key, {name: round(value, 3) for name, value in results[key].items()}, flush=True)


def table(results: dict[str, Quality], depths: list[int], seeds: list[int]) -> str:
    """Markdown: per depth the rows' means over the seeds, and how far from ASSL of the same seed, with its spread."""
    lines = []
    rows = ["dense", *variants(15)]
    sets = list(next(iter(results.values())))
    for blocks in depths:
        lines += ["", f"| {blocks} blocks | " + " | ".join(sets) + " |", "|---" * (len(sets) + 1) + "|"]
        for row in rows:
            there = [seed for seed in seeds if {f"{blocks}/{seed}/{name}" for name in (row, "ASSL")} <= results.keys()]
            if there:
                cells = [_cell(results, f"{blocks}/{{}}/{row}", f"{blocks}/{{}}/ASSL", there, name) for name in sets]
                lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(results: dict[str, Quality], own: str, whole: str, seeds: list[int], images: str) -> str:
    values = [results[own.format(seed)][images] for seed in seeds]
    if own == whole:
        return f"{fmean(values):.3f}"
    gaps = [value - results[whole.format(seed)][images] for value, seed in zip(values, seeds, strict=True)]
    spread = f" ± {stdev(gaps):.3f}" if len(gaps) > 1 else ""
    return f"{fmean(values):.3f} ({fmean(gaps):+.3f}{spread})"


def main() -> None:
    """Train what is not there yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--test", type=Path, nargs="+", required=True, help="folders with images in HR/")
    parser.add_argument("--steps", type=int, default=15_000, help="of every network, the dense ones too")
    parser.add_argument("--patch", type=int, default=24, help="side of a training patch in LR pixels")
    parser.add_argument("--blocks", type=int, nargs="+", default=[8, 16])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    record = options.out / "results.json"
    results: dict[str, Quality] = json.loads(record.read_text()) if record.exists() else {}
    images = Images(options.test)
    networks: dict[str, SRNetwork] = {}
    for seed, blocks in product(options.seeds, options.blocks):
        folder = options.out / f"{blocks}-{seed}"
        common = {"seed": seed, "data.patch": options.patch}
        first = common | {"network.blocks": blocks, "train.steps": options.steps}
        networks[f"{blocks}/{seed}/dense"] = trained("compare/dense", first, folder / "dense")
        common["network.start"] = f'"{(folder / "dense/last.safetensors").resolve()}"'
        for name, (base, settings) in variants(options.steps).items():
            key = f"{blocks}/{seed}/{name}"
            network = trained(base, common | settings, folder / name.replace(" ", "_"))
            measure({key: network}, images, results, record)
    measure(networks, images, results, record)
    print(table(results, options.blocks, options.seeds))


if __name__ == "__main__":
    main()
