"""What lies in a film beside pictures, sound and subtitles: chapters, time codes, covers, names. Judge: ffprobe."""

import pytest
from films import PATTERN, film, lavfi, streams, upscaled
from judges import ffmpeg
from picture_kinds import smooth
from PIL import Image


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


@pytest.mark.parametrize(("target", "tag"), [("mp4", "handler_name"), ("mov", "handler_name"), ("mkv", "title")])
@pytest.mark.parametrize(("source", "given"), [("mp4", "handler_name"), ("mkv", "title")])
def test_a_track_keeps_the_name_it_was_given(tmp_path, source, given, target, tag):
    """mov and mp4 have it where programs say what they are, which is no name."""
    sounds = ("-map", "0", "-map", "1", "-map", "1", "-c:v", "libx264", "-metadata:s:a:0", f"{given}=The director")
    lavfi(tmp_path / f"in.{source}", PATTERN.format(0.5), "sine=d=0.5", options=sounds)
    upscaled(tmp_path / f"in.{source}", tmp_path / f"out.{target}")
    tracks = streams(tmp_path / f"out.{target}")["streams"]
    assert [one["codec_type"] for one in tracks] == ["video", "audio", "audio"]
    names = [one["tags"].get(tag) for one in tracks]
    assert names[1] == "The director" and names[2] in (None, "SoundHandler") and names[0] in (None, "VideoHandler")
