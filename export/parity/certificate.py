"""The parity certificate: does every stage of the export compute what the torch network computes?

Every stage is compared with the network as its author's code runs it (torch, or ONNX Runtime for an ONNX file), not
with the stage before: that is what a user relies on, and no error can add up unseen along the way. In the order of the
stages, the first that fails is the hop that broke. On smaller images every stage is compared with an evaluation in
float64 as well and judged by the nearer one, so that no hop is blamed for what the author's code rounds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsr.export.ir import reference
from sparsr.export.ir.graph import DeployGraph
from sparsr.export.ir.layer import Values
from sparsr.export.ir.layers import MaskedBlock
from sparsr.export.parity.mask_flips import Settle, as_torch
from sparsr.runtime.errors import CheckFailedError, SparsrError
from sparsr.runtime.media.images import read_image
from sparsr.runtime.model.card import ParityEntry
from sparsr.runtime.samples import FloatArray

MAX_ABS = 1e-4
"""Largest difference allowed, as a fraction of the value range."""
MAX_DIFFERING = 1e-3
"""Share of 8-bit values that may differ, and then by one level: a value within float32 noise of a half rounds either
way (1.4e-4 of them in Compact, whose largest difference is 5e-6). The share is taken over all images of a hop."""
_ENOUGH_VALUES = 10_000
"""A hop with fewer values (a slow stage) may have as many differing ones as if it had so many: less is luck."""

_REFERENCE_MACS = 3e8  # about half a second of the reference executor
_ENGINE_MACS = 1e11  # a second or two of an engine
_ENGINE_VALUES = 5e5  # enough that a share of 1e-3 is no matter of luck
_SHOWN = 4
WIDE = (18, 97)
"""Height and width: three tiles below each other for Winograd's kernels and seven vectors of the longest beside each
other."""

Run = Callable[[FloatArray], FloatArray]
"""[1, 3, h, w] float32 in 0..value_range -> [1, 3, s*h, s*w], not clipped."""
Report = Callable[[str], None]


@dataclass(frozen=True)
class Stage:
    """A form of the network along the export."""

    name: str
    load: Callable[[], Run]
    """Prepares the engine. Called when the stage's turn comes, so that one engine's memory is held at a time."""
    slow: bool = False
    """True for the reference executor, which sees small images only."""
    optional: bool = False
    """An engine that may refuse the network. If it computes something else, the card keeps it from the bundle."""
    engine: str = ""
    """Its name, of a stage that is one."""


@dataclass(frozen=True)
class Probe:
    """An image the stages are tried on."""

    name: str
    image: FloatArray
    """[1, 3, h, w] float32 in 0..value_range."""
    small: bool
    """Small enough for a slow stage."""
    exact: Values | None = None
    """What the network computes of it in float64, not clipped; where that is known."""
    wide: bool = False
    """The one that every kernel has a part in."""


@dataclass(frozen=True)
class Difference:
    """One stage against torch on one image."""

    hop: str
    image: str
    max_abs: float
    """Largest absolute difference as a fraction of the value range."""
    max_8bit: int
    """Largest difference of the 8-bit values, in levels."""
    differing: int
    """Number of 8-bit values that differ."""
    values: int
    """Number of values compared."""
    worst: str
    """The values around the largest difference, for people."""
    flips: tuple[float, ...] = ()
    """Margins of the mask pixels that rounding turned (see `mask_flips`); torch was given the same masks."""
    max_abs_float64: float | None = None
    """Largest absolute difference to float64 as a fraction of the value range, where that is known."""

    @property
    def judged(self) -> float:
        """The largest difference that counts."""
        return self.max_abs if self.max_abs_float64 is None else min(self.max_abs, self.max_abs_float64)


def probes(graph: DeployGraph, pictures: Sequence[Path] = ()) -> list[Probe]:
    """The smallest image, random images of odd sizes, one so wide that every kernel has a part in it (`WIDE`), a ramp
    over the whole value range, and `pictures`.

    A picture is cropped at its centre, once for slow stages and once larger for the engines. Raises `SparsrError` if
    one cannot be read or is too small for the network.
    """
    smallest, small = graph.minimum_size, _side(graph, _REFERENCE_MACS)
    large = max(small, _side(graph, _ENGINE_MACS))
    rng = np.random.default_rng(0)
    sizes = [(smallest, smallest), (small, max(smallest, small - 3)), (large | 1, max(smallest, large * 3 // 4) | 1)]
    images = [("random", random_pixels(rng, *size)) for size in sizes]
    wide = max(smallest, WIDE[0]), max(smallest, WIDE[1])
    images.append(("ramp", np.linspace(0, 255, 3 * small**2).reshape(small, small, 3)))
    for path in pictures:
        pixels = read_image(path).rgb
        if min(pixels.shape[:2]) < smallest:
            raise SparsrError(f"{path} is too small for {graph.name}", f"no side may have less than {smallest} pixels")
        sides = sorted({min(side, max(pixels.shape[:2])) for side in (small, large)})
        images += [(path.name, _centre(pixels, side)) for side in sides]
    found = [_probe(graph, name, pixels, small) for name, pixels in images]
    return [*found, replace(_probe(graph, "wide", random_pixels(rng, *wide), small), wide=True)]


def with_exact(images: Sequence[Probe], graph: DeployGraph) -> list[Probe]:
    """The images, the small ones and the wide one with what `graph` computes of them in float64.

    Not of networks with masks: rounding turns pixels there, and what is right depends on which (see `mask_flips`).
    """
    if any(isinstance(node.layer, MaskedBlock) for node in graph.nodes):
        return list(images)
    return [
        replace(image, exact=reference.exact(graph, image.image)) if image.small or image.wide else image
        for image in images
    ]


def random_pixels(rng: np.random.Generator, height: int, width: int) -> NDArray[Any]:
    """Noise with the spectrum of photographs, amplitude ~ 1 / frequency (Field, JOSA A 1987), as [h, w, 3] levels.

    On white noise networks answer with several times the value range, and what float32 rounds there (torch itself
    included) would decide about the share of equal 8-bit values.
    """
    frequency = np.hypot.outer(np.fft.fftfreq(height), np.fft.fftfreq(width))
    frequency[0, 0] = 1
    white = rng.normal(size=(height, width, 3))
    noise = np.fft.ifft2(np.fft.fft2(white, axes=(0, 1)) / frequency[..., None], axes=(0, 1)).real
    return np.clip(np.round(128 + 48 * noise / noise.std()), 0, 255)


def _side(graph: DeployGraph, macs: float) -> int:
    """Side of the largest square image worth its time: limited by multiply-adds and by output values."""
    macs_per_pixel, values_per_pixel = graph.macs(64, 64) / 64**2, 3 * graph.scale**2
    pixels = min(macs / max(macs_per_pixel, 1), _ENGINE_VALUES / values_per_pixel)
    return max(graph.minimum_size, int(pixels**0.5))


def _centre(pixels: NDArray[Any], side: int) -> NDArray[Any]:
    top, left = (max(0, (size - side) // 2) for size in pixels.shape[:2])
    return pixels[top : top + side, left : left + side]


def _probe(graph: DeployGraph, name: str, pixels: NDArray[Any], small: int) -> Probe:
    height, width = pixels.shape[:2]
    image = (pixels * (graph.value_range / 255)).astype(np.float32).transpose(2, 0, 1)[None]
    return Probe(f"{name} {width}x{height}", np.ascontiguousarray(image), max(height, width) <= small)


def compare(
    stage: Stage,
    images: Sequence[Probe],
    expected: Sequence[FloatArray],
    value_range: float,
    settle: Settle = as_torch,
    origin: str = "torch",
) -> list[Difference]:
    """One stage against the results `expected` of `origin`, given the same masks, on every image it can take.

    Raises `CheckFailedError` if it cannot run or returns another shape; `check` judges the figures.
    """
    hop, found = f"{origin} -> {stage.name}", []
    try:
        run = stage.load()
        for probe, truth in zip(images, expected, strict=True):
            if probe.small or not stage.slow:
                found.append(_difference(hop, probe, truth, run(probe.image), value_range, settle))
    except CheckFailedError:
        raise
    except Exception as error:  # every engine has exceptions of its own
        raise CheckFailedError(f"{hop}: cannot run the network ({error})", getattr(error, "hint", "")) from error
    return found


def _difference(
    hop: str, probe: Probe, expected: FloatArray, found: FloatArray, value_range: float, settle: Settle
) -> Difference:
    if expected.shape != found.shape:
        raise CheckFailedError(f"{hop}, {probe.name}: the shape is {found.shape} instead of {expected.shape}")
    settled = settle(probe.image, expected, found)
    expected = settled.output
    absolute = np.nan_to_num(np.abs(found - expected) / value_range, nan=np.inf)
    levels, to_float64 = _levels_off(found, expected, value_range), None
    if probe.exact is not None:
        to_float64 = float(np.nan_to_num(np.abs(found - probe.exact) / value_range, nan=np.inf).max())
        levels = min(levels, _levels_off(found, probe.exact.astype(np.float32), value_range), key=np.count_nonzero)
    return Difference(
        hop,
        probe.name,
        max_abs=float(absolute.max()),
        max_8bit=int(levels.max()),
        differing=int(np.count_nonzero(levels)),
        values=levels.size,
        worst=_around(expected, found, int(absolute.argmax())),
        flips=settled.margins,
        max_abs_float64=to_float64,
    )


def _levels_off(found: FloatArray, expected: FloatArray, value_range: float) -> FloatArray:
    return np.nan_to_num(np.abs(to_8bit(found, value_range) - to_8bit(expected, value_range)), nan=255)


def to_8bit(values: FloatArray, value_range: float) -> FloatArray:
    """Whole levels 0..255, halves rounded up, as the runtime rounds its output."""
    return np.floor(np.clip(values * np.float32(255 / value_range), 0, 255) + np.float32(0.5))


def _around(expected: FloatArray, found: FloatArray, flat: int) -> str:
    """Some values of one row, beginning at the largest difference."""
    _, channel, row, column = (int(i) for i in np.unravel_index(flat, expected.shape))
    pairs = zip(*(values[0, channel, row, column : column + _SHOWN] for values in (expected, found)), strict=True)
    listed = "  ".join(f"{a:.5f}/{b:.5f}" for a, b in pairs)
    return f"channel {channel}, row {row}, column {column}: {listed}"


def _by_hop(differences: Sequence[Difference]) -> list[list[Difference]]:
    return [list(group) for _, group in groupby(differences, key=lambda difference: difference.hop)]


def certificate(differences: Sequence[Difference]) -> list[ParityEntry]:
    """The card's entries: one per hop, over all its images. Rounded so that they never look better than they are."""
    entries = []
    for of_hop in _by_hop(differences):
        values = sum(difference.values for difference in of_hop)
        share = 1 - sum(difference.differing for difference in of_hop) / values
        flips = [margin for difference in of_hop for margin in difference.flips]
        exact = [difference.max_abs_float64 for difference in of_hop if difference.max_abs_float64 is not None]
        entries.append(
            ParityEntry(
                of_hop[0].hop,
                ", ".join(difference.image for difference in of_hop),
                float(f"{max(difference.max_abs for difference in of_hop):.1e}"),
                math.floor(1e6 * share) / 1e6,
                max(difference.max_8bit for difference in of_hop),
                values,
                len(flips),
                float(f"{max(flips, default=0.0):.1e}"),
                float(f"{max(exact):.1e}") if exact else None,
            )
        )
    return entries


