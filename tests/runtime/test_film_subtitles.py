"""Subtitles: copied where the container can hold them, written anew where it cannot. Judges: ffprobe and ffmpeg."""

import re

import pytest
from films import film, streams, upscaled
from judges import ffmpeg, ffprobe

SRT = """1
00:00:00,100 --> 00:00:00,900
<i>Grüße</i> <font color="#ff0000">red</font>

2
00:00:01,000 --> 00:00:01,250
{\\an8}two
lines
"""
EVENTS = """[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, Bold, Alignment
Style: Default,Arial,16,&Hffffff,0,2
Style: Sign,Courier,24,&H0000ff,1,8

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:00.10,0:00:00.80,Default,,0,0,0,,first{a remark}
Dialogue: 0,0:00:00.40,0:00:01.20,Sign,,0,0,0,,{\\pos(9,9)}a\\hsign
Dialogue: 0,0:00:00.50,0:00:00.60,Default,,0,0,0,,{\\p1}m 0 0 l 9 9{\\p0}
"""


def with_subtitles(folder, text, source, codec=None, given=()):
    (folder / "s.srt").write_text(text) if text == SRT else (folder / "s.ass").write_text(text)
    film(folder / "v.mp4", 1.5)
    options = ("-map", "0", "-map", "1", "-c:v", "copy", "-c:s", codec or "copy", *given)
    if source == "webm":
        options += ("-c:v", "libvpx-vp9")
    ffmpeg(
        "-i", folder / "v.mp4", "-i", folder / ("s.srt" if text == SRT else "s.ass"), *options, folder / f"in.{source}"
    )
    return folder / f"in.{source}"


def shown(path):
    """(start, how long it is shown), in seconds, of every subtitle that is not empty."""
    packets = ffprobe(path, "-select_streams", "s", "-show_packets")["packets"]
    return [(float(one["pts_time"]), float(one["duration_time"])) for one in packets if int(one["size"]) > 2]


def texts(path):
    """What FFmpeg reads there, without what tells the looks."""
    lines = ffmpeg("-i", path, "-map", "0:s:0", "-f", "srt", "-").decode().replace("\r\n", "\n").strip().split("\n\n")
    return [re.sub(r"<[^>]*>|\{[^}]*\}", "", line.split("\n", 2)[2]) for line in lines]


@pytest.mark.parametrize(("source", "codec", "target"), [("mp4", "mov_text", "mov"), ("mkv", "ass", "mkv")])
def test_subtitles_are_shown_as_long_as_before(tmp_path, source, codec, target):
    """Also where containers count time in other units."""
    path = with_subtitles(tmp_path, SRT, source, codec)
    assert upscaled(path, tmp_path / f"out.{target}").remarks == ()
    before, after = shown(path), shown(tmp_path / f"out.{target}")
    assert [time for _, time in before] == pytest.approx([0.8, 0.25], abs=0.002)
    assert sum(after, ()) == pytest.approx(sum(before, ()), abs=0.002)


WAYS = [
    ("mkv", "subrip", "mp4", "mov_text"),
    ("mkv", "ass", "mov", "mov_text"),
    ("mkv", "ass", "webm", "webvtt"),
    ("mp4", "mov_text", "mkv", "subrip"),
    ("mp4", "mov_text", "webm", "webvtt"),
    ("webm", "webvtt", "mp4", "mov_text"),
]


@pytest.mark.parametrize(("source", "codec", "target", "kind"), WAYS)
def test_text_becomes_the_kind_that_the_container_holds(tmp_path, source, codec, target, kind):
    given = ("-metadata:s:s", "language=ger", "-disposition:s", "forced")
    path = with_subtitles(tmp_path, SRT, source, codec, given)
    report = upscaled(path, tmp_path / f"out.{target}")
    (remark,) = [remark for remark in report.remarks if "subtitles" in remark]
    assert remark.startswith(f"subtitles (ger) were converted to {kind}, as the output's format cannot hold {codec}")
    (track,) = [one for one in streams(tmp_path / f"out.{target}")["streams"] if one["codec_type"] == "subtitle"]
    assert (track["codec_name"], track["tags"]["language"]) == (kind, "ger")
    assert track["disposition"]["forced"] == (target != "mov")
    assert texts(tmp_path / f"out.{target}") == ["Grüße red", "two\nlines"]
    assert shown(tmp_path / f"out.{target}") == [pytest.approx((0.1, 0.8)), pytest.approx((1.0, 0.25))]


def test_looks_that_a_kind_of_text_knows_are_kept(tmp_path):
    """Of mov_text italics and colours, but no places; what is left out is said of the film that had it."""
    path = with_subtitles(tmp_path, SRT, "mkv")
    assert upscaled(path, tmp_path / "out.mp4").remarks[-1].endswith("without positions, effects and fonts")
    styled = ffmpeg("-i", tmp_path / "out.mp4", "-map", "0:s:0", "-f", "srt", "-").decode()
    assert "<i>Grüße</i>" in styled and '<font color="#ff0000">red</font>' in styled
    (tmp_path / "plain").mkdir()
    path = with_subtitles(tmp_path / "plain", SRT.replace("{\\an8}", ""), "mkv")
    assert upscaled(path, tmp_path / "plain.mp4").remarks[-1].endswith("cannot hold subrip")


@pytest.mark.parametrize("target", ["mp4", "mkv", "webm"])
def test_lines_that_are_shown_together(tmp_path, target):
    """A track of mp4 shows one sample at a time: both lines are in one as long as both are shown."""
    path = with_subtitles(tmp_path, EVENTS, "mkv")
    upscaled(path, tmp_path / f"out.{target}")
    sign = "a\\hsign" if target == "mkv" else "a\xa0sign"
    if target == "mp4":
        assert texts(tmp_path / "out.mp4") == ["first", f"first\n{sign}", sign]
        times = [(0.1, 0.3), (0.4, 0.4), (0.8, 0.4)]
    else:
        assert [line for line in texts(tmp_path / f"out.{target}") if line != "m 0 0 l 9 9"] == ["first", sign]
        times = [(0.1, 0.7), (0.4, 0.8)] + [(0.5, 0.1)] * (target == "mkv")
    assert shown(tmp_path / f"out.{target}") == [pytest.approx(one) for one in times]


def test_pictures_that_are_subtitles_are_left_out_and_named(tmp_path):
    path = with_subtitles(tmp_path, SRT, "mkv")
    (tmp_path / "s.sup").write_bytes(
        b"".join(
            b"PG" + bytes(8) + bytes([kind]) + len(data).to_bytes(2, "big") + data
            for kind, data in ((0x16, bytes([0, 64, 0, 48, 16, 0, 0, 0x80, 0, 0, 0])), (0x80, b""))
        )
    )
    ffmpeg(
        "-i", path, "-f", "sup", "-i", tmp_path / "s.sup", "-map", "0:v", "-map", "1", "-c", "copy", tmp_path / "p.mkv"
    )
    report = upscaled(tmp_path / "p.mkv", tmp_path / "out.mp4")
    assert [one for one in report.remarks if "hdmv_pgs_subtitle" in one and one.startswith("left out: subtitles")]
