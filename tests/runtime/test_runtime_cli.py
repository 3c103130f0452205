"""The command line: what it writes, and what it says and leaves behind when something is wrong."""

import io
import json
import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
import time
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_bundles import write_small_bundle

from sparsr import Upscaler
from sparsr.runtime.cli.main import main
from sparsr.runtime.errors import run_cli
from sparsr.runtime.model.describe import describe_card

ROOT = Path(__file__).resolve().parents[2]


def pixels(height, width, channels=3):
    return np.random.default_rng(height + width).integers(0, 256, (height, width, channels), dtype=np.uint8)


def save(path, array, **options):
    Image.fromarray(array).save(path, **options)
    return path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def runtime(capsys):
    """Runs a command: (exit code, stdout, stderr)."""

    def run(*arguments):
        try:
            code = run_cli(lambda: main([str(argument) for argument in arguments]))
        except SystemExit as error:
            code = error.code
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def upscale(runtime, bundle):
    return lambda source, target, *options: runtime("upscale", source, target, "--model", bundle.path, *options)


def assert_refused(result, words, hint=""):
    """Exit code 2 and nothing but one `error:` line and one `hint:` line."""
    code, out, err = result
    assert (code, out) == (2, "")
    lines = err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["error", "hint"], err
    assert words in lines[0]
    assert hint in lines[1]


# Pictures


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (9, 1), (17, 23)])
def test_a_file(upscale, bundle, tmp_path, size):
    image = pixels(*size)
    code, out, err = upscale(save(tmp_path / "in.png", image), tmp_path / "new" / "out.png")
    assert (code, err) == (0, "")
    assert f"out.png: {2 * size[1]}x{2 * size[0]}" in out
    assert (np.asarray(Image.open(tmp_path / "new" / "out.png")) == Upscaler(bundle)(image)).all()
    assert names(tmp_path / "new") == ["out.png"]


