"""Quality of an adaptive bundle against work and time, for a range of beta, beside its candidates alone (SLS, Fig. 7).

Work is what is really computed, surroundings and estimator included. Time is the CPU time of the whole way from 8-bit
picture to 8-bit picture, the least of several rounds per picture, all subjects taking turns.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsr.bench.budgets.quality import psnr
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.files import write_text
from sparsr.runtime.media.images import read_image
from sparsr.runtime.model.adaptive_bundle import AdaptiveBundle
from sparsr.runtime.plot import Series, plot
from sparsr.runtime.upscale.adaptive.upscaler import AdaptiveUpscaler
from sparsr.runtime.upscale.tiling import Span
from sparsr.train.data.bicubic import crop_to_multiple, downscale
from sparsr.train.data.folders import pairs

ByteArray = NDArray[np.uint8]
DEFAULT_BETAS = (0.02, 0.03, 0.1, 0.2, 0.4, 0.7, 1.0, 2.0, 3.0)
_HD = 1280 * 720


@dataclass
class Point:
    """One candidate alone, or the bundle at one beta."""

    name: str
    beta: float | None
    psnr_y: float
    """dB, mean over the pictures."""
    gmacs_720p: float
    """Multiply-adds (10^9, of weights that are not zero) for a 1280x720 output, mean over all pixels."""
    milliseconds_720p: float
    """CPU time for a 1280x720 output."""
    above_work: float = 0.0
    """dB above the line through the candidates alone, at the same work."""
    above_time: float = 0.0
    """The same at the same time."""


@dataclass
class _Subject:
    """What is measured: `run` gives the picture and the multiply-adds (10^9) it took."""

    name: str
    beta: float | None
    run: Callable[[ByteArray], tuple[ByteArray, float]]
    psnr: list[float] = field(default_factory=list)
    gmacs: float = 0.0
    seconds: dict[int, float] = field(default_factory=dict)
    """Least CPU time by picture."""


def measure_curve(
    upscaler: AdaptiveUpscaler, folder: Path, betas: Sequence[float], rounds: int, report: Callable[[str], None]
) -> list[Point]:
    """Points of all candidates alone, dearest first, then of all betas, on the HR pictures of a folder.

    Raises `SparsrError` for pictures that cannot be read.
    """
    images = []
    for pair in pairs(folder, None, upscaler.scale):
        hr = crop_to_multiple(read_image(pair.hr).rgb, upscaler.scale)
        images.append((read_image(pair.lr).rgb if pair.lr else downscale(hr, upscaler.scale), hr))
    subjects = [*_singles(upscaler), *(_adaptive(upscaler, beta) for beta in betas)]
    for number in range(rounds):
        for subject in subjects:
            for index, (lr, hr) in enumerate(images):
                _measure(subject, index, lr, hr, first=number == 0)
        report(f"round {number + 1} of {rounds}")
    size = sum(hr.shape[0] * hr.shape[1] for _, hr in images) / _HD
    points = [
        Point(s.name, s.beta, fmean(s.psnr), s.gmacs / size, 1e3 * sum(s.seconds.values()) / size) for s in subjects
    ]
    _compare(points)
    return points


def _measure(subject: _Subject, index: int, lr: ByteArray, hr: ByteArray, first: bool) -> None:
    start = time.process_time()
    sr, gmacs = subject.run(lr)
    seconds = time.process_time() - start
    subject.seconds[index] = min(seconds, subject.seconds.get(index, math.inf))
    if first:
        subject.psnr.append(psnr(sr, hr, hr.shape[0] // lr.shape[0]))
        subject.gmacs += gmacs


def _singles(upscaler: AdaptiveUpscaler) -> list[_Subject]:
    def whole(number: int) -> Callable[[ByteArray], tuple[ByteArray, float]]:
        def run(lr: ByteArray) -> tuple[ByteArray, float]:
            rows, columns = (Span(0, length, 0, length) for length in lr.shape[:2])
            gmacs = upscaler.card.costs[number] * _share(lr.shape[0] * lr.shape[1], upscaler)
            return upscaler.candidates[number].window(lr, rows, columns), gmacs

        return run

    return [_Subject(name, None, whole(number)) for number, name in enumerate(upscaler.card.candidates)]


def _adaptive(upscaler: AdaptiveUpscaler, beta: float) -> _Subject:
    def run(lr: ByteArray) -> tuple[ByteArray, float]:
        upscaler.beta = beta
        sr = upscaler(lr)
        work = [
            cost * _share(int(pixels), upscaler)
            for cost, pixels in zip(upscaler.card.costs, upscaler.shares.pixels, strict=True)
        ]
        return sr, sum(work) + upscaler.card.estimator.cost * _share(lr.shape[0] * lr.shape[1], upscaler)

    return _Subject("adaptive", beta, run)


def _share(pixels: int, upscaler: AdaptiveUpscaler) -> float:
    """That many input pixels as a part of a 1280x720 output."""
    return pixels * upscaler.scale**2 / _HD


def _compare(points: list[Point]) -> None:
    """Fill in how far every adaptive point lies above the candidates' line."""
    singles = [point for point in points if point.beta is None]
    for point in points:
        if point.beta is not None:
            point.above_work = point.psnr_y - _line_at(point.gmacs_720p, [(s.gmacs_720p, s.psnr_y) for s in singles])
            time_line = [(s.milliseconds_720p, s.psnr_y) for s in singles]
            point.above_time = point.psnr_y - _line_at(point.milliseconds_720p, time_line)


