"""Sound that the target's container cannot hold, decoded and encoded as AAC or Opus: a film is not left silent."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

_AAC, _OPUS = "aac", "libopus"
_WEBM = "webm"
_AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_OPUS_RATE = 48000
_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}
_GAP = 0.1  # seconds without sound from which on they are a gap
_BITS = 96_000  # a second for a channel


def sound_encoder(av: Any, stream: Any, container: str) -> str | None:
    """FFmpeg's name of the encoder; None where the sound cannot be decoded or encoded here."""
    name = _OPUS if container == _WEBM else _AAC
    context = stream.codec_context
    known = context is not None and context.sample_rate and context.channels
    return name if known and name in av.codecs_available else None


class Sound:
    """One stream of sound on its way from the source's kind to the target's. what: its name in remarks."""

    def __init__(self, av: Any, writer: Any, source: Any, encoder: str, what: str) -> None:
        known, held = encoder.removeprefix("lib"), source.codec_context.codec.canonical_name
        self.remark = f"{what} was encoded anew as {known}, as the output's format cannot hold {held}"
        self._decoder, channels = source.codec_context, source.codec_context.channels
        self._next: int | None = None  # sample, counted, as times of short frames are rounded
        rate = self._decoder.sample_rate
        higher = next((known for known in _AAC_RATES if known >= rate), _AAC_RATES[-1])
        layout = _LAYOUTS.get(channels, "stereo")
        self.target = writer.add_stream(encoder, rate=_OPUS_RATE if encoder == _OPUS else higher, layout=layout)
        self.target.bit_rate = _BITS * min(channels, 8)

    def packets(self, packet: Any) -> Iterator[Any]:
        """What a packet of the source becomes; an empty one ends the stream. Raises FFmpeg's errors for bad ones."""
        for frame in self._decoder.decode(packet if packet.size else None):
            rate = frame.sample_rate
            due = self._next or 0
            start = due if frame.pts is None else round(frame.pts * frame.time_base * rate)
            frame.pts = start if self._next is None or start - due > _GAP * rate else due
            frame.time_base, self._next = Fraction(1, rate), frame.pts + frame.samples
            yield from self.target.encode(frame)
        if not packet.size:
            yield from self.target.encode(None)
