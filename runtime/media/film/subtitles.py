"""Subtitles of text that the target's container cannot hold, written anew as the kind of text that it can.

FFmpeg decodes every kind into lines of ASS, the richest of them, and encodes those. Its encoders write what they know
of the styles; what they would write as text though it is none is taken out before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from sparsr.runtime.media.film.times import Clock

_TEXTS = ("subrip", "ass", "webvtt", "mov_text", "text")
_STYLED = "ass"  # which has fonts and places for whole lines beside the text
_ENCODERS = {"mp4": "mov_text", "mov": "mov_text", "webm": "webvtt", "matroska": "subrip"}
_ONE_AT_A_TIME = "mov_text"  # a track of samples that follow each other: lines shown together become one
# Tags of ASS that an encoder writes in its own way, all others being lost.
_LOST = {
    "mov_text": re.compile(r"\\(?!([biu]|fs)[\d}\\]|1?c(?![a-z])|r)"),
    "subrip": re.compile(r"\\(?!([bius]|fs)[\d}\\]|1?c(?![a-z])|an?\d|fn|r)"),
    "webvtt": re.compile(r"\\(?![biu][\d}\\]|r)"),
}
_FIELDS = 8  # of a decoded line, before its text
_BLOCKS = re.compile(r"\{[^}]*\}")
_COMMENTS = re.compile(r"\{[^}\\]*\}")
_DRAWINGS = re.compile(r"\{[^}]*\\p[1-9][^}]*\}.*?(?=\{[^}]*\\p0|$)", re.DOTALL)
_SHORT_COLOUR = re.compile(r"\\c(?![a-z])")  # which the encoder of mov_text knows by its long name alone
_UNTOLD = Fraction(3)  # seconds a line is shown whose end is not told
_NEVER = 2**32 - 1  # a line's end that is not told, in milliseconds

Event = tuple[int, int, str]
"""First and last time in ticks of the source, and a line of ASS."""


def text_encoder(av: Any, stream: Any, container: str) -> str | None:
    """FFmpeg's name of the encoder; None of what is no text, such as the pictures of DVDs, and before PyAV 16.1."""
    name, context = _ENCODERS.get(container), stream.codec_context
    known = context is not None and context.codec.canonical_name in _TEXTS and hasattr(context, "encode_subtitle")
    return name if known and name in av.codecs_available else None


class Subtitles:
    """One stream of text on its way from the source's kind to the target's. what: its name in remarks."""

    def __init__(self, av: Any, writer: Any, source: Any, encoder: str, what: str) -> None:
        self._av, self._what, self._kind = av, what, source.codec_context.codec.canonical_name
        self._decoder, self._encoder, self._tick = source.codec_context, encoder, Fraction(source.time_base)
        self._decoder.open(strict=False)  # which makes the header
        self.target = writer.add_stream(encoder)
        self.target.codec_context.subtitle_header = (self._decoder.subtitle_header or b"") + b"\0"  # read as C reads
        self._clock = Clock(self._tick, strict=False)
        self._shown: list[tuple[int, str]] = []  # until when, and what
        self._at = 0  # up to which time lines have been given
        self._lost = self._kind == _STYLED

    @property
    def remark(self) -> str:
        """What became of it."""
        lost = ", without positions, effects and fonts" if self._lost else ""
        name = self._encoder
        return f"{self._what} were converted to {name}, as the output's format cannot hold {self._kind}{lost}"

    def packets(self, packet: Any) -> Iterator[Any]:
        """What a packet of the source becomes; an empty one ends the stream. Raises FFmpeg's errors for bad ones."""
        events = self._events(packet)
        for start, end, line in self._in_turn(events, not packet.size) if self._encoder == _ONE_AT_A_TIME else events:
            unit = self._tick / Fraction(self.target.time_base)
            shown, duration = round(start * unit), round(end * unit) - round(start * unit)
            if duration > 0:
                subtitle = self._av.subtitles.subtitle.SubtitleSet.create(line.encode(), 0, duration, shown)
                encoded = self.target.codec_context.encode_subtitle(subtitle)
                encoded.pts = encoded.dts = shown
                encoded.duration, encoded.time_base, encoded.stream = duration, self.target.time_base, self.target
                yield encoded

    def _events(self, packet: Any) -> list[Event]:
        """The lines that a packet shows."""
        found: Any = self._decoder.decode2(packet) if packet.size else None
        lines = [self._plain(one.ass.decode("utf-8", "replace")) for one in found or ()]
        if not any(lines):
            return []
        start = self._clock.next(packet.pts)
        told = packet.duration or 0
        if not told and 0 < found.end_display_time < _NEVER:
            told = round(Fraction(found.end_display_time, 1000) / self._tick)
        end = start + (told or round(_UNTOLD / self._tick))
        return [(start, end, line) for line in lines if line]

    def _plain(self, line: str) -> str:
        """A line without what is no text and what no encoder knows; empty if nothing is left to read."""
        *fields, text = line.split(",", _FIELDS)
        self._lost |= any(_LOST[self._encoder].search(block) for block in _BLOCKS.findall(text))
        text = _SHORT_COLOUR.sub(r"\\1c", _COMMENTS.sub("", _DRAWINGS.sub("", text)))
        text = text.replace(r"\h", "\N{NO-BREAK SPACE}").replace(r"\n", " ")
        return ",".join([*fields, text]) if _BLOCKS.sub("", text).strip() else ""

    def _in_turn(self, events: list[Event], last: bool) -> Iterator[Event]:
        """Lines that are shown together as one of several rows, as long as they are."""
        for start, end, line in events:
            yield from self._until(start)
            if end > self._at:
                self._shown.append((end, line))
        if last and self._shown:
            yield from self._until(max(end for end, _ in self._shown))

    def _until(self, time: int) -> Iterator[Event]:
        while self._shown and self._at < time:
            end = min(time, *(end for end, _ in self._shown))
            texts = [line.split(",", _FIELDS)[-1] for _, line in self._shown]
            first = self._shown[0][1]
            yield self._at, end, first.removesuffix(texts[0]) + r"{\r}\N".join(texts)
            self._at = end
            self._shown = [(until, line) for until, line in self._shown if until > end]
        self._at = max(self._at, time)
