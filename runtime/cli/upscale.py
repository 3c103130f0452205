"""`sparsr upscale`: pictures, folders of them, and videos."""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Mapping
from pathlib import Path

from sparsr.runtime.engines.contract import PRECISIONS, MaskCount
from sparsr.runtime.engines.registry import ENGINES
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.media.images import MAX_PIXELS, image_format, read_image, write_image
from sparsr.runtime.media.video import OUTPUT_SUFFIXES, PRESETS, VIDEO_SUFFIXES, upscale_video
from sparsr.runtime.memory import format_bytes, parse_bytes
from sparsr.runtime.model.general import GENERAL_X2
from sparsr.runtime.progress import clock
from sparsr.runtime.upscale.adaptive.upscaler import DEFAULT_BETA
from sparsr.runtime.upscale.models import Settings, open_model, open_upscaler
from sparsr.runtime.upscale.picture_files import upscale_folder, upscale_picture
from sparsr.runtime.upscale.upscaler import DEFAULT_MAX_MEMORY


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to `sparsr`."""
    upscale = commands.add_parser("upscale", help="upscale a picture, a folder of pictures, or a video")
    upscale.set_defaults(command=run)
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


def millions(text: str) -> int:
    """A positive number of millions, as a whole number. argparse reports the ValueError by this function's name."""
    value = float(text)
    if not 0 < value < 1e9:
        raise ValueError
    return int(value * 1e6)


def run(options: argparse.Namespace) -> int:
    """Upscale what was named and say how it went; the exit code."""
    model = open_model(options.model)
    options.output = options.output or output_beside(options.input, model.scale)
    source, target = options.input, options.output
    _check_paths(options)
    with warnings.catch_warnings(record=True) as remarks:
        upscaler = open_upscaler(model, _settings(options))
    for remark in remarks:
        print(f"note: {remark.message}", file=sys.stderr)
    if options.patch_map and not upscaler.draws_patches:
        hint = "--patch-map is for bundles made by `sparsr export adaptive`"
        raise SparsrError(f"{options.model} holds a single network", hint)
    masks = upscaler.count_masks() if options.masks else {}
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
    print(describe_masks(masks) + upscaler.report(), end="")
    if options.patch_map:
        write_image(options.patch_map, upscaler.patch_map(read_image(source, options.max_pixels).rgb))
    return 0


def _settings(options: argparse.Namespace) -> Settings:
    return Settings(
        options.engine,
        options.threads,
        parse_bytes(options.max_memory),
        options.tile,
        options.precision,
        options.beta,
        options.by_time,
    )


def describe_masks(masks: Mapping[str, MaskCount]) -> str:
    """The share of important pixels of every masked block, a line each."""
    return "".join(
        f"{mask.layer}: {100 * mask.important / mask.pixels:.1f} % of the pixels computed in full\n"
        for mask in masks.values()
    )


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
