"""The runtime's commands: `sparsr upscale | info | costs | doctor`, also `python -m runtime`."""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from sparsr.runtime.cli.doctor import doctor
from sparsr.runtime.cli.plan_table import convolution_costs, cost_table, plan_table, run_plan
from sparsr.runtime.engines.contract import PRECISIONS
from sparsr.runtime.engines.registry import ENGINES
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.media.images import MAX_PIXELS, image_format, read_image, write_image
from sparsr.runtime.media.video import OUTPUT_SUFFIXES, PRESETS, VIDEO_SUFFIXES, upscale_video
from sparsr.runtime.memory import format_bytes, parse_bytes
from sparsr.runtime.model.adaptive_bundle import AdaptiveBundle, open_model
from sparsr.runtime.model.bundle import Bundle
from sparsr.runtime.model.card import BundleCard
from sparsr.runtime.model.general import GENERAL_X2
from sparsr.runtime.progress import clock
from sparsr.runtime.upscale.adaptive.describe import describe_adaptive, describe_shares, patch_map
from sparsr.runtime.upscale.adaptive.upscaler import DEFAULT_BETA, AdaptiveUpscaler
from sparsr.runtime.upscale.masks import count_masks, describe_masks
from sparsr.runtime.upscale.picture_files import upscale_folder, upscale_picture
from sparsr.runtime.upscale.upscaler import DEFAULT_MAX_MEMORY, Upscaler


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    parser = argparse.ArgumentParser(prog="sparsr", description="Upscale pictures and videos with a bundle.")
    add_commands(parser.add_subparsers(required=True, metavar="upscale|info|costs|doctor"))
    options = parser.parse_args(arguments)
    code: int = options.command(options)
    return code


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the runtime's commands; each sets `command`, a function of the parsed options that gives the exit code."""
    upscale = commands.add_parser("upscale", help="upscale a picture, a folder of pictures, or a video")
    upscale.set_defaults(command=_upscale)
    upscale.add_argument("input", type=Path, metavar="IN")
    upscale.add_argument(
        "output", type=Path, nargs="?", metavar="OUT", help="file, or folder if IN is one (default: IN_x2 and the like)"
    )
    upscale.add_argument(
        "--model", type=Path, default=GENERAL_X2, metavar="BUNDLE", help="default: the one SparSR comes with, x2"
    )
    upscale.add_argument("--engine", help=f"one of {', '.join(ENGINES)} (default: native, or what there is)")
    upscale.add_argument("--threads", type=int, help="default: one per core")
    upscale.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="fp32",
        help="fp16: for N:M networks in the native engine, on arm64 with FEAT_FP16 (default fp32)",
    )
    upscale.add_argument(
        "--max-memory",
        default=format_bytes(DEFAULT_MAX_MEMORY),
        metavar="SIZE",
        help="such as 512M (default 1024M)",
    )
    upscale.add_argument(
        "--beta", type=float, help=f"adaptive bundles: 0 for the best quality, more is faster (default {DEFAULT_BETA})"
    )
    upscale.add_argument(
        "--by-time", action="store_true", help="adaptive bundles: weigh time measured here, in place of multiply-adds"
    )
    upscale.add_argument(
        "--patch-map", type=Path, metavar="FILE", help="adaptive bundles: a picture of who computed which patch"
    )
    upscale.add_argument(
        "--masks", action="store_true", help="networks with masks: tell how much of the picture they computed in full"
    )
    upscale.add_argument("--preset", choices=PRESETS, help="videos: effort of the H.264 encoder (default veryfast)")
    upscale.add_argument("--tile", type=int, metavar="PIXELS", help="side of the tiles, in place of --max-memory")
    upscale.add_argument(
        "--max-pixels",
        type=millions,
        default=MAX_PIXELS,
        metavar="MILLIONS",
        help="refuse larger input (100)",
    )

    info = commands.add_parser("info", help="what a bundle holds")
    info.set_defaults(command=_info)
    info.add_argument("bundle", type=Path)
    info.add_argument("--json", action="store_true", help="the whole card, or the whole plan")
    info.add_argument("--plan", action="store_true", help="what the native engine does with it, layer by layer")
    info.add_argument("--size", type=size, metavar="WxH", help="of the image to plan for (default: to get 1280x720)")
    info.add_argument("--threads", type=int, default=1, help="to plan for (default 1)")
    info.add_argument("--precision", choices=PRECISIONS, default="fp32", help="to plan for (default fp32)")

    costs = commands.add_parser("costs", help="what convolutions cost on this machine")
    costs.set_defaults(command=_costs)
    costs.add_argument("--shapes", nargs="+", type=shape, required=True, metavar="INxOUT[xSIDE]", help="64x64: 64x64x3")
    costs.add_argument("--sparsity", nargs="+", type=sparsity, default=[None], metavar="N:M", help="or dense (default)")
    costs.add_argument("--width", type=int, default=320, help="of the image (default 320)")
    costs.add_argument("--json", action="store_true", help="as JSON")

    check = commands.add_parser("doctor", help="what works on this machine, and what to install")
    check.set_defaults(command=lambda options: doctor())