@pytest.mark.parametrize("engine", ["litert", "tflite_runtime"])
def test_engines_agree_and_keep_quiet(bundle, tmp_path, engine):
    image = pixels(9, 8)
    save(tmp_path / "in.png", image)
    arguments = ["upscale", tmp_path / "in.png", tmp_path / "out.png", "--model", bundle.path, "--engine", engine]
    command = [sys.executable, "-m", "runtime", *map(str, arguments)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    difference = np.asarray(Image.open(tmp_path / "out.png")).astype(int) - Upscaler(bundle)(image)
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("suffix", ["jpg", "bmp", "tif", "webp"])
def test_formats(upscale, bundle, tmp_path, suffix):
    image = np.full((6, 5, 3), (200, 100, 50), np.uint8)
    assert upscale(save(tmp_path / "in.png", image), tmp_path / f"out.{suffix}")[0] == 0
    expected = Image.fromarray(Upscaler(bundle)(image))
    if suffix == "jpg":
        expected.save(tmp_path / "expected.jpg", quality=95, subsampling=0)
        expected = Image.open(tmp_path / "expected.jpg")
    assert (np.asarray(Image.open(tmp_path / f"out.{suffix}")) == np.asarray(expected)).all()


def test_grey_stays_grey(upscale, tmp_path):
    assert upscale(save(tmp_path / "in.png", pixels(9, 8)[..., 0]), tmp_path / "out.png")[0] == 0
    result = np.asarray(Image.open(tmp_path / "out.png"))
    assert result.shape == (18, 16)
    coloured = save(tmp_path / "coloured.png", np.dstack([pixels(9, 8)[..., 0]] * 3))
    assert upscale(coloured, tmp_path / "out.png")[0] == 0
    result = np.asarray(Image.open(tmp_path / "out.png"))
    assert result.shape == (18, 16, 3)
    assert (result == result[..., :1]).all()


def test_alpha_is_kept(upscale, tmp_path):
    image = pixels(9, 8, 4)
    image[..., 3] = 77
    assert upscale(save(tmp_path / "in.png", image), tmp_path / "out.png")[0] == 0
    result = np.asarray(Image.open(tmp_path / "out.png"))
    assert result.shape == (18, 16, 4)
    assert (result[..., 3] == 77).all()
    assert_refused(upscale(tmp_path / "in.png", tmp_path / "out.jpg"), "transparency", "png")


def test_palettes(upscale, bundle, tmp_path):
    image = Image.fromarray(pixels(9, 8)).convert("P")
    image.save(tmp_path / "in.png")
    assert upscale(tmp_path / "in.png", tmp_path / "out.png")[0] == 0
    assert (np.asarray(Image.open(tmp_path / "out.png")) == Upscaler(bundle)(np.array(image.convert("RGB")))).all()


def test_exif_orientation(upscale, bundle, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by a quarter clockwise
    image = pixels(9, 14)
    save(tmp_path / "in.tif", image, exif=exif)
    assert upscale(tmp_path / "in.tif", tmp_path / "out.png")[0] == 0
    expected = Upscaler(bundle)(np.ascontiguousarray(np.rot90(image, -1)))
    assert (np.asarray(Image.open(tmp_path / "out.png")) == expected).all()


def test_settings(upscale, tmp_path):
    save(tmp_path / "in.png", pixels(40, 30))
    assert upscale(tmp_path / "in.png", tmp_path / "a.png")[0] == 0
    assert upscale(tmp_path / "in.png", tmp_path / "b.png", "--tile", 16, "--threads", 2, "--max-memory", "2G")[0] == 0
    whole, tiled = (np.asarray(Image.open(tmp_path / name)).astype(int) for name in ("a.png", "b.png"))
    assert np.abs(whole - tiled).max() <= 1


def test_networks_that_see_the_whole_picture_say_so(runtime, whole_picture_bundle, tmp_path):
    save(tmp_path / "in.png", pixels(9, 8))
    arguments = (tmp_path / "in.png", tmp_path / "out.png", "--model", whole_picture_bundle.path)
    code, _, err = runtime("upscale", *arguments)
    assert code == 0
    assert "approximate" in err


# Folders


def test_a_folder(upscale, tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    save(source / "a.png", pixels(5, 4))
    save(source / "b.jpg", pixels(6, 4))
    (source / "notes.txt").write_text("no picture")
    code, out, err = upscale(source, tmp_path / "out")
    assert (code, err) == (0, "")
    assert len(out.splitlines()) == 3
    assert out.splitlines()[-1] == "2 done, 0 skipped, 0 failed; passed over: 1 .txt"
    assert names(tmp_path / "out") == ["a.png", "b.jpg"]


def test_a_bad_picture_does_not_stop_the_others(upscale, tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    for name in ("a.png", "c.png"):
        save(source / name, pixels(5, 4))
    (source / "b.png").write_bytes(b"not a picture")
    code, out, err = upscale(source, tmp_path / "out")
    assert code == 2
    assert out.splitlines()[-1] == "2 done, 0 skipped, 1 failed"
    assert "b.png is not an image" in err
    assert "error: 1 of the files could not be upscaled" in err
    assert names(tmp_path / "out") == ["a.png", "c.png"]


def test_folders_without_pictures_and_files_in_the_way(upscale, tmp_path):
    (tmp_path / "in").mkdir()
    assert_refused(upscale(tmp_path / "in", tmp_path / "out"), "no images")
    save(tmp_path / "in" / "a.png", pixels(5, 4))
    (tmp_path / "file").write_text("mine")
    assert_refused(upscale(tmp_path / "in", tmp_path / "file"), "is a file")
    assert (tmp_path / "file").read_text() == "mine"


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
    ],
)
def test_wrong_options(upscale, tmp_path, options, words, hint):
    save(tmp_path / "in.png", pixels(20, 30))
    assert_refused(upscale(tmp_path / "in.png", tmp_path / "out.png", *options), words, hint)
    assert names(tmp_path) == ["in.png"]


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
    assert_refused(upscale(tmp_path / "in.mp4", tmp_path / "out.png"), "video format", ".mp4")
    assert_refused(upscale(tmp_path / "in.mp4", tmp_path / "out.mp4"), "in.mp4")
    assert names(tmp_path) == ["folder", "in.mp4", "in.png"]


def test_unwritable_outputs(upscale, tmp_path):
    save(tmp_path / "in.png", pixels(4, 4))
    (tmp_path / "file").write_text("mine")
    assert_refused(upscale(tmp_path / "in.png", tmp_path / "file" / "out.png"), "file", "choose another path")
    assert_refused(upscale(tmp_path / "in.png", tmp_path / "file" / "a" / "out.png"), "file", "choose another path")
    if os.geteuid():  # root writes anywhere
        (tmp_path / "closed").mkdir(mode=0o500)
        assert_refused(upscale(tmp_path / "in.png", tmp_path / "closed" / "out.png"), "ermission", "may write")


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interruptions_leave_nothing(bundle, tmp_path, number):
    source = save(tmp_path / "in.png", pixels(1500, 1500))
    (tmp_path / "out").mkdir()
    arguments = ["upscale", source, tmp_path / "out" / "out.png", "--model", bundle.path, "--tile", "8"]
    command = [sys.executable, "-m", "runtime", *map(str, arguments)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not names(tmp_path / "out") and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert names(tmp_path / "out") != [], "it never began to write"
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "error: interrupted"
    assert names(tmp_path / "out") == []


# Bundles


def test_info(runtime, bundle):
    code, out, err = runtime("info", bundle.path)
    assert (code, err) == (0, "")
    told = {line.split(":")[0]: line.split(":", 1)[1].strip() for line in out.splitlines()}
    assert told["parameters"].startswith(f"{bundle.card.parameters:,}")
    assert told["tiles"] == "exact with 7 pixels around"
    assert told["onnx file"].startswith("model.onnx")
    code, out, _ = runtime("info", bundle.path, "--json")
    assert code == 0
    assert json.loads(out) == json.loads((bundle.path / "card.json").read_text())


def test_info_compares_sparse_files_with_the_dense_weights(bundle):
    file = replace(bundle.card.files[0], bytes=bundle.card.parameters)
    card = replace(bundle.card, nonzero=0.125, files=(file,))
    assert "MB (25% of the dense weights)" in describe_card(card)
    assert "dense weights" not in describe_card(bundle.card)


def test_missing_and_damaged_bundles(runtime, bundle_copy, tmp_path):
    save(tmp_path / "in.png", pixels(4, 4))
    paths = (tmp_path / "in.png", tmp_path / "out.png", "--model")
    assert_refused(runtime("upscale", *paths, tmp_path / "nowhere"), "does not exist", "sparsr export")
    assert_refused(runtime("info", tmp_path), "not a bundle", "sparsr export")
    model = bundle_copy / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"?")
    refused = runtime("upscale", *paths, bundle_copy, "--engine", "ort")
    assert_refused(refused, "sha256", "export the bundle again")
    assert_refused(runtime("info", bundle_copy), "sha256")
    (bundle_copy / "card.json").write_text("{")
    assert_refused(runtime("info", bundle_copy), "not a valid card")
    assert names(tmp_path) == ["copy", "in.png"]


# Masks


def test_masks_are_told(runtime, tmp_path):
    smsr = write_small_bundle(tmp_path / "smsr", "smsr", channels=12, blocks=2)
    save(tmp_path / "in.png", pixels(9, 8))
    arguments = ["upscale", tmp_path / "in.png", tmp_path / "out.png", "--model", smsr.path, "--masks"]
    code, out, _ = runtime(*arguments, "--engine", "native")
    assert code == 0
    assert [line.split(":")[0] for line in out.splitlines()[1:]] == ["body.0.body", "body.1.body"]
    assert all(0 <= float(line.split()[1]) <= 100 for line in out.splitlines()[1:])
    assert_refused(runtime(*arguments, "--engine", "ort"), "only the native engine counts", "--engine native")


def test_masks_of_a_network_without_any(upscale, tmp_path):
    result = upscale(save(tmp_path / "in.png", pixels(9, 8)), tmp_path / "out.png", "--engine", "native", "--masks")
    assert_refused(result, "has no masks", "leave out")
