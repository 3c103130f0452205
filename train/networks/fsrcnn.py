"""FSRCNN (Dong et al., Accelerating the Super-Resolution Convolutional Neural Network, ECCV 2016)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from sparsr.train.networks.base import LumaNetwork, conv1x1, conv3x3
from sparsr.train.networks.recognition import SCALE, VALUE_RANGES, Found, State, colours_of, count, renamed, tail_scale

_KERNEL = 9  # of the transposed convolution


class FSRCNN(LumaNetwork):
    """5x5 convolution, shrinking, `blocks` narrow 3x3 convolutions, widening, and one transposed convolution.

    `shuffled`: a 1x1 convolution and a pixel shuffle in place of the transposed one, as OpenCV's models have it.
    """

    architecture = "fsrcnn"
    value_range = 1.0

    def __init__(
        self,
        scale: int,
        channels: int = 56,
        inner: int = 12,
        blocks: int = 4,
        shuffled: bool = False,
        colours: int = 1,
        value_range: float = 1.0,
    ) -> None:
        options = {"channels": channels, "inner": inner, "blocks": blocks, "shuffled": shuffled}
        super().__init__(scale, colours, value_range=value_range, **options)
        self.value_range = value_range
        self.shuffled = shuffled
        self.first_part = nn.Sequential(nn.Conv2d(colours, channels, 5, 1, 2), nn.PReLU(channels))
        middle: list[nn.Module] = [conv1x1(channels, inner), nn.PReLU(inner)]
        for _ in range(blocks):
            middle += [conv3x3(inner, inner), nn.PReLU(inner)]
        self.mid_part = nn.Sequential(*middle, conv1x1(inner, channels), nn.PReLU(channels))
        if shuffled:
            self.last_part: nn.Module = conv1x1(channels, colours * scale**2)
        else:
            extra = scale - 1  # so that the result is s times as large
            self.last_part = nn.ConvTranspose2d(channels, colours, _KERNEL, scale, _KERNEL // 2, extra)

    def restore(self, x: Tensor) -> Tensor:
        """[n, colours, h, w] -> [n, colours, s*h, s*w]."""
        deep = self.last_part(self.mid_part(self.first_part(x)))
        return F.pixel_shuffle(deep, self.scale) if self.shuffled else deep


def recognise(state: State, _: int | None) -> Found | None:
    """Two generations of names, and OpenCV's. The transposed kernel is 9x9 at every scale: read with a wrong one the
    network changes the brightness, which shows."""
    shuffled = "f1.weight" in state and "alpha1" in state
    if shuffled:
        state = _from_tensorflow(state)
    elif "feature_extraction.0.weight" in state and "deconv.weight" in state:
        places = count(state, r"map\.(\d+)\.")
        rules = {r"feature_extraction": "first_part", r"shrink\.": "mid_part.", "deconv": "last_part"}
        rules |= {rf"map\.{place}\.": f"mid_part.{place + 2}." for place in range(places)}
        state = renamed(state, rules | {rf"expand\.{n}\.": f"mid_part.{places + 2 + n}." for n in (0, 1)})
    if "first_part.0.weight" not in state or "mid_part.0.weight" not in state or "last_part.weight" not in state:
        return None
    inner, channels = state["mid_part.0.weight"].shape[:2]
    state = {name: _slopes(state, name) for name in state}
    options = {"channels": channels, "inner": inner, "blocks": count(state, r"mid_part\.(\d+)\.") // 2 - 2}
    options |= {"colours": colours_of(state["first_part.0.weight"]), "shuffled": shuffled}
    undecided: dict[str, tuple[float, ...]] = {"value_range": VALUE_RANGES}
    if shuffled:
        return Found(tail_scale(state["last_part.weight"], options["colours"]), state, options, undecided)
    return Found(2, state, options, {SCALE: (2, 3, 4)} | undecided)


def _from_tensorflow(state: State) -> State:
    """f1, b1, alpha1 and so on; the last bias is added after the shuffle, to every sub-pixel alike."""
    last = count(state, r"f(\d+)\.weight")
    result = {"last_part.weight": state[f"f{last}.weight"]}
    result["last_part.bias"] = state[f"b{last}"].repeat_interleave(
        len(state[f"f{last}.weight"]) // len(state[f"b{last}"])
    )
    for number in range(1, last):
        part, place = ("first_part", 0) if number == 1 else ("mid_part", 2 * number - 4)
        result[f"{part}.{place}.weight"] = state[f"f{number}.weight"]
        result[f"{part}.{place}.bias"] = state[f"b{number}"]
        result[f"{part}.{place + 1}.weight"] = state[f"alpha{number}"]
    return result


def _slopes(state: State, name: str) -> Tensor:
    """The tensor; a slope that all channels share, once per channel."""
    tensor = state[name]
    if tensor.dim() == 1 and name.endswith(".weight") and len(tensor) == 1:
        part, place, _ = name.split(".")
        return tensor.repeat(len(state[f"{part}.{int(place) - 1}.weight"]))
    return tensor
