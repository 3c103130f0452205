"""`sparsr upscale` and `sparsr restore`: pictures, folders of them, and videos."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sparsr.runtime.engines.contract import PRECISIONS, MaskCount
from sparsr.runtime.engines.registry import ENGINES
from sparsr.runtime.errors import SparsrError, one_line
from sparsr.runtime.files import remove_stale
from sparsr.runtime.media.film.containers import CONTAINERS, OUTPUT_SUFFIXES
from sparsr.runtime.media.film.writing import PRESETS
from sparsr.runtime.media.formats import DEFAULT_SUFFIX, WRITTEN_SUFFIXES, Format, written_format
from sparsr.runtime.media.images import read_image, write_image
from sparsr.runtime.media.opening import MAX_PIXELS, STANDARD_STREAM, output_name
from sparsr.runtime.memory import format_bytes, give_back_at_once, parse_bytes
from sparsr.runtime.model.contract import Model
from sparsr.runtime.model.general import GENERAL
from sparsr.runtime.progress import clock
from sparsr.runtime.upscale.adaptive.upscaler import DEFAULT_BETA
from sparsr.runtime.upscale.batch import Batch, Existing, Naming, is_film, parse_formats, say
from sparsr.runtime.upscale.film_files import upscale_video
from sparsr.runtime.upscale.models import Settings, open_model, open_upscaler
from sparsr.runtime.upscale.picture_files import STANDARD_OUTPUT, upscale_picture
from sparsr.runtime.upscale.raw_frames import parse_raw, upscale_raw
from sparsr.runtime.upscale.upscaler import DEFAULT_MAX_MEMORY, PictureUpscaler

IN_TILES = "this network sees the whole picture; one too large for --max-memory is computed in tiles, approximately"
IN_PATCHES = "these networks see the whole picture; patch by patch they are approximate"
SEVERAL_FILES = "several files at once: put them into a folder and name that;"


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add both commands to `sparsr`."""
    upscale = commands.add_parser(
        "upscale", help="upscale a picture, a folder of pictures, or a video", surplus=SEVERAL_FILES
    )
    upscale.set_defaults(command=run)
    _add_options(upscale, "IN_x2 and the like")
    which = upscale.add_mutually_exclusive_group()
    which.add_argument(
        "--scale", type=int, choices=list(GENERAL), default=2, help="of the models that come with SparSR (default 2)"
    )
    which.add_argument("--model", type=Path, metavar="BUNDLE", help="another, which says how many times larger")
    restore = commands.add_parser(
        "restore", help="deblur or denoise a picture, a folder of pictures, or a video", surplus=SEVERAL_FILES
    )
    restore.set_defaults(command=run_restore)
    _add_options(restore, "IN_restored")
    restore.add_argument(
        "--model", type=Path, required=True, metavar="BUNDLE", help="of a network that keeps the picture's size"
    )


