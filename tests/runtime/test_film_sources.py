"""Films as cameras, recorders and broken transfers leave them. Judges: ffprobe and ffmpeg."""

import numpy as np
import pytest
from films import PATTERN, decoded, film, lavfi, streams, times, upscaled
from judges import ffmpeg

from sparsr.runtime.errors import SparsrError

RAW = {"h264": "libx264", "264": "libx264", "hevc": "libx265", "m2v": "mpeg2video", "ivf": "libvpx-vp9"}
RAW["mjpeg"] = "mjpeg"


@pytest.mark.parametrize("suffix", RAW)
def test_streams_without_a_container_are_read(tmp_path, suffix):
    kind = ("-f", "h264") if suffix == "264" else ()
    brighter = "nullsrc=s=64x48:r=25:d=0.4,format=yuv420p,geq=lum='30+18*N':cb=128:cr=128"
    source = lavfi(tmp_path / f"in.{suffix}", brighter, options=("-c:v", RAW[suffix], *kind))
    upscaled(source, tmp_path / "out.mp4")
    before, after = (decoded(path, 64, 48).mean(axis=(1, 2, 3)) for path in (source, tmp_path / "out.mp4"))
    assert len(after) == 10
    np.testing.assert_allclose(after, before, atol=3)
    np.testing.assert_allclose(np.diff(times(tmp_path / "out.mp4")), 0.04, atol=0.002)


def test_frames_that_change_their_size_are_brought_to_that_of_the_first(tmp_path):
    """As in recordings of a browser, and as ffmpeg does."""
    for name, size in (("a", "64x48"), ("b", "128x96")):
        picture = f"color=red:s={size}:r=10:d=0.5"
        lavfi(tmp_path / f"{name}.ts", picture, options=("-c:v", "libx264", "-pix_fmt", "yuv420p"))
    (tmp_path / "in.ts").write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    report = upscaled(tmp_path / "in.ts", tmp_path / "out.mp4")
    assert report.frames == 10 and "change their size midway" in report.remarks[0]
    found = decoded(tmp_path / "out.mp4", 64, 48).astype(int)
    assert len(found) == 10 and np.abs(found - (254, 0, 0)).max() < 6


def test_frames_larger_than_the_header_says_are_refused(tmp_path):
    """The limit of pixels is one of frames."""
    from picture_kinds import Doubling

    from sparsr.runtime.upscale.film_files import upscale_video

    for name, size in (("a", "64x48"), ("b", "256x192")):
        lavfi(tmp_path / f"{name}.ts", f"color=red:s={size}:r=10:d=0.3", options=("-c:v", "libx264"))
    (tmp_path / "in.ts").write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    with pytest.raises(SparsrError, match="256x192"):
        upscale_video(tmp_path / "in.ts", tmp_path / "out.mp4", Doubling(), 64 * 48)
    assert not (tmp_path / "out.mp4").exists()


def test_what_comes_before_the_end_of_a_torn_file_is_kept(tmp_path):
    """A phone that went out: every frame that ffmpeg gives, whatever threads decode."""
    source = film(tmp_path / "in.mp4", 1, ("-movflags", "frag_keyframe+empty_moov", "-g", "3"))
    content = source.read_bytes()
    source.write_bytes(content[: len(content) * 2 // 3])
    report = upscaled(source, tmp_path / "out.mp4")
    assert report.frames == len(decoded(source, 64, 48)) > 3
    assert any("damaged" in remark or "breaks off" in remark for remark in report.remarks)


def test_avi_keeps_the_places_of_frames_that_a_recorder_dropped(tmp_path):
    dropped = ("-vf", "select='not(eq(n,3)+eq(n,4))'", "-vsync", "vfr", "-c:v", "mjpeg")
    source = lavfi(tmp_path / "in.avi", PATTERN.format(1), options=dropped)
    upscaled(source, tmp_path / "out.mkv")
    assert times(tmp_path / "out.mkv") == pytest.approx([0, 0.1, 0.2, 0.5, 0.6, 0.7, 0.8, 0.9])


def test_tapes_of_digital_video(tmp_path):
    """Whose reader says that there are 60,000 frames a second."""
    picture = "testsrc2=s=720x576:r=25:d=0.2"
    source = lavfi(tmp_path / "in.dv", picture, options=("-c:v", "dvvideo", "-pix_fmt", "yuv420p"))
    upscaled(source, tmp_path / "out.mp4")
    video = streams(tmp_path / "out.mp4")["streams"][0]
    assert (video["width"], video["nb_frames"], video["sample_aspect_ratio"]) == (1440, "5", "16:15")
    assert video["avg_frame_rate"] == "25/1"


def test_video_that_nobody_knows_is_called_so(tmp_path):
    source = lavfi(tmp_path / "in.avi", PATTERN.format(0.2), options=("-c:v", "mpeg4", "-vtag", "XVID"))
    content = source.read_bytes().replace(b"XVID", b"QQQQ")
    source.write_bytes(content)
    with pytest.raises(SparsrError, match="FFmpeg does not know"):
        upscaled(source, tmp_path / "out.mp4")


def test_how_two_views_lie_in_the_picture_is_kept_by_mkv_alone(tmp_path):
    source = film(tmp_path / "in.mkv", 0.2, ("-metadata:s:v", "stereo_mode=left_right"))
    assert upscaled(source, tmp_path / "out.mkv").remarks == ()
    assert streams(tmp_path / "out.mkv")["streams"][0]["side_data_list"][0]["type"] == "side by side"
    assert "two views" in upscaled(source, tmp_path / "out.mp4").remarks[0]


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
def test_what_a_phone_says_of_a_film_is_kept(tmp_path, suffix):
    said = {"com.apple.quicktime.make": "Apple", "com.apple.quicktime.model": "a phone", "title": "Holiday"}
    options = [part for key, value in said.items() for part in ("-metadata", f"{key}={value}")]
    source = film(tmp_path / "in.mov", 0.2, ("-movflags", "use_metadata_tags", *options))
    assert upscaled(source, tmp_path / f"out.{suffix}").remarks == ()
    found = {key.lower(): value for key, value in streams(tmp_path / f"out.{suffix}")["format"]["tags"].items()}
    assert found.items() >= said.items()


def test_tags_without_a_place_are_named(tmp_path):
    source = film(tmp_path / "in.mkv", 0.2, ("-metadata", "MOOD=merry", "-metadata", "title=Holiday"))
    (remark,) = upscaled(source, tmp_path / "out.mp4").remarks
    assert remark.endswith(": MOOD")
    assert upscaled(source, tmp_path / "out.mkv").remarks == ()


@pytest.mark.parametrize("codec", ["libaom-av1", "ffv1", "libvpx-vp9"])
def test_further_videos_are_copied_whatever_encodes_them(tmp_path, codec):
    film(tmp_path / "v.mp4", 0.3)
    lavfi(tmp_path / "w.mkv", PATTERN.format(0.3), options=("-c:v", codec, "-cpu-used", "8"))
    both = ("-i", tmp_path / "v.mp4", "-i", tmp_path / "w.mkv", "-map", "0", "-map", "1")
    ffmpeg(*both, "-c", "copy", tmp_path / "in.mkv")
    assert upscaled(tmp_path / "in.mkv", tmp_path / "out.mkv").remarks == ()
    kinds = [one["codec_name"] for one in streams(tmp_path / "out.mkv")["streams"]]
    assert kinds == ["h264", {"libaom-av1": "av1", "libvpx-vp9": "vp9"}.get(codec, codec)]
