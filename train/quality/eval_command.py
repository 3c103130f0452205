"""`sparsr train eval`: the quality of a model on a folder of images, a row per image as it is done."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.files import write_text
from sparsr.train.data import bicubic
from sparsr.train.data.folders import pairs
from sparsr.train.importers.models import load_model
from sparsr.train.networks import SRNetwork
from sparsr.train.quality.evaluate import Score, Upscale, colours_of, measure_pairs, record_score, upscale
from sparsr.train.quality.further import FURTHER, Metric, open_metric
from sparsr.train.run.threads import add_threads
from sparsr.train.smsr.report import MaskReport, mask_report


def add_command(commands: Any) -> None:
    """Add `eval` to the subparsers of `python -m train`."""
    parser = commands.add_parser("eval", help="PSNR and SSIM of a model on a folder of images")
    parser.add_argument("model", help="a checkpoint, ours or an official one, or the word bicubic")
    parser.add_argument(
        "--data", required=True, type=Path, help="folder of HR images, of pairs *_HR and *_LR, or of `blur` and `sharp`"
    )
    parser.add_argument(
        "--lr", type=Path, help="folder of their LR or blurred images (default: LR by MATLAB's bicubic)"
    )
    parser.add_argument("--ensemble", action="store_true", help="mean over eight flips and rotations, 8 times the work")
    parser.add_argument(
        "--metric",
        action="append",
        default=[],
        choices=list(FURTHER),
        help="besides, of whole RGB pictures; what cannot be had here is said and left out",
    )
    parser.add_argument("--scale", type=int, help="needed for bicubic and for files that hold several scales")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--record", metavar="NAME", help="also write the mean into the checkpoint's card, as NAME")
    parser.add_argument("--masks", type=Path, help="folder for pictures and statistics of a network's sparse masks")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    add_threads(parser)
    parser.set_defaults(action=run_command)


def run_command(arguments: argparse.Namespace) -> int:
    """Evaluate, print a row per image as it is done, and write the files asked for; 2 if images were left out."""
    network = None if arguments.model == "bicubic" else _chosen_network(arguments)
    scale = network.scale if network else _bicubic_scale(arguments.scale)
    if network is None and arguments.ensemble:
        raise SparsrError("bicubic gives the same for a flipped image", "leave out --ensemble")
    upscaler = partial(upscale, network, ensemble=arguments.ensemble) if network else _bicubic(scale)
    images = pairs(arguments.data, arguments.lr, scale, _say_left_out)
    metrics = _further(arguments.metric)
    width = max(len(name) for name in [*(pair.hr.name for pair in images), "image"])

    def row(name: str, score: Score) -> None:
        further = "".join(f"  {value:8.5f}" for value in score.further.values())
        print(f"{name:{width}s}  {score.psnr:8.3f}  {score.ssim:7.5f}{further}", flush=True)

    with _mask_report(network, arguments.masks) as masks:
        compared = f"luma, border of {scale} pixels left out" if colours_of(scale) == "y" else "RGB, whole pictures"
        print(f"{arguments.model} x{scale}: {compared}")
        print(f"{'image':{width}s}   PSNR dB     SSIM" + "".join(f"  {name:>8s}" for name in metrics))

        def report(name: str, score: Score) -> None:
            row(name, score)
            if masks:
                masks.add(name)

        evaluation = measure_pairs(upscaler, images, scale, report, _say_left_out, metrics=metrics)
        row(f"mean of {len(evaluation.images)}", evaluation.mean)
    if masks:
        print(masks.finish())
    if arguments.json:
        record = {"model": arguments.model, "data": str(arguments.data), "scale": scale, "ensemble": arguments.ensemble}
        record |= evaluation.to_json()
        write_text(arguments.json, json.dumps(record, indent=2) + "\n")
    if arguments.record:
        if evaluation.left_out:
            raise SparsrError("a mean without all images is not recorded", "mend or remove what was left out")
        record_score(Path(arguments.model), arguments.record, evaluation.mean)
    return 2 if evaluation.left_out else 0


def _further(names: Sequence[str]) -> dict[str, Metric]:
    """Those of the metrics asked for that can be had here; why not of the others."""
    metrics = {}
    for name in names:
        try:
            metrics[name] = open_metric(name)
        except SparsrError as error:
            _say_left_out(f"{error} ({error.hint})")
    return metrics


def _say_left_out(reason: str) -> None:
    print(f"left out: {reason}", file=sys.stderr, flush=True)


def _mask_report(network: SRNetwork | None, folder: Path | None) -> AbstractContextManager[MaskReport | None]:
    if folder is None:
        return nullcontext()
    if network is None:
        raise SparsrError("bicubic has no sparse masks", "leave out --masks")
    return mask_report(network, folder)


def _bicubic(scale: int) -> Upscale:
    """At scale 1 the picture as it is."""
    return partial(bicubic.upscale, scale=scale) if scale > 1 else lambda image: image


def _bicubic_scale(scale: int | None) -> int:
    if scale not in (1, 2, 3, 4):
        raise SparsrError(
            "bicubic needs a scale of 2, 3 or 4, or 1 for pictures as they are", "add for example --scale 2"
        )
    return scale


def _chosen_network(arguments: argparse.Namespace) -> SRNetwork:
    network, _ = load_model(arguments.model, arguments.scale)
    available = torch.cuda.is_available()
    if arguments.device == "cuda" and not available:
        raise SparsrError("there is no CUDA device", "leave out --device")
    return network.to("cuda" if available and arguments.device != "cpu" else "cpu")