def _line_at(x: float, points: Sequence[tuple[float, float]]) -> float:
    """The upper hull of the points at `x`: what a mixture of whole pictures would reach."""
    ordered = sorted(points)
    values = [y for px, y in ordered if px <= x] or [ordered[0][1]]
    for x1, y1 in ordered:
        values += [y1 + (y2 - y1) * (x - x1) / (x2 - x1) for x2, y2 in ordered if x1 < x < x2]
    return max(values)


def table(points: Sequence[Point]) -> str:
    """The points for people."""
    lines = [f"{'':24s}{'PSNR dB':>9s}{'GMACs':>9s}{'ms':>9s}{'above (work)':>14s}{'above (time)':>14s}"]
    for point in points:
        name = point.name if point.beta is None else f"beta {point.beta:g}"
        line = f"{name:24s}{point.psnr_y:9.3f}{point.gmacs_720p:9.3f}{point.milliseconds_720p:9.1f}"
        lines.append(line + (f"{point.above_work:+14.3f}{point.above_time:+14.3f}" if point.beta is not None else ""))
    return "\n".join(lines)


def drawing(points: Sequence[Point], against: str, title: str) -> str:
    """SVG of the quality against `work` or `time`."""
    field_, axis = {
        "work": ("gmacs_720p", "multiply-adds for a 1280x720 output, 10^9 (surroundings and estimator included)"),
        "time": ("milliseconds_720p", "CPU time for a 1280x720 output, ms"),
    }[against]
    groups = [p for p in points if p.beta is None], [p for p in points if p.beta is not None]
    singles, adaptive = (sorted(group, key=lambda p: (getattr(p, field_), p.psnr_y)) for group in groups)

    def places(group: list[Point]) -> list[tuple[float, float]]:
        return [(getattr(p, field_), p.psnr_y) for p in group]

    lines = [
        Series("adaptive, by beta", places(adaptive), [f"{p.beta:g}" for p in adaptive]),
        Series("single candidates", places(singles), [p.name for p in singles], dashed=True),
    ]
    return plot(title, axis, "PSNR (luma), dB", lines)


def run_curve(
    bundle: Path,
    data: Path,
    out: Path,
    *,
    by_time: bool,
    engine: str | None,
    betas: Sequence[float],
    rounds: int,
    report: Callable[[str], None],
) -> None:
    """Measure, print the table, and write `out`.json, `out`_work.svg and `out`_time.svg."""
    if rounds < 1 or not betas:
        raise SparsrError("a curve needs at least one round and one beta")
    upscaler = AdaptiveUpscaler(AdaptiveBundle.open(bundle), engine, threads=1)
    if by_time:
        upscaler.measure_prices()
    points = measure_curve(upscaler, data, sorted(betas), rounds, report)
    record: dict[str, Any] = {"bundle": upscaler.card.name, "data": data.name, "rounds": rounds, "by_time": by_time}
    record |= {"engine": upscaler.engine.name, "version": upscaler.engine.version}
    record["points"] = [asdict(point) for point in points]
    write_text(out.with_suffix(".json"), json.dumps(record, indent=2) + "\n")
    for against in ("work", "time"):
        count = len(pairs(data, None, upscaler.scale))
        title = f"{upscaler.card.name} x{upscaler.scale} on {count} pictures of {data.parent.name}"
        write_text(out.with_name(f"{out.stem}_{against}.svg"), drawing(points, against, title))
    report(table(points))