def millions(text: str) -> int:
    """A positive number of millions, as a whole number. argparse reports the ValueError by this function's name."""
    value = float(text)
    if not 0 < value < 1e9:
        raise ValueError
    return int(value * 1e6)


def _upscale(options: argparse.Namespace) -> int:
    options.output = options.output or output_beside(options.input, open_model(options.model).card.scale)
    source, target = options.input, options.output
    _check_paths(options)
    with warnings.catch_warnings(record=True) as remarks:
        upscaler = _upscaler(options)
    for remark in remarks:
        print(f"note: {remark.message}", file=sys.stderr)
    masks = count_masks(upscaler, options.model) if options.masks else {}
    if not upscaler.exact:
        print("note: this network sees the whole picture; tiles and windows are approximate", file=sys.stderr)
    start = time.monotonic()
    if source.is_dir():
        failed = upscale_folder(source, target, upscaler, options.max_pixels)
        print(describe_masks(masks), end="")
        if failed:
            raise SparsrError(f"{failed} of the pictures could not be upscaled", "the reasons stand above")
        return 0
    if source.suffix.lower() in VIDEO_SUFFIXES:
        report = upscale_video(source, target, upscaler, options.max_pixels, options.preset)
        if report.remark:
            print(f"note: {report.remark}", file=sys.stderr)
        print(f"{target}: done in {clock(time.monotonic() - start)}, {report}\n{describe_masks(masks)}", end="")
        return 0
    height, width = upscale_picture(source, target, upscaler, options.max_pixels)
    print(f"{target}: {width}x{height} in {time.monotonic() - start:.1f} s with {upscaler.engine.name}")
    print(describe_masks(masks), end="")
    if isinstance(upscaler, AdaptiveUpscaler):
        print(f"patches: {describe_shares(upscaler)}")
        if options.patch_map:
            write_image(options.patch_map, patch_map(read_image(source, options.max_pixels).rgb, upscaler))
    return 0


def _upscaler(options: argparse.Namespace) -> Upscaler | AdaptiveUpscaler:
    model, memory = open_model(options.model), parse_bytes(options.max_memory)
    if isinstance(model, AdaptiveBundle):
        if options.tile is not None:
            raise SparsrError(f"{options.model} chooses its windows itself", "leave out --tile")
        beta = DEFAULT_BETA if options.beta is None else options.beta
        upscaler = AdaptiveUpscaler(model, options.engine, options.threads, memory, beta, options.precision)
        if options.by_time:
            upscaler.measure_prices()
        return upscaler
    if options.beta is not None or options.patch_map or options.by_time:
        hint = "--beta, --by-time and --patch-map are for bundles made by `sparsr export adaptive`"
        raise SparsrError(f"{options.model} holds a single network", hint)
    return Upscaler(model, options.engine, options.threads, memory, options.tile, options.precision)


def output_beside(source: Path, scale: int) -> Path:
    """photo.jpg -> photo_x2.jpg; a format that is read but not written becomes PNG or MP4.

    Raises `SparsrError` if it is there already: only an output that was named is replaced.
    """
    suffix = "" if source.is_dir() else source.suffix
    if suffix.lower() in VIDEO_SUFFIXES:
        suffix = suffix if suffix.lower() in OUTPUT_SUFFIXES else ".mp4"
    elif suffix:
        try:
            image_format(source)
        except SparsrError:
            suffix = ".png"
    name = source.resolve().name
    target = source.parent / f"{name.removesuffix(source.suffix) if suffix else name}_x{scale}{suffix}"
    if target.exists():
        raise SparsrError(f"{target} exists already", "name an output; one that is named is replaced")
    return target


