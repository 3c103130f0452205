"""The command line: what it says and leaves behind when something is wrong."""

import io
import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
import time
import zlib
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from tests.runtime.command_line import assert_refused, names, pixels, save

ROOT = Path(__file__).resolve().parents[2]


# Wrong use and bad input


def png_of_size(width, height):
    """A PNG file that announces that many pixels and holds a few."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100)))


def whole_png():
    file = io.BytesIO()
    Image.fromarray(pixels(50, 40)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "does not exist"),
        (b"", "empty (0 bytes)"),
        (b"text", "not an image"),
        (png_of_size(30, 20), "damaged"),
        (whole_png()[:2000], "damaged"),
        (png_of_size(60_000, 50_000), "more than the 100 million pixels"),
    ],
    ids=["missing", "empty", "text", "few pixels", "cut", "bomb"],
)
def test_bad_pictures(upscale, tmp_path, content, words):
    if content is not None:
        (tmp_path / "in.png").write_bytes(content)
    before = names(tmp_path)
    assert_refused(upscale(tmp_path / "in.png", tmp_path / "out.png"), words)
    assert names(tmp_path) == before


def test_the_cap_on_pixels_is_an_option(upscale, tmp_path):
    save(tmp_path / "in.png", pixels(20, 30))
    assert_refused(upscale(tmp_path / "in.png", tmp_path / "out.png", "--max-pixels", "0.0005"), "30x20")
    assert upscale(tmp_path / "in.png", tmp_path / "out.png", "--max-pixels", "0.0006")[0] == 0


@pytest.mark.parametrize(
    ("options", "words", "hint"),
    [
        (("--engine", "orf"), "no engine 'orf'", "did you mean ort?"),
        (("--threads", 0), "0 threads", "1 to"),
        (("--tile", 0), "tiles of 0", "1 or more"),
        (("--max-memory", "much"), "'much' is not", "512M"),
        (("--max-memory", "1M"), "too few", "at least"),
        (("--suffix", "/../x"), "the suffix /../x holds a path", "after the names"),
        (("--max-memory", "10"), "10B of memory are too few", "at least"),
    ],
)
def test_wrong_options(upscale, tmp_path, options, words, hint):
    save(tmp_path / "in.png", pixels(20, 30))
    assert_refused(upscale(tmp_path / "in.png", tmp_path / "out.png", *options), words, hint)
    assert names(tmp_path) == ["in.png"]


def test_the_limit_that_would_let_a_picture_pass_is_named_and_does(upscale, tmp_path):
    source, target = save(tmp_path / "in.png", pixels(50, 40)), tmp_path / "out.png"
    assert_refused(upscale(source, target, "--max-pixels=0.001"), "the 0.001 million pixels", "--max-pixels 1")
    assert upscale(source, target, "--max-pixels=1")[0] == 0


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "0", "many"])
def test_impossible_numbers_of_pixels(upscale, tmp_path, value):
    code, _, err = upscale(save(tmp_path / "in.png", pixels(4, 4)), tmp_path / "out.png", f"--max-pixels={value}")
    assert code == 2
    assert f"invalid millions value: '{value}'" in err


@pytest.mark.parametrize(("target", "words"), [("in.png", "input itself"), ("out.heic", "format"), ("out", "format")])
def test_wrong_outputs(upscale, tmp_path, target, words):
    save(tmp_path / "in.png", pixels(4, 4))
    before = (tmp_path / "in.png").read_bytes()
    assert_refused(upscale(tmp_path / "in.png", tmp_path / target), words)
    assert (tmp_path / "in.png").read_bytes() == before
    assert names(tmp_path) == ["in.png"]


def test_outputs_that_are_folders_or_no_video(upscale, tmp_path):
    save(tmp_path / "in.png", pixels(4, 4))
    (tmp_path / "in.mp4").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    assert_refused(upscale(tmp_path / "in.png", tmp_path / "folder"), "is a folder", "folder/in.png")
    assert_refused(upscale(tmp_path / "in.mp4", tmp_path / "out.txt"), "video format", ".mp4")
    assert_refused(upscale(tmp_path / "in.mp4", tmp_path / "out.gif"), "is a film", "ffmpeg -i")
    save(tmp_path / "in.gif", pixels(9, 8))
    assert_refused(upscale(tmp_path / "in.gif", tmp_path / "out.mp4"), "a picture or an animation", "ffmpeg -i")
    assert_refused(upscale(tmp_path / "in.mp4", tmp_path / "out.mp4"), "in.mp4")
    assert names(tmp_path) == ["folder", "in.gif", "in.mp4", "in.png"]


def test_formats_and_suffixes_beside_a_name(runtime, upscale, bundle, tmp_path):
    """The name of a result says its format; options that say another are refused, those that agree are not."""
    source = save(tmp_path / "in.png", pixels(9, 8))

    def unnamed(*options):
        return runtime("upscale", source, "--model", bundle.path, *options)

    assert_refused(upscale(source, tmp_path / "a.png", "--format", "jpg"), "a.png is no jpg", "a.jpg")
    assert_refused(upscale(source, tmp_path / "a.png", "--format", "mp4"), "a.png is no mp4", "leave out")
    assert_refused(unnamed("--format", "mp4"), "in_x2.png is no mp4", "leave out")
    assert_refused(upscale(source, tmp_path / "a.png", "--suffix", "_b"), "--suffix", "leave out one")
    assert_refused(unnamed("--format", "mp4", "--format", "mkv"), "one format", "at most one")
    assert names(tmp_path) == ["in.png"]
    assert upscale(source, tmp_path / "a.jpeg", "--format", "jpg", "--format", "mp4")[0] == 0
    assert unnamed("--format", "tif", "--suffix", "_b")[0] == 0
    assert names(tmp_path) == ["a.jpeg", "in.png", "in_b.tif"]


def test_unwritable_outputs(upscale, tmp_path):
    save(tmp_path / "in.png", pixels(4, 4))
    (tmp_path / "file").write_text("mine")
    assert_refused(upscale(tmp_path / "in.png", tmp_path / "file" / "out.png"), "is a file", "not below a file")
    assert_refused(upscale(tmp_path / "in.png", tmp_path / "file" / "a" / "out.png"), "is a file", "not below a file")
    if os.geteuid():  # root writes anywhere
        (tmp_path / "closed").mkdir(mode=0o500)
        assert_refused(upscale(tmp_path / "in.png", tmp_path / "closed" / "out.png"), "read-only", "another folder")


# Full disks and interruptions


@pytest.fixture
def small_disk(tmp_path):
    """A file system with room for 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if (
        os.geteuid()
        or not shutil.which("mount")
        or subprocess.run(command, capture_output=True, check=False).returncode
    ):
        pytest.skip("mounting takes root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def make_source(folder, suffix):
    """Noise, whose result takes some 200 KiB in every format."""
    if suffix != ".mp4":
        return save(folder / "in.png", pixels(140, 140))
    av = pytest.importorskip("av")
    with av.open(str(folder / "in.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 140, 140, "yuv420p"
        for number in range(4):
            frame = av.VideoFrame.from_ndarray(pixels(140 + number, 140)[:140], format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return folder / "in.mp4"


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".mp4"])
def test_a_full_disk(upscale, small_disk, tmp_path, suffix):
    source = make_source(tmp_path, suffix)
    assert_refused(upscale(source, small_disk / f"out{suffix}"), "No space left", "free some space")
    assert names(small_disk) == []


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".mp4"])
def test_a_limit_on_file_sizes(upscale, tmp_path, suffix):
    source = make_source(tmp_path, suffix)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        # The native engine's rings are files to the system, so this limit is one of its memory too.
        result = upscale(source, tmp_path / f"out{suffix}", "--engine", "ort")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert_refused(result, "File too large")
    assert names(tmp_path) == [source.name]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interruptions_leave_nothing(bundle, tmp_path, number):
    source = save(tmp_path / "in.png", pixels(1500, 1500))
    (tmp_path / "out").mkdir()
    arguments = ["upscale", source, tmp_path / "out" / "out.png", "--model", bundle.path, "--tile", "8"]
    command = [sys.executable, "-m", "runtime", *map(str, arguments)]
    # Whoever runs the tests in the background may have them ignore signals, and children inherit that.
    heard = partial(signal.signal, number, signal.SIG_DFL)
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, preexec_fn=heard)
    deadline = time.monotonic() + 120
    while not names(tmp_path / "out") and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert names(tmp_path / "out") != [], "it never began to write"
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err  # what swallowed the interruption stands there
    assert err.splitlines()[-1] == "error: interrupted"
    assert names(tmp_path / "out") == []
