"""What lies in a film beside pictures and sound: subtitles, chapters, time codes, covers. Judge: ffprobe."""

import pytest
from films import film, streams, upscaled
from judges import ffmpeg, ffprobe
from picture_kinds import smooth
from PIL import Image


def subtitles(path):
    """(start, how long it is shown), in seconds, of every subtitle that is not empty."""
    packets = ffprobe(path, "-select_streams", "s", "-show_packets")["packets"]
    return [(float(one["pts_time"]), float(one["duration_time"])) for one in packets if int(one["size"]) > 2]


@pytest.mark.parametrize(("source", "codec", "target"), [("mp4", "mov_text", "mov"), ("mkv", "ass", "mkv")])
def test_subtitles_are_shown_as_long_as_before(tmp_path, source, codec, target):
    """Also where containers count time in other units."""
    text = "1\n00:00:00,100 --> 00:00:00,900\nhello\n\n2\n00:00:01,000 --> 00:00:01,250\nworld\n"
    (tmp_path / "s.srt").write_text(text)
    film(tmp_path / "v.mp4", 1.5)
    ffmpeg("-i", tmp_path / "v.mp4", "-i", tmp_path / "s.srt", "-c:v", "copy", "-c:s", codec, tmp_path / f"in.{source}")
    assert upscaled(tmp_path / f"in.{source}", tmp_path / f"out.{target}").remarks == ()
    before, after = subtitles(tmp_path / f"in.{source}"), subtitles(tmp_path / f"out.{target}")
    assert [time for _, time in before] == pytest.approx([0.8, 0.25], abs=0.002)
    assert sum(after, ()) == pytest.approx(sum(before, ()), abs=0.002)


@pytest.mark.parametrize("suffix", ["mp4", "mov"])
def test_tracks_that_are_made_anew_are_not_called_left_out(tmp_path, suffix):
    """Chapters and time codes of mov and mp4 lie in tracks of their own."""
    chapters = ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1000\ntitle=one\n"
    (tmp_path / "m.txt").write_text(chapters)
    film(tmp_path / "v.mp4")
    described = ("-i", tmp_path / "m.txt", "-map", "0", "-map_metadata", "1", "-map_chapters", "1")
    ffmpeg("-i", tmp_path / "v.mp4", *described, "-c", "copy", tmp_path / f"chapters.{suffix}")
    ffmpeg("-i", tmp_path / "v.mp4", "-c", "copy", "-timecode", "01:02:03:04", tmp_path / f"code.{suffix}")
    for name in ("chapters", "code"):
        source, target = tmp_path / f"{name}.{suffix}", tmp_path / f"{name}_x2.{suffix}"
        assert [one["codec_type"] for one in streams(source)["streams"]] == ["video", "data"]
        assert upscaled(source, target).remarks == ()
        found = streams(target)
        assert [one["codec_type"] for one in found["streams"]] == ["video", "data"]
        if name == "chapters":
            assert [one["tags"]["title"] for one in found["chapters"]] == ["one"]
        else:
            before = streams(source)["streams"][1]["tags"]["timecode"]
            assert before.startswith("01:02:03:") and found["streams"][1]["tags"]["timecode"] == before
    report = upscaled(tmp_path / f"code.{suffix}", tmp_path / "code.mkv")
    assert report.remarks == ("left out: data (eng), as the output's format cannot hold data",)


def test_a_png_cover_of_mkv_stays(tmp_path):
    """No writer of Matroska takes PNG for a film, but it takes covers, which are files."""
    Image.fromarray(smooth()).save(tmp_path / "cover.png")
    film(tmp_path / "v.mkv")
    kind = ("-metadata:s:t", "mimetype=image/png", "-metadata:s:t", "filename=cover.png")
    ffmpeg("-i", tmp_path / "v.mkv", "-c", "copy", "-attach", tmp_path / "cover.png", *kind, tmp_path / "in.mkv")
    assert upscaled(tmp_path / "in.mkv", tmp_path / "out.mkv").remarks == ()
    covers = [one for one in streams(tmp_path / "out.mkv")["streams"] if one["disposition"]["attached_pic"]]
    assert [(one["codec_name"], one["width"], one["height"]) for one in covers] == [("png", 64, 48)]