def _check_paths(options: argparse.Namespace) -> None:
    """Refuse before anything is loaded what cannot end well."""
    source, target = options.input, options.output
    if not source.exists():
        raise SparsrError(f"{source} does not exist", "check the path")
    if target.exists() and source.samefile(target):
        raise SparsrError(f"the output {target} is the input itself", "name another output")
    if options.patch_map and (source.is_dir() or source.suffix.lower() in VIDEO_SUFFIXES):
        raise SparsrError("a patch map is drawn of a single picture", "leave out --patch-map, or name a picture")
    if options.patch_map:
        image_format(options.patch_map)
    if source.is_dir():
        return
    if target.is_dir():
        raise SparsrError(f"{target} is a folder, {source} is a file", f"name a file: {target / source.name}")
    if source.suffix.lower() not in VIDEO_SUFFIXES:
        image_format(target)
    elif target.suffix.lower() not in OUTPUT_SUFFIXES:
        raise SparsrError(f"{target} does not end in a video format", f"use one of {' '.join(OUTPUT_SUFFIXES)}")


def size(text: str) -> tuple[int, int]:
    """WxH as (height, width)."""
    width, height = map(int, text.split("x"))
    return height, width


def shape(text: str) -> tuple[int, int, int]:
    """INxOUT or INxOUTxSIDE."""
    inputs, outputs, side = map(int, (text + "x3").split("x")[:3])
    return inputs, outputs, side


def sparsity(text: str) -> tuple[int, int] | None:
    """N:M, or None for dense."""
    if text == "dense":
        return None
    n, m = map(int, text.split(":"))
    return n, m


def _costs(options: argparse.Namespace) -> int:
    costs = convolution_costs(options.shapes, options.sparsity, options.width)
    print(json.dumps([asdict(cost) for cost in costs], indent=2) if options.json else cost_table(costs))
    return 0


def _plan(options: argparse.Namespace, bundles: Sequence[Bundle]) -> int:
    for bundle in bundles:
        scale = bundle.card.scale
        height, width = options.size or (720 // scale, 1280 // scale)
        image = np.zeros((height, width, 3), np.uint8)
        plan = run_plan(bundle.model("native"), image, options.threads, options.precision)
        print(json.dumps(plan, indent=2) if options.json else plan_table(plan))
    return 0


def _info(options: argparse.Namespace) -> int:
    model = open_model(options.bundle)
    if options.plan:
        return _plan(options, model.networks if isinstance(model, AdaptiveBundle) else [model])
    for bundle in model.networks if isinstance(model, AdaptiveBundle) else [model]:
        for file in bundle.card.files:
            bundle.model(file.format)  # its hash must be right
    if isinstance(model, AdaptiveBundle):
        model.estimator()
    text = describe_adaptive(model.card) if isinstance(model, AdaptiveBundle) else describe(model.card)
    print(json.dumps(model.card.to_json(), indent=2) if options.json else text)
    return 0


def describe(card: BundleCard) -> str:
    """The card in a few lines for people."""
    radius = card.receptive_radius
    widths = sorted(set(card.widths.values()))
    lines = [
        ("network", f"{card.name} ({card.architecture} x{card.scale}, {card.method})"),
        ("parameters", f"{card.parameters:,}, {card.work}"),
        ("convolutions", f"{len(card.widths)} of {widths[0]} to {widths[-1]} channels" if widths else "none"),
        ("values", f"0..{card.value_range:g}, at least {card.minimum_size}x{card.minimum_size} pixels"),
        (
            "tiles",
            "approximate (sees the whole picture)" if radius is None else f"exact with {radius} pixels around",
        ),
    ]
    if card.masked:
        work = card.masked
        text = (
            f"depends on the image: {work.best:.2f} GMACs with no pixel important, {work.typical:.2f} with half, "
            f"{work.worst:.2f} with all"
        )
        lines.insert(2, ("speed", text))
    for file in card.files:
        size = f"{file.bytes / 1e6:.2f} MB"
        if card.nonzero < 0.999:
            size += f" ({file.bytes / (4 * card.parameters):.0%} of the dense weights)"
        text = f"{file.name}, {size}, {file.layout}: {' '.join(file.operators)}"
        lines.append((f"{file.format} file", text))
    if card.parity:
        worst = max(card.parity, key=lambda entry: entry.max_abs)
        same = min(entry.identical_8bit for entry in card.parity)
        text = f"largest difference {worst.max_abs:.1e} ({worst.hop}), {100 * same:.3f} % equal in 8 bit"
        lines.append(("parity", text))
    for name in ("data", "recipe", "steps", "terms"):
        if name in card.training:
            lines.append((name, str(card.training[name])))
    return "\n".join(f"{name + ':':13} {text}" for name, text in lines)
