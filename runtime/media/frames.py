"""Pictures that move or have pages: their frames, one after the other, and how long each is shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sparsr.runtime.media.opening import Opened, decoding

DEFAULT_MILLISECONDS = 100
"""Of a frame that says 0, as browsers have it: for formats that do not know 0."""


@dataclass(frozen=True)
class Timing:
    """Of an animation."""

    milliseconds: tuple[float, ...]
    """How long each frame is shown; 0 leaves it to the player."""
    loops: int = 0
    """How often it is played; 0 for ever."""


@dataclass(frozen=True)
class Animation:
    """What must be known before its first frame is written."""

    timing: Timing
    alpha: bool
    """Whether a frame has transparent pixels."""


def survey(source: Opened) -> Animation:
    """Look at every frame of an opened animation once."""
    milliseconds, alpha = [], False
    for _ in positions(source):
        image = source.image
        with decoding(source.path):
            image.load()
        milliseconds.append(float(image.info.get("duration", 0)))
        if not alpha and (image.mode == "RGBA" or "transparency" in image.info):
            lowest, _highest = image.convert("RGBA").getchannel("A").getextrema()
            alpha = bool(lowest != 255)
    once = 1 if source.image.format == "GIF" else 0  # a GIF without a word on loops is played once
    return Animation(Timing(tuple(milliseconds), int(source.image.info.get("loop", once))), alpha)


def positions(source: Opened) -> Iterator[int]:
    """Let the file stand at one frame after the other."""
    for number in source.numbers:
        with decoding(source.path):
            source.image.seek(number)
        yield number
