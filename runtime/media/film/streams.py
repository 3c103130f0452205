"""What a film has beside its pictures: sound, subtitles, covers, fonts, chapters, names. Copied as they are.

The rule: every stream that the target's container can hold is kept, with its language, title and disposition; the
container's own writer decides whether it can. Sound and text that it cannot hold are encoded anew. All this is named in
a line.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

from sparsr.runtime.media.film.reading import is_cover
from sparsr.runtime.media.film.sounds import Sound, sound_encoder
from sparsr.runtime.media.film.subtitles import Subtitles, text_encoder
from sparsr.runtime.media.film.times import Clock

_MATROSKA, _WITH_TRACKS = "matroska", ("mp4", "mov")
_OF_THE_FILE = ("encoder", "software", "major_brand", "minor_version", "compatible_brands", "duration")
_TAGS_OF_DEVICES = "com."  # as com.apple.quicktime.make; iTunes' list of tags has no place for them
_OF_PROGRAMS = re.compile(r"handle|media|produced|iso file|mainconcept|alias", re.IGNORECASE)
_KINDS = {
    "audio": "sound", "subtitle": "subtitles", "video": "a further video", "data": "data", "attachment": "a file",
    "unknown": "a stream of a kind that FFmpeg does not know",
}  # fmt: skip


class Copies:
    """The streams beside the film, most of whose packets go into the target unchanged."""

    def __init__(self, av: Any, reader: Any, film: Any, target_format: str) -> None:
        self._av, self._reader, self._film, self._format = av, reader, film, target_format
        self._changes: list[str] = []
        self._encoders: dict[int, str] = {}  # of sound and text that are not copied but encoded anew
        self._unknown = {stream.index for stream in reader.streams.other}  # to ask these what they are crashes PyAV
        self._kept = [stream for stream in reader.streams if stream is not film and self._holds(stream)]
        self._outputs: dict[int, tuple[Any, Clock]] = {}
        self._anew: dict[int, Sound | Subtitles] = {}
        self._refused: Counter[str] = Counter()

    @property
    def remarks(self) -> list[str]:
        """What is not as in the source."""
        refused = [
            f"{count} packets of {what} are left out, as the output refuses them"
            for what, count in self._refused.items()
        ]
        return [*self._changes, *(stream.remark for stream in self._anew.values()), *refused]

    @property
    def demuxed(self) -> list[Any]:
        """Streams whose packets are wanted, beside the film's."""
        return [stream for stream in self._kept if stream.type != "attachment"]

    def add_to(self, writer: Any, add_film: Callable[[], Any]) -> Any:
        """Make the target's streams, in the order of the source's; the film's, which `add_film` makes, is returned."""
        result, copies = None, {}
        for stream in self._reader.streams:
            if stream is self._film:
                result = add_film()
                describe(stream, result)
            elif stream in self._kept and is_cover(stream) and self._format == _MATROSKA:
                writer.add_attachment(*self._cover(stream))
            elif stream in self._kept and stream.type == "attachment":
                writer.add_attachment(stream.name, stream.mimetype or "application/octet-stream", stream.data)
            elif stream.index in self._encoders:
                kind = Sound if stream.type == "audio" else Subtitles
                anew = kind(self._av, writer, stream, self._encoders[stream.index], _name(stream, stream.type))
                self._anew[stream.index] = anew
                describe(stream, anew.target)
            elif stream in self._kept:
                copy = writer.add_stream_from_template(stream, opaque=True)
                describe(stream, copy)
                copies[stream.index] = copy
        writer.metadata.update(
            {key: value for key, value in self._reader.metadata.items() if key.lower() not in _OF_THE_FILE}
        )
        if chapters := self._reader.chapters():
            writer.set_chapters(chapters)
        writer.start_encoding()  # from here on the container's units of time are known
        strict = not writer.format.flags & self._av.format.Flags.ts_nonstrict.value
        clocks = {index: Clock(Fraction(copy.time_base), strict=strict) for index, copy in copies.items()}
        self._outputs = {index: (copy, clocks[index]) for index, copy in copies.items()}
        return result

    def pass_on(self, packet: Any, writer: Any) -> None:
        """Write a packet of another stream than the film's, its times never going back."""
        index = packet.stream.index
        try:
            if index in self._anew:
                for encoded in self._anew[index].packets(packet):
                    writer.mux(encoded)
            elif index in self._outputs and packet.size:
                self._copy(packet, writer)
        except (self._av.error.InvalidDataError, ValueError):
            kind = packet.stream.type
            self._refused[_KINDS.get(kind, kind)] += 1

    def _copy(self, packet: Any, writer: Any) -> None:
        copy, clock = self._outputs[packet.stream.index]
        unit = Fraction(packet.time_base) / Fraction(copy.time_base)
        decoded = packet.pts if packet.dts is None else packet.dts  # covers have no time
        behind = 0 if packet.pts is None or decoded is None else round((packet.pts - decoded) * unit)
        packet.dts = clock.next(None if decoded is None else round(decoded * unit))
        if packet.duration:
            packet.duration = round(packet.duration * unit)
        packet.pts, packet.time_base, packet.stream = packet.dts + behind, copy.time_base, copy
        writer.mux(packet)

    def _holds(self, stream: Any) -> bool:
        """Whether the target has the stream; what it has not is named, but for what its writer makes anew."""
        kind = "unknown" if stream.index in self._unknown else stream.type
        if self._accepted(stream, kind, self._format):
            return True
        encoder = {"audio": sound_encoder, "subtitle": text_encoder}.get(kind)
        if encoder and (name := encoder(self._av, stream, self._format)):
            self._encoders[stream.index] = name
            return True
        if not self._is_made_anew(stream, kind):
            other = "; an mkv file can" if self._accepted(stream, kind, _MATROSKA) else ""
            codec = stream.codec_context.codec.canonical_name if stream.codec_context is not None else kind
            self._changes.append(f"left out: {_name(stream, kind)}, as the output's format cannot hold {codec}{other}")
        return False

    def _is_made_anew(self, stream: Any, kind: str) -> bool:
        """Whether it is a track that mov and mp4 have for chapters or the time code, and the target has its content."""
        if kind != "data" or not self._reader.format.name.startswith("mov"):
            return False
        return self._format in _WITH_TRACKS if "timecode" in stream.metadata else bool(self._reader.chapters())

    def _cover(self, stream: Any) -> tuple[str, str, bytes]:
        """Name, type and content of a cover, as Matroska has it: a file beside the film."""
        kind = {"mjpeg": "jpeg"}.get(stream.codec_context.name, stream.codec_context.name)
        with self._av.open(self._reader.name) as again:
            packet = next(again.demux(again.streams[stream.index]))
            return f"cover.{'jpg' if kind == 'jpeg' else kind}", f"image/{kind}", bytes(packet)

    def _accepted(self, stream: Any, kind: str, container: str) -> bool:
        """Whether a container can hold a stream: its own writer is asked."""
        if container == _MATROSKA and (kind == "attachment" or (kind == "video" and is_cover(stream))):
            return True  # as a file beside the film
        if kind not in ("audio", "subtitle", "video"):
            return False
        try:
            with self._av.open(io.BytesIO(), "w", format=container) as trial:
                trial.add_stream_from_template(stream, opaque=True)
                trial.start_encoding()
        except (ValueError, self._av.FFmpegError):
            return False
        return True


