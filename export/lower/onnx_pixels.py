"""The rules that lower ONNX operators which read or write more than one pixel."""

from __future__ import annotations

from typing import Literal

import numpy as np

from sparsr.export.ir.layers import (
    AvgPool,
    Conv,
    DepthToSpace,
    GlobalMax,
    GlobalMean,
    MaxPool,
    Nearest,
    PadEdge,
    ResizeLike,
)
from sparsr.export.ir.operators.sizes import ResizeMode
from sparsr.export.lower import phases
from sparsr.export.lower.onnx_borders import Padding
from sparsr.export.lower.onnx_site import Site
from sparsr.runtime.samples import FloatArray

_LARGEST_FACTOR = 8
_SIZES = 3  # operand of Resize


def conv(site: Site) -> str:
    """Conv with equal strides; a dilated kernel gets zeros between its taps."""
    weight = phases.dilated(site.weights(1, "weight"), _pair(site, "dilations"))
    padding = _padding(site, weight.shape[2:])
    layer = Conv(weight, _bias(site, len(weight)), _stride(site), padding, int(site.attributes.get("group", 1)))
    return site.emit(layer, [site.map()])


def conv_transpose(site: Site) -> str:
    """ConvTranspose with equal strides; a dilated kernel gets zeros between its taps."""
    weight, groups = (
        phases.dilated(site.weights(1, "weight"), _pair(site, "dilations")),
        int(site.attributes.get("group", 1)),
    )
    plain = "output_shape" not in site.attributes and site.attributes.get("auto_pad", b"NOTSET") == b"NOTSET"
    site.require(plain, "output_shape and auto_pad are not handled")
    extra = _pair(site, "output_padding", 0)
    bias = _bias(site, weight.shape[1] * groups)
    steps = phases.conv_transpose(weight, bias, _stride(site), _pads(site), extra, groups)
    return site.chain(steps, site.map())


def max_pool(site: Site) -> str:
    """MaxPool of a square window. A repeated border pixel lies in every window that reaches over the border."""
    if _sees_all(site):
        return site.emit(GlobalMax(), [site.map()])
    padding, source = _pads(site), site.map()
    if any(padding):
        source = site.emit(PadEdge(padding), [source], ".pad")
    return site.emit(MaxPool(*_window(site)), [source])


def average_pool(site: Site) -> str:
    """AveragePool of a square window; zeros around the map count, if there are any."""
    if _sees_all(site):
        return site.emit(GlobalMean(), [site.map()])
    padding, (side, stride) = _pads(site), _window(site)
    if not any(padding):
        return site.emit(AvgPool(side, stride), [site.map()])
    counted = bool(site.attributes.get("count_include_pad", 0))
    site.require(counted, "padding that does not count (count_include_pad = 0) is not handled")
    channels = site.channels()
    weight = np.full((channels, 1, side, side), 1 / side**2, np.float32)
    return site.emit(Conv(weight, np.zeros(channels, np.float32), stride, padding, channels), [site.map()])


def _sees_all(site: Site) -> bool:
    """Whether a pool's window is the whole map, of a file for images of one size."""
    kernel = tuple(site.attributes["kernel_shape"])
    return site.probe.fixed is not None and site.size() == [kernel] and site.probe.size(site.output) == [(1, 1)]


def depth_to_space(site: Site) -> str:
    """DepthToSpace in either order; ONNX's default is DCR."""
    block, channels = int(site.attributes["blocksize"]), site.channels()
    source = site.map()
    if site.attributes.get("mode", b"DCR") == b"DCR":
        order = phases.channel_map(np.eye(channels)[phases.depth_first(channels, block)])
        source = site.emit(order, [source], ".order")
    return site.emit(DepthToSpace(block), [source])


def space_to_depth(site: Site) -> str:
    """SpaceToDepth, whose channels are (dy, dx, c)."""
    return site.emit(phases.pixel_unshuffle(site.channels(), int(site.attributes["blocksize"]), True), [site.map()])


def expand(site: Site) -> str:
    """Expand of one pixel or one channel to the size of another map."""
    channels, size = site.probe.channels(site.output), site.probe.size(site.output)
    source = site.map()
    if site.channels() != channels:
        site.require(site.channels() == 1, "it repeats groups of channels")
        source = site.emit(phases.channel_map(np.ones((channels, 1))), [source], ".wide")
    if site.size() == size:
        return source
    like = site.same_size_map(size)
    site.require(set(site.size()) == {(1, 1)} and like is not None, "it repeats pixels in a way not handled")
    assert like is not None
    return site.emit(ResizeLike(), [source, like])


