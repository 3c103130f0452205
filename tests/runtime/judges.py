"""Independent tools that judge what was written; a test that needs one that is not installed is skipped."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest


def run(name: str, *arguments: str | Path) -> bytes:
    paths = {"convert": "/usr/bin/convert", "identify": "/usr/bin/identify"}  # others may go by these names
    program = paths.get(name) or shutil.which(name)
    if not program or not Path(program).exists():
        pytest.skip(f"{name} is not installed")
    return subprocess.run([program, *map(str, arguments)], check=True, capture_output=True).stdout


def exiftool(path: Path) -> dict[str, Any]:
    """Tags by `Group:Name`, numbers as numbers."""
    tags: dict[str, Any] = json.loads(run("exiftool", "-j", "-n", "-G1", path))[0]
    return tags


def imagemagick(path: Path, *options: str, channels: str = "rgb") -> np.ndarray:
    """The pixels ImageMagick reads, as uint16 [height, width, channels]."""
    width, height = map(int, run("identify", "-format", "%w %h\n", f"{path}[0]").split()[:2])
    raw = run("convert", f"{path}[0]", *options, "-depth", "16", "-endian", "LSB", f"{channels}:-")
    return np.frombuffer(raw, "<u2").reshape(height, width, -1)


def imagemagick_frames(path: Path) -> list[np.ndarray]:
    """The frames of an animation as ImageMagick puts them together, uint8 [height, width, 4]."""
    width, height = map(int, run("identify", "-format", "%W %H\n", f"{path}[0]").split()[:2])
    raw = run("convert", path, "-coalesce", "-alpha", "set", "-depth", "8", "rgba:-")
    return [*np.frombuffer(raw, np.uint8).reshape(-1, height, width, 4)]


def identify(path: Path, what: str) -> list[str]:
    """A line of ImageMagick's for every picture in the file, such as `%w %T`."""
    return run("identify", "-format", what + "\n", path).decode().splitlines()


def ffprobe(path: Path, *options: str) -> dict[str, Any]:
    """What ffprobe tells of a file."""
    found: dict[str, Any] = json.loads(run("ffprobe", "-v", "error", "-of", "json", *options, path))
    return found


def ffmpeg(*arguments: str | Path) -> bytes:
    """Run FFmpeg; what it writes to its output."""
    return run("ffmpeg", "-hide_banner", "-loglevel", "error", "-y", *arguments)


def pngcheck(path: Path) -> str:
    """What libpng's checker says; it fails on a file that is not as the standard has it."""
    return run("pngcheck", "-v", path).decode()