def _add_options(upscale: argparse.ArgumentParser, default_output: str) -> None:
    """What both commands take."""
    upscale.add_argument(
        "input", type=Path, metavar="IN", help="picture, film, folder of them, or - for a picture on standard input"
    )
    upscale.add_argument(
        "output",
        type=Path,
        nargs="?",
        metavar="OUT",
        help=f"file, - for standard output, or folder if IN is one (default: {default_output})",
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
        metavar="SIZE",
        help=f"such as 512M or 1.5G; without K, M or G bytes (default {format_bytes(DEFAULT_MAX_MEMORY)})",
    )
    upscale.add_argument(
        "--beta", type=float, help=f"adaptive bundles: 0 for the best quality, more is faster (default {DEFAULT_BETA})"
    )
    upscale.add_argument(
        "--by-time", action="store_true", help="adaptive bundles: weigh time measured here, in place of multiply-adds"
    )
    upscale.add_argument(
        "--published-rule",
        action="store_true",
        help="adaptive bundles: choose by SLS's Eq. 8 as published, patch by patch, surroundings not counted",
    )
    upscale.add_argument(
        "--patch-map", type=Path, metavar="FILE", help="adaptive bundles: a picture of who computed which patch"
    )
    upscale.add_argument(
        "--masks", action="store_true", help="networks with masks: tell how much of the picture they computed in full"
    )
    upscale.add_argument(
        "--ensemble", action="store_true", help="mean over eight flips and rotations: better, and 8 times the work"
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
    _add_batch_options(upscale)


def _add_batch_options(upscale: argparse.ArgumentParser) -> None:
    """What the results of a folder are called, which files are taken, and how the report comes."""
    upscale.add_argument(
        "--format", action="append", metavar="NAME", help="of results, such as png; once for pictures, once for films"
    )
    upscale.add_argument("--suffix", help="after the names of results (default: _x2 and the like; in folders none)")
    upscale.add_argument(
        "--raw",
        metavar="WxH[:FORMAT]",
        help="raw frames from standard input to standard output, rgb24 or another format",
    )
    upscale.add_argument("--recursive", action="store_true", help="folders: sub-folders too")
    existing = upscale.add_mutually_exclusive_group()
    existing.add_argument("--skip-existing", action="store_true", help="leave out what is there already")
    existing.add_argument("--overwrite", action="store_true", help="replace what is there already (default: refuse)")
    upscale.add_argument("--json", action="store_true", help="print the report as JSON")


def millions(text: str) -> int:
    """A positive number of millions, as a whole number. argparse reports the ValueError by this function's name."""
    value = float(text)
    if not 0 < value < 1e9:
        raise ValueError
    return int(value * 1e6)


def run(options: argparse.Namespace) -> int:
    """Upscale what was named and say how it went; the exit code."""
    model = open_model(options.model or GENERAL[options.scale])
    return _process(options, model, f"_x{model.scale}")


def run_restore(options: argparse.Namespace) -> int:
    """As `run`, with a network that keeps the picture's size."""
    model = open_model(options.model)
    if model.scale != 1:
        hint = "use `sparsr upscale`, or name a bundle of a deblurring or denoising network"
        raise SparsrError(f"{options.model} enlarges x{model.scale}, `restore` keeps the size", hint)
    return _process(options, model, "_restored")


def _process(options: argparse.Namespace, model: Model, suffix: str) -> int:
    options.formats = parse_formats(options.format or [])
    if Path(options.suffix or "").name != (options.suffix or ""):
        raise SparsrError(f"the suffix {options.suffix} holds a path", "name what comes after the names of results")
    naming = Naming(options.suffix or suffix, options.formats)
    if options.output and options.suffix and options.output != STANDARD_STREAM and not options.input.is_dir():
        raise SparsrError(f"{options.output} is the name of the result, --suffix too", "leave out one of them")
    options.output = options.output or output_beside(options.input, naming)
    _check_paths(options)
    with warnings.catch_warnings(record=True) as remarks:
        upscaler = open_upscaler(model, _settings(options))
    for remark in remarks:
        print(f"note: {one_line(str(remark.message))}", file=sys.stderr)
    if options.patch_map and not upscaler.draws_patches:
        hint = "--patch-map is for bundles made by `sparsr export adaptive`"
        raise SparsrError(f"{model.path} holds a single network", hint)
    masks = upscaler.count_masks() if options.masks else {}
    if not upscaler.exact:
        print(f"note: {IN_PATCHES if upscaler.draws_patches else IN_TILES}", file=sys.stderr)
    with contextlib.redirect_stdout(sys.stderr if options.json or options.output == STANDARD_STREAM else sys.stdout):
        done = _upscale(options, upscaler)
        print(describe_masks(masks), end="")
    if options.json:
        print(json.dumps(done, indent=2))
    if done.get("failed"):
        raise SparsrError(f"{len(done['failed'])} of the files could not be upscaled", "the reasons stand above")
    return 0


def _upscale(options: argparse.Namespace, upscaler: PictureUpscaler) -> dict[str, Any]:
    """Upscale what was named; a report for JSON."""
    give_back_at_once()
    source, target, start = options.input, options.output, time.monotonic()
    if options.raw:
        raw = parse_raw(options.raw)
        with open(STANDARD_OUTPUT, "wb", closefd=False) as stream:
            frames, seconds = upscale_raw(sys.stdin.buffer, stream, raw, upscaler)
        print(f"{frames} frames at {frames / max(seconds, 1e-9):.1f} frames/s")
        return {"frames": frames}
    if source != STANDARD_STREAM and source.is_dir():
        naming = Naming(options.suffix or "", options.formats)
        existing: Existing = "skip" if options.skip_existing else "replace" if options.overwrite else "refuse"
        batch = Batch(upscaler, options.max_pixels, naming, options.recursive, existing, options.preset)
        report = batch.run(source, target)
        print(one_line(str(report)))
        return report.to_json()
    if options.skip_existing and target.exists():
        print(one_line(f"{target} is there already"))
        return {"skipped": [str(source)]}
    if target != STANDARD_STREAM:
        remove_stale(target.parent)
    if is_film(source):
        film = upscale_video(source, target, upscaler, options.max_pixels, options.preset)
        say(film.remarks)
        print(one_line(f"{target}: done in {clock(time.monotonic() - start)}, {film}"))
        return {"output": str(target), "frames": film.frames, "remarks": film.remarks}
    kind = _piped_format(options) if target == STANDARD_STREAM else None
    picture = upscale_picture(source, target, upscaler, options.max_pixels, kind)
    say(picture.remarks)
    seconds = time.monotonic() - start
    print(one_line(f"{output_name(target)}: {picture} in {seconds:.1f} s with {upscaler.engine.name}"))
    print(upscaler.report(), end="")
    if options.patch_map:
        write_image(options.patch_map, upscaler.patch_map(read_image(source, options.max_pixels).rgb))
    return {"output": str(target), "width": picture.width, "height": picture.height, "remarks": picture.remarks}


def _check_streams(options: argparse.Namespace) -> None:
    """Refuse what standard input and output cannot do."""
    source, target = options.input, options.output
    if options.raw and not source == target == STANDARD_STREAM:
        raise SparsrError("raw frames go from standard input to standard output", "write: sparsr upscale - - --raw WxH")
    if options.raw:
        parse_raw(options.raw)
        return
    if source != STANDARD_STREAM and (source.is_dir() or is_film(source)):
        raise SparsrError(f"{source} cannot go to standard output", "only a picture can; name a file or folder")
    if source != STANDARD_STREAM and not source.exists():
        raise SparsrError(f"{source} does not exist", "check the path")
    if target == STANDARD_STREAM:
        _piped_format(options)
    else:
        written_format(target)
        _check_formats(options)
        _refuse_existing(options)
    if options.patch_map or options.json:
        raise SparsrError("--patch-map and --json need files", "name the picture and its output")


def _piped_format(options: argparse.Namespace) -> Format:
    """Of a picture on standard output. Raises `SparsrError` where only a film's is named."""
    known = [ending for ending in options.formats if ending in WRITTEN_SUFFIXES]
    if options.formats and not known:
        raise SparsrError(f"standard output takes no {options.formats[0][1:]}", "only a picture can; name its format")
    return WRITTEN_SUFFIXES[known[0] if known else DEFAULT_SUFFIX]


def _settings(options: argparse.Namespace) -> Settings:
    return Settings(
        options.engine,
        options.threads,
        None if options.max_memory is None else parse_bytes(options.max_memory),
        options.tile,
        options.precision,
        options.beta,
        options.by_time,
        options.published_rule,
        options.ensemble,
    )


def describe_masks(masks: Mapping[str, MaskCount]) -> str:
    """The share of important pixels of every masked block, a line each."""
    return "".join(
        f"{mask.layer}: {100 * mask.important / mask.pixels:.1f} % of the pixels computed in full\n"
        for mask in masks.values()
    )


def output_beside(source: Path, naming: Naming) -> Path:
    """photo.jpg -> photo_x2.jpg; a format that is read but not written becomes PNG or MP4."""
    if source == STANDARD_STREAM:
        return STANDARD_STREAM
    if source.is_dir():
        return source.parent / f"{source.resolve().name}{naming.suffix}"
    if source.is_fifo():
        raise SparsrError(f"{source} is a pipe, beside which no result can lie", "name the output")
    return naming.target(source, source.parent)


def _check_paths(options: argparse.Namespace) -> None:
    """Refuse before anything is loaded what cannot end well."""
    source, target = options.input, options.output
    if options.raw or STANDARD_STREAM in (source, target):
        _check_streams(options)
        return
    if not source.exists():
        raise SparsrError(f"{source} does not exist", "check the path")
    if target.exists() and source.samefile(target):
        raise SparsrError(f"the output {target} is the input itself", "name another output")
    if options.patch_map and (source.is_dir() or is_film(source)):
        raise SparsrError("a patch map is drawn of a single picture", "leave out --patch-map, or name a picture")
    if options.patch_map:
        written_format(options.patch_map)
        if options.patch_map in (source, target) or (options.patch_map.exists() and source.samefile(options.patch_map)):
            raise SparsrError(
                f"the patch map {options.patch_map} is the input or the output itself", "name another file"
            )
    if source.is_dir():
        return
    if target.is_dir():
        raise SparsrError(f"{target} is a folder, {source} is a file", f"name a file: {target / source.name}")
    _check_kinds(source, target)
    _check_formats(options)
    _refuse_existing(options)


def _refuse_existing(options: argparse.Namespace) -> None:
    # `sparsr upscale *.jpg` in a folder of two photographs names the second one as the output.
    for path in filter(None, (options.output, options.patch_map)):
        if path.is_file() and not (options.overwrite or options.skip_existing):
            hint = "--overwrite replaces it; several pictures go into a folder, and that is named"
            raise SparsrError(f"{path} exists already", hint)


def _check_formats(options: argparse.Namespace) -> None:
    """Refuse a --format that the only result, whose name says its format, does not get."""
    target, kinds = options.output, (WRITTEN_SUFFIXES, CONTAINERS)
    of_its_kind: Mapping[str, Any] = next(kind for kind in kinds if target.suffix.lower() in kind)
    wanted = next((ending for ending in options.formats if ending in of_its_kind), None)
    wanted = wanted or next(iter(options.formats), None)
    if wanted and of_its_kind.get(wanted) != of_its_kind[target.suffix.lower()]:
        hint = f"leave out --format, or name {target.with_suffix(wanted)}" if wanted in of_its_kind else ""
        raise SparsrError(f"{target} is no {wanted[1:]}, as --format says", hint or "leave out --format")


def _check_kinds(source: Path, target: Path) -> None:
    """Refuse a target whose name asks for what the source does not become."""
    ending = target.suffix.lower()
    if not is_film(source) and ending in OUTPUT_SUFFIXES:
        hint = f"name a {DEFAULT_SUFFIX[1:]} file, or make the animation a film before: ffmpeg -i {source} film.mkv"
        raise SparsrError(f"{source} is a picture or an animation, {target} a film", hint)
    if is_film(source) and ending in WRITTEN_SUFFIXES:
        film = target.with_suffix(".mp4")
        hint = f"name a film, and make that an animation after: ffmpeg -i {film} {target}"
        raise SparsrError(f"{source} is a film, {target} a picture or an animation", hint)
    if not is_film(source):
        written_format(target)
    elif ending not in OUTPUT_SUFFIXES:
        raise SparsrError(f"{target} does not end in a video format", f"use one of {' '.join(OUTPUT_SUFFIXES)}")