def check(differences: Sequence[Difference]) -> None:
    """Raise `CheckFailedError` naming the first hop that misses a bar."""
    for of_hop in _by_hop(differences):
        largest = max(difference.judged for difference in of_hop)
        levels = max(difference.max_8bit for difference in of_hop)
        differing = sum(difference.differing for difference in of_hop)
        values = sum(difference.values for difference in of_hop)
        if largest > MAX_ABS or levels > 1 or differing > MAX_DIFFERING * max(values, _ENOUGH_VALUES):
            raise CheckFailedError(
                f"parity failed at {of_hop[0].hop}: largest difference {largest:.1e} of the value range (allowed "
                f"{MAX_ABS:.0e}), {differing} of {values} 8-bit values differ, by up to {levels} levels",
                "please report this network, the table above shows where it went wrong",
            )


def table(differences: Sequence[Difference]) -> list[str]:
    """One line per hop, then the values around the largest difference of all."""
    lines = [
        f"{'hop':46s} {'max abs':>8s} {'float64':>8s}  {'8-bit equal':>11s}  {'off by':>6s}  {'values':>9s}  worst"
    ]
    for entry, of_hop in zip(certificate(differences), _by_hop(differences), strict=True):
        image = max(of_hop, key=lambda difference: difference.max_abs).image
        share, levels = 100 * entry.identical_8bit, entry.max_8bit
        exact = "" if entry.max_abs_float64 is None else f"{entry.max_abs_float64:.1e}"
        lines.append(
            f"{entry.hop:46s} {entry.max_abs:8.1e} {exact:>8s}  {share:9.4f} %  {levels:6d}  {entry.values:9,d}"
            f"  {image}"
        )
        if entry.flips:
            pixels = f"{entry.flips} mask pixels" if entry.flips > 1 else "1 mask pixel"
            lines.append(f"  given {pixels} that rounding turned, logits {entry.flip_margin:.1e} of the largest apart")
    worst = max(differences, key=lambda difference: difference.max_abs)
    lines.append(f"largest: {worst.hop}, {worst.image}, {worst.worst} (expected/found)")
    return lines


@dataclass(frozen=True)
class Trial:
    """What all stages are compared with. `settle` is for networks with masks, see `mask_flips`."""

    images: Sequence[Probe]
    expected: Sequence[FloatArray]
    """The author's code on every image."""
    value_range: float
    settle: Settle = as_torch
    origin: str = "torch"
    """The author's code, by name."""
    wrong: dict[str, str] = field(default_factory=dict)
    """Optional engines that computed something else, and a sentence on what."""


def certify(trial: Trial, stages: Sequence[Stage], report: Report) -> list[Difference]:
    """Compare and report progress; raise `CheckFailedError`, and report the table, if a bar is missed."""
    differences = []
    for stage in stages:
        report(f"parity: {stage.name}")
        try:
            found = compare(stage, trial.images, trial.expected, trial.value_range, trial.settle, trial.origin)
        except CheckFailedError as error:
            if not stage.optional:
                raise
            report(f"left out: {error}")
            continue
        if stage.optional:
            try:
                check(found)
            except CheckFailedError as error:
                trial.wrong[stage.engine] = str(error)
                report(f"not for {stage.engine}: {error}")
                continue
        differences += found
    try:
        check(differences)
    except CheckFailedError:
        for line in table(differences):
            report(line)
        raise
    return differences
