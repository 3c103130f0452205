"""The rules that lower ONNX operators which read or write more than one pixel."""

from __future__ import annotations

import numpy as np

from sparsr.export.ir.layers import (
    Activation,
    AvgPool,
    ChannelAffine,
    Conv,
    Crop,
    DepthToSpace,
    GlobalMax,
    GlobalMean,
    Layer,
    LineMax,
    LineMean,
    MaxPool,
    Mul,
    PadEdge,
    PadToMultiple,
    ResizeLike,
    SliceChannels,
)
from sparsr.export.lower import phases
from sparsr.export.lower.onnx_borders import Padding
from sparsr.export.lower.onnx_site import Site
from sparsr.runtime.samples import FloatArray


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
    if everything := _of_all(site, GlobalMax, LineMax):
        return site.emit(everything, [site.map()])
    padding, source, (side, stride) = _pads(site), site.map(), _window(site)
    if any(padding):
        source = site.emit(PadEdge(padding), [source], ".pad")
    for number, layer in enumerate(_to_whole_windows(site, side, stride)):
        source = site.emit(layer, [source], f".whole{number}")
    return site.emit(MaxPool(side, stride), [source])


def average_pool(site: Site) -> str:
    """AveragePool of a square window; zeros around the map count, or sums are divided by how many pixels are none."""
    if everything := _of_all(site, GlobalMean, LineMean):
        return site.emit(everything, [site.map()])
    padding, (side, stride), channels = _pads(site), _window(site), site.channels()
    site.require(not site.attributes.get("ceil_mode", 0), "ceil_mode is handled for MaxPool alone")
    if not any(padding):
        return site.emit(AvgPool(side, stride), [site.map()])
    counted = bool(site.attributes.get("count_include_pad", 0))

    def summed(channels: int, share: float) -> Conv:
        weight = np.full((channels, 1, side, side), share, np.float32)
        return Conv(weight, np.zeros(channels, np.float32), stride, padding, channels)

    if counted:
        return site.emit(summed(channels, 1 / side**2), [site.map()])
    one, zero = np.ones(1, np.float32), np.zeros(1, np.float32)
    shares: phases.Steps = [
        (".first", SliceChannels(0, 1)),
        (".ones", ChannelAffine(zero, one)),
        (".count", summed(1, 1)),
        (".share", Activation("reciprocal")),
        (".shares", phases.channel_map(np.ones((channels, 1)))),
    ]
    sums = site.emit(summed(channels, 1), [site.map()], ".sum")
    return site.emit(Mul(), [sums, site.chain(shares, site.map())])


def _of_all(site: Site, whole: type[GlobalMean], line: type[LineMean]) -> Layer | None:
    """The layer of a pool whose window is as high or wide as the map and else one pixel, of a file for one size."""
    if site.probe.fixed is None or site.size() == [(1, 1)]:
        return None
    kernel, size, after = tuple(site.attributes["kernel_shape"]), site.size()[0], site.probe.size(site.output)[0]
    if kernel == size and after == (1, 1):
        return whole()
    ways = {(size[0], 1): (0, (1, size[1])), (1, size[1]): (1, (size[0], 1))}
    axis, left = ways.get(kernel, (0, ()))
    return line(axis) if left and after == left else None


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
    """Expand of one pixel, row, column or channel to the size of another map."""
    channels, size = site.probe.channels(site.output), site.probe.size(site.output)
    source = site.map()
    if site.channels() != channels:
        site.require(site.channels() == 1, "it repeats groups of channels")
        source = site.emit(phases.channel_map(np.ones((channels, 1))), [source], ".wide")
    if site.size() == size:
        return source
    like, pairs = site.same_size_map(size), zip(site.size(), size, strict=True)
    single = all(side in (1, whole) for pair in pairs for side, whole in zip(*pair, strict=True))
    if like is None or not single:
        site.refuse("it repeats pixels in a way not handled")
    return site.emit(ResizeLike("linear" if set(site.size()) == {(1, 1)} else "nearest"), [source, like])


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
    """Its side and stride."""
    rows, columns = site.attributes["kernel_shape"]
    site.require(rows == columns, "its window is not square")
    automatic = site.attributes.get("auto_pad", b"NOTSET") in (b"NOTSET", b"VALID")
    site.require(automatic and _pair(site, "dilations") == (1, 1), "auto_pad and dilations are not handled")
    return int(rows), _stride(site)


def _to_whole_windows(site: Site, side: int, stride: int) -> list[Layer]:
    """For `ceil_mode`: the border repeated until windows end at it, which then lies in the last window."""
    if not site.attributes.get("ceil_mode", 0) or stride == 1:
        return []
    site.require(side >= stride, "windows apart from each other in ceil_mode are not handled")
    behind = -side % stride
    grown: list[Layer] = [PadToMultiple(stride, stride)]
    return [PadEdge((0, 0, behind, behind)), *grown, Crop((0, 0, behind, behind), site.channels())] if behind else grown
