"""Films as tests hand them in, and what FFmpeg says of them."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest
from judges import ffmpeg, ffprobe
from picture_kinds import Doubling

from sparsr.runtime.upscale.film_files import upscale_video

PATTERN = "testsrc2=s=64x48:r=10:d={}"


def lavfi(path, *inputs, options=()):
    """A film of FFmpeg's test sources."""
    try:
        ffmpeg(*(part for one in inputs for part in ("-f", "lavfi", "-i", one)), *options, path)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this FFmpeg cannot write it: {error.stderr.decode()[:80]}")
    return path


def film(path, seconds=1, options=()):
    return lavfi(path, PATTERN.format(seconds), options=("-c:v", "libx264", *options))


def upscaled(source, target):
    return upscale_video(source, target, Doubling(), 10**8, "ultrafast")


def decoded(path, width, height, *options):
    """Frames as FFmpeg shows them, turned, brought to that size: uint8 [n, height, width, 3]."""
    scale = f"scale={width}:{height}:flags=area,format=rgb24"
    raw = ffmpeg(*options, "-i", path, "-vsync", "0", "-vf", scale, "-f", "rawvideo", "-")
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)


def times(path):
    found = ffprobe(path, "-select_streams", "v:0", "-show_entries", "frame=best_effort_timestamp_time")
    return [float(frame["best_effort_timestamp_time"]) for frame in found["frames"]]


def streams(path):
    return ffprobe(path, "-show_streams", "-show_chapters", "-show_format")