def _name(stream: Any, kind: str) -> str:
    """What remarks call a stream, such as `sound (eng)`."""
    language = f" ({stream.metadata['language']})" if "language" in stream.metadata else ""
    return f"{_KINDS.get(kind, kind)}{language}"


def options_for_tags(reader: Any, container: str) -> dict[str, str]:
    """Options of the writer, so that it keeps the tags of cameras and phones: their list has no place for covers."""
    of_devices = any(key.lower().startswith(_TAGS_OF_DEVICES) for key in reader.metadata)
    plain = container in _WITH_TRACKS and of_devices and not any(is_cover(stream) for stream in reader.streams.video)
    return {"movflags": "use_metadata_tags"} if plain else {}


def lost_tags(av: Any, reader: Any, result: Path) -> list[str]:
    """What the file said of itself that the written one does not, in a sentence."""
    with av.open(f"file:{result}") as written:
        kept = {key.lower() for part in (written, *written.streams) for key in part.metadata}
    lost = [key for key in reader.metadata if key.lower() not in kept and key.lower() not in _OF_THE_FILE]
    return [f"left out: tags that the output's format has no place for: {', '.join(lost)}"] if lost else []


def describe(source: Any, target: Any) -> None:
    """Give a stream the language, title and disposition of another."""
    ignored = ("encoder", "duration", "handler_name", "vendor_id")
    target.metadata.update({k: v for k, v in source.metadata.items() if k.lower() not in ignored})
    if title := source.metadata.get("title") or _handler(source.metadata.get("handler_name", "")):
        target.metadata["title"] = title
        if target.container.format.name in _WITH_TRACKS:
            target.metadata["handler_name"] = title  # what many players show
    target.disposition = int(source.disposition.value)


def _handler(name: str) -> str:
    """A track's name as mov and mp4 have it, if a person gave it; programs say there what they are."""
    return "" if _OF_PROGRAMS.search(name) else name.strip()