def resize(site: Site) -> str:
    """Resize, Upsample: by a whole factor, or to the size of another map."""
    kind, factor = _way(site), _factor(site)
    if factor == 1:
        return site.map()
    other = site.same_size_map(site.probe.size(site.output))
    if other and site.probe.fixed and site.has(_SIZES) and kind != "cubic":  # a factor would be written as such
        return site.emit(ResizeLike(kind), [site.map(), other])
    if factor and kind == "nearest":
        return site.emit(Nearest(factor), [site.map()])
    if factor and kind == "linear":
        return site.chain(phases.bilinear(site.channels(), factor), site.map())
    if kind == "cubic":
        return _cubic(site, factor)
    like = site.like(site.probe.size(site.output))
    if like is None:
        site.refuse(f"{kind} to this size is not handled; whole factors up to 8, and to another map's size, are")
    return site.emit(ResizeLike(kind), [site.map(), like])


def _way(site: Site) -> ResizeMode | Literal["cubic"]:
    """How pixels between pixels are found. Refuses ways that there are no layers for."""
    mode = site.attributes.get("mode", b"nearest").decode()
    older = site.node.op_type == "Upsample"
    where = site.attributes.get("coordinate_transformation_mode", b"half_pixel").decode()
    rounding = site.attributes.get("nearest_mode", b"round_prefer_floor").decode()
    half = where in ("half_pixel", "pytorch_half_pixel")
    if mode == "nearest":
        block = half and rounding.startswith("round") and _factor(site)  # then it is the pixel that it lies in
        known = older or block or (where == "asymmetric" and rounding == "floor")
        site.require(bool(known), f"nearest with {where}, {rounding} is not handled")
        return "nearest"
    site.require(not older, f"Upsample by {mode} has corners aligned, which is not handled")
    if mode == "linear" and where == "align_corners":
        return "corners"
    site.require(half, f"the coordinates {where} are not handled")
    return "linear" if mode == "linear" else "cubic"


def _cubic(site: Site, factor: int | None) -> str:
    divisor = _divisor(site)
    site.require(
        bool(factor or divisor), "cubic by anything but a whole factor, or to a half or quarter, is not handled"
    )
    site.require(abs(float(site.attributes.get("cubic_coeff_a", -0.75)) + 0.75) < 1e-6, "its kernel is not a = -0.75")
    site.require(not site.attributes.get("exclude_outside", 0), "exclude_outside is not handled")
    if factor:
        return site.chain(phases.bicubic(site.channels(), factor), site.map())
    assert divisor is not None
    return site.chain(phases.bicubic_reduced(site.channels(), divisor), site.map())


def _factor(site: Site) -> int | None:
    """Result's size by the operand's; None if that is no whole number, the same for every image."""
    sizes = zip(site.size(), site.probe.size(site.output), strict=True)
    factors = {after / before for pair in sizes for before, after in zip(*pair, strict=True)}
    factor = factors.pop()
    return int(factor) if not factors and factor == int(factor) and 1 <= factor <= _LARGEST_FACTOR else None


def _divisor(site: Site) -> int | None:
    """2 or 4 if that often smaller than the operand, rounded down, is the result at every size."""
    sizes = list(zip(site.size(), site.probe.size(site.output), strict=True))
    for divisor in (2, 4):
        if all(after == tuple(side // divisor for side in before) for before, after in sizes):
            return divisor
    return None


def _bias(site: Site, outputs: int) -> FloatArray:
    return site.weights(2, "bias").copy() if site.has(2) else np.zeros(outputs, np.float32)


def _pair(site: Site, name: str, default: int = 1) -> tuple[int, int]:
    first, second = site.attributes.get(name, (default, default))
    return int(first), int(second)


def _stride(site: Site) -> int:
    rows, columns = _pair(site, "strides")
    site.require(rows == columns, f"its strides {rows} and {columns} differ")
    return rows


def _pads(site: Site) -> Padding:
    top, left, bottom, right = (int(amount) for amount in site.attributes.get("pads", (0, 0, 0, 0)))
    return top, left, bottom, right


def _padding(site: Site, kernel: tuple[int, ...]) -> Padding:
    """Zeros around, also where `auto_pad` says so for stride 1."""
    automatic = site.attributes.get("auto_pad", b"NOTSET").decode()
    if automatic in ("NOTSET", ""):
        return _pads(site)
    if automatic == "VALID":
        return (0, 0, 0, 0)
    site.require(_stride(site) == 1, f"{automatic} with a stride depends on the image's size")
    small, large = [(side - 1) // 2 for side in kernel], [side // 2 for side in kernel]
    first, last = (small, large) if automatic == "SAME_UPPER" else (large, small)
    return (first[0], first[1], last[0], last[1])


def _window(site: Site) -> tuple[int, int]:
    rows, columns = site.attributes["kernel_shape"]
    site.require(rows == columns, "its window is not square")
    plain = not site.attributes.get("ceil_mode", 0) and _pair(site, "dilations") == (1, 1)
    automatic = site.attributes.get("auto_pad", b"NOTSET") in (b"NOTSET", b"VALID")
    site.require(plain and automatic, "auto_pad, ceil_mode and dilations are not handled")
    return int(rows), _stride(site)
