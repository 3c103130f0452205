"""The rule that lowers Resize and Upsample: by a ratio, or to the size of another map."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np

from sparsr.export.ir.layers import CropLike, Nearest, ResizeLike
from sparsr.export.lower import resampling
from sparsr.export.lower.onnx_site import Site
from sparsr.export.lower.size_rule import LARGEST_SCALE

_SIZES = 3  # operand of Resize
_LARGEST_DENOMINATOR = 8


@dataclass(frozen=True)
class _Way:
    """How pixels between pixels are found. `asymmetric`: pixel 0 lies at sub-pixel 0, else the maps' borders do."""

    mode: Literal["nearest", "linear", "corners", "cubic"]
    asymmetric: bool = False


def resize(site: Site) -> str:
    """By whole or broken ratios; nearest and bilinear to another map's size, too."""
    if site.size() == site.probe.size(site.output):
        return site.map()
    way, factor = _way(site), _factor(site)
    other = site.same_size_map(site.probe.size(site.output))
    if other and site.probe.fixed and site.has(_SIZES) and way.mode != "cubic" and not way.asymmetric:
        return site.emit(ResizeLike(way.mode), [site.map(), other])  # a factor would be written as such
    if factor and way.mode == "nearest":
        return site.emit(Nearest(int(factor)), [site.map()])
    if way.mode != "corners" and (ratio := factor or _ratio(site)):
        return _resampled(site, way, ratio)
    like = site.like(site.probe.size(site.output))
    if like is None or way.mode == "cubic" or (way.asymmetric and way.mode == "linear"):
        site.refuse(f"{way.mode} to this size is not handled; ratios up to 8 are, and others to another map's size")
    return site.emit(ResizeLike(way.mode), [site.map(), like])


def _resampled(site: Site, way: _Way, ratio: Fraction) -> str:
    channels = site.channels()
    if way.mode == "nearest":
        steps = resampling.nearest(channels, ratio)
        site.require(steps is not None, f"the ratio {ratio} is not handled")
    else:
        site.require(ratio.numerator <= resampling.LARGEST_BLOCK, f"the ratio {ratio} is not handled")
        if way.mode == "linear":
            steps = resampling.bilinear(channels, ratio, way.asymmetric)
        else:
            kernel = float(site.attributes.get("cubic_coeff_a", resampling.TORCH_CUBIC))
            steps = resampling.bicubic(channels, ratio, kernel, way.asymmetric)
    assert steps is not None
    if ratio.numerator == 1 or ratio.denominator == 1:
        return site.chain(steps, site.map())
    like = site.like(site.probe.size(site.output))
    if like is None:
        site.refuse(f"its result is not {ratio} times as large at every size")
    steps = [*steps[:-1], (".whole", steps[-1][1])]
    return site.emit(CropLike(ratio.numerator), [site.chain(steps, site.map()), like])


def _way(site: Site) -> _Way:
    """Refuses ways that there are no layers for."""
    mode = site.attributes.get("mode", b"nearest").decode()
    older = site.node.op_type == "Upsample" or (not site.has(2) and not site.has(_SIZES))  # opset 10 and before
    usual = "asymmetric" if older else "half_pixel"
    where = site.attributes.get("coordinate_transformation_mode", usual.encode()).decode()
    rounding = site.attributes.get("nearest_mode", b"floor" if older else b"round_prefer_floor").decode()
    half, whole = where in ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric"), bool(_factor(site))
    smaller = any(after[0] < before[0] for before, after in zip(site.size(), site.probe.size(site.output), strict=True))
    site.require(not (smaller and site.attributes.get("antialias", 0)), "antialias is not handled")
    if where == "half_pixel_symmetric":
        site.require(whole, "the coordinates half_pixel_symmetric are handled for whole ratios alone")
    if mode == "nearest":
        block = half and rounding.startswith("round") and whole  # then it is the pixel that it lies in
        known = block or (where == "asymmetric" and rounding == "floor")
        site.require(known, f"nearest with {where}, {rounding} is not handled")
        return _Way("nearest", True)
    if mode == "linear" and where == "align_corners":
        return _Way("corners")
    site.require(half or where == "asymmetric", f"{mode} with the coordinates {where} is not handled")
    site.require(not (mode == "cubic" and site.attributes.get("exclude_outside", 0)), "exclude_outside is not handled")
    return _Way("linear" if mode == "linear" else "cubic", not half)


def _factor(site: Site) -> Fraction | None:
    """Result's size by the operand's; None if that is no whole number up to 8, the same for every image."""
    factors = _ratios(site)
    factor = factors.pop()
    return factor if not factors and factor.denominator == 1 and factor <= LARGEST_SCALE else None


def _ratios(site: Site) -> set[Fraction]:
    sizes = zip(site.size(), site.probe.size(site.output), strict=True)
    return {Fraction(after, before) for pair in sizes for before, after in zip(*pair, strict=True)}


def _ratio(site: Site) -> Fraction | None:
    """The ratio that is given as such, or that the sizes have exactly; None if there is none with small numbers."""
    scales = None
    if not site.has(_SIZES):
        index = 2 if site.has(2) else 1
        scales = site.attributes.get("scales") if not site.has(index) else site.probe.number(site.node.input[index])
    if scales is not None:
        rows, columns = (float(scale) for scale in np.ravel(scales)[-2:])
        ratio = Fraction(rows).limit_denominator(_LARGEST_DENOMINATOR)
        return ratio if rows == columns and abs(float(ratio) - rows) < 1e-6 * rows else None
    ratios = _ratios(site)
    ratio = ratios.pop()
    return ratio if not ratios and ratio.denominator <= _LARGEST_DENOMINATOR else None
