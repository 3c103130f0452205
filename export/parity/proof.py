"""What somebody else has stated about a network, checked: its output for a picture, or a figure over pictures.

The certificate shows that every file computes what the imported network computes. Whether that is the network its
author meant only the author can tell.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sparsr.export.ir.graph import DeployGraph
from sparsr.export.parity.certificate import Report, Run, to_8bit
from sparsr.runtime.errors import CheckFailedError, SparsrError
from sparsr.runtime.media.images import read_image
from sparsr.train.quality.evaluate import colours_of, psnr_of

MOST_DIFFERING = 1e-3
"""Share of 8-bit values that may differ from the stated output, and then by one level."""
FIGURE_TOLERANCE = 0.01
"""dB: stated figures are rounded, and libraries differ in the last digit."""


@dataclass(frozen=True)
class Statement:
    """`given` becomes `expected`, both pictures; or comes as near to it as `decibels` says (PSNR on Y, border = scale).

    With `decibels` both may be folders: pictures belong together in the order of their names, the mean counts.
    """

    given: Path
    expected: Path
    decibels: float | None = None


def read_statement(text: str) -> Path | Statement:
    """`INPUT=OUTPUT`, `LOW=HIGH@PSNR`, or a picture alone. Raises `SparsrError` for a figure that is no number."""
    given, sign, rest = text.partition("=")
    if not sign:
        return Path(text)
    expected, sign, figure = rest.rpartition("@")
    if not sign:
        return Statement(Path(given), Path(rest))
    try:
        decibels = float(figure)
    except ValueError:
        decibels = math.nan
    if not 0 < decibels < 100:
        raise SparsrError(f"{figure!r} in {text} is no PSNR in dB", "for example --verify Set5/LR=Set5/HR@32.15")
    return Statement(Path(given), Path(expected), decibels)


def prove(statement: Statement, run: Run, graph: DeployGraph, report: Report) -> str:
    """A sentence on what was shown. Raises `CheckFailedError` if it is not so, `SparsrError` for unfitting pictures."""
    pairs = _pairs(statement)
    results = [(_result(given, run, graph), read_image(expected).rgb) for given, expected in pairs]
    for (given, expected), (found, truth) in zip(pairs, results, strict=True):
        if found.shape != truth.shape:
            sizes = [f"{array.shape[1]}x{array.shape[0]}" for array in (found, truth)]
            raise SparsrError(f"{graph.name} makes {sizes[0]} pixels of {given}, but {expected} has {sizes[1]}")
    if statement.decibels is None:
        sentence = _same(statement, *results[0])
    else:
        sentence = _as_near(statement, results, graph.scale)
    report(f"verified: {sentence}")
    return sentence


def _same(statement: Statement, found: NDArray[np.uint8], truth: NDArray[np.uint8]) -> str:
    off = np.abs(found.astype(int) - truth)
    share = np.count_nonzero(off) / off.size
    sentence = f"{statement.given.name} becomes {statement.expected.name}"
    figures = f"{100 * (1 - share):.3f} % of the 8-bit values equal, the others off by up to {off.max()}"
    if off.max() > 1 or share > MOST_DIFFERING:
        raise CheckFailedError(
            f"it is not so that {sentence}: {figures}",
            "either the import is wrong (--range, --scale) or the output was made another way",
        )
    return f"{sentence}: {figures}"


def _as_near(statement: Statement, results: Sequence[tuple[NDArray[np.uint8], NDArray[np.uint8]]], scale: int) -> str:
    assert statement.decibels is not None
    measured = float(np.mean([psnr_of(found, truth, scale) for found, truth in results]))
    on = colours_of(scale).upper()
    sentence = (
        f"{statement.given.name} to {statement.expected.name}, {len(results)} pictures: {measured:.3f} dB on {on}"
    )
    if not abs(measured - statement.decibels) <= FIGURE_TOLERANCE + 1e-9:
        raise CheckFailedError(
            f"{sentence}, not the {statement.decibels:g} stated",
            "either the import is wrong (--range, --scale) or the figure was measured another way",
        )
    return f"{sentence}, {statement.decibels:g} stated"


def _pairs(statement: Statement) -> list[tuple[Path, Path]]:
    if statement.decibels is None or not statement.given.is_dir():
        return [(statement.given, statement.expected)]
    sides = statement.given, statement.expected
    folders = [sorted(path for path in folder.iterdir() if path.is_file()) for folder in sides]
    if not folders[0] or len(folders[0]) != len(folders[1]):
        raise SparsrError(
            f"{statement.given} and {statement.expected} do not hold equally many pictures",
            "pictures belong together in the order of their names",
        )
    return list(zip(*folders, strict=True))


def _result(picture: Path, run: Run, graph: DeployGraph) -> NDArray[np.uint8]:
    pixels = read_image(picture).rgb
    if min(pixels.shape[:2]) < graph.minimum_size:
        raise SparsrError(
            f"{picture} is too small for {graph.name}", f"sides have {graph.minimum_size} pixels at least"
        )
    image = (pixels * np.float32(graph.value_range / 255)).astype(np.float32).transpose(2, 0, 1)[None]
    return to_8bit(run(np.ascontiguousarray(image)), graph.value_range)[0].transpose(1, 2, 0).astype(np.uint8)
