"""When frames are shown: always later than the one before, whatever the file says."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

_MOST_RATE = 2000  # frames a second
_JUMP = 1  # seconds back: from there on the file has begun a new clock


class Clock:
    """Gives increasing times in ticks of one stream.

    A time that is not later than the last becomes a tick later, or `least` seconds, which others can tell apart; where
    the clock jumps back, as in streams that were joined, what follows goes on from the last time. strict: whether equal
    times are no increase; packets of sound may be shorter than a tick.
    """

    def __init__(
        self, tick: Fraction, duration: Fraction | None = None, least: Fraction = Fraction(0), strict: bool = True
    ) -> None:
        self._jump, self._least = max(1, round(_JUMP / tick)), max(int(strict), math.ceil(least / tick))
        self._duration = max(1, round(duration / tick)) if duration else 1
        self._last: int | None = None
        self._offset = 0

    def next(self, ticks: int | None) -> int:
        """The time of the next frame or packet, of which the file says `ticks`."""
        if self._last is None:
            self._last = ticks or 0
            return self._last
        if ticks is None:
            result = self._last + self._duration
        else:
            if ticks + self._offset <= self._last - self._jump:
                self._offset = self._last + self._duration - ticks
            result = max(ticks + self._offset, self._last + self._least)
        self._last = result
        return result


class FrameTimes:
    """When the frames of a film are shown, in ticks of its stream."""

    def __init__(self, container: Any, stream: Any, least: Fraction) -> None:
        rate = rate_of(stream)
        self.tick = Fraction(stream.time_base)
        self._clock = Clock(self.tick, 1 / rate if rate else None, least)
        # AVI numbers packets, not frames: what B-frames carry there is the time of another frame.
        self._counted = container.format.name == "avi" and stream.codec_context.has_b_frames
        self._count = 0

    def next(self, frame: Any) -> int:
        """The time of the next frame."""
        if self._counted:
            self._count += 1
            return self._count - 1
        ticks = frame.pts if frame.pts is not None else frame.dts
        if ticks is not None and frame.time_base and frame.time_base != self.tick:
            ticks = round(ticks * Fraction(frame.time_base) / self.tick)
        return self._clock.next(ticks)


def rate_of(stream: Any) -> Fraction | None:
    """Frames a second; None if the file does not tell."""
    rates = [Fraction(rate) for rate in (stream.average_rate, stream.guessed_rate) if rate]
    return next((rate for rate in rates if rate <= _MOST_RATE), None)  # FFmpeg says 60,000 of DV
