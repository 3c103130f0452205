"""Folders, names and reports: one file never ends a batch, and nothing is passed over without a word."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from picture_kinds import jpeg, noise, png, smooth
from PIL import Image

from sparsr import Upscaler
from sparsr.runtime.cli.main import main
from sparsr.runtime.errors import run_cli
from sparsr.runtime.files import remove_stale, write_text

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def upscale(capsys, bundle):
    """Runs the command: (exit code, stdout, stderr)."""

    def run(*arguments):
        try:
            code = run_cli(lambda: main(["upscale", *map(str, arguments), "--model", str(bundle.path)]))
        except SystemExit as error:
            code = error.code
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def folder(tmp_path):
    source = tmp_path / "in"
    (source / "sub").mkdir(parents=True)
    image = Image.fromarray(smooth(12, 16))
    for name in ("a.png", "b.jfif", "c.gif", "sub/deep.webp"):
        image.save(source / name, "JPEG" if name.endswith("jfif") else None)
    (source / "notes.txt").write_text("no picture")
    (source / ".hidden.png").write_text("")
    (source / "broken.png").symlink_to(tmp_path / "absent")
    return source


def results(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_what_is_taken_and_what_is_named(upscale, folder, tmp_path):
    code, out, err = upscale(folder, tmp_path / "out")
    assert (code, err) == (0, "")
    assert results(tmp_path / "out") == ["a.png", "b.jfif", "c.gif"]
    last = out.splitlines()[-1]
    assert last == (
        "3 done, 0 skipped, 0 failed; passed over: 1 .txt, 1 broken links, 1 sub-folders (--recursive takes them)"
    )


def test_sub_folders_formats_and_suffixes(upscale, folder, tmp_path):
    code, _, _ = upscale(folder, tmp_path / "out", "--recursive", "--format", "png", "--suffix", "_big")
    assert code == 0
    assert results(tmp_path / "out") == [
        "a_big.png",
        "b_big.png",
        "c_big.png",
        "sub/deep_big.webp".replace("webp", "png"),
    ]


def test_results_inside_the_source_are_no_sources(upscale, folder):
    for again in ((), ("--overwrite",)):
        assert upscale(folder, folder / "out", "--recursive", *again)[0] == 0
    assert results(folder / "out") == ["a.png", "b.jfif", "c.gif", "sub/deep.webp"]
    assert upscale(folder, folder, "--recursive")[0] == 2


def test_skip_existing(upscale, folder, tmp_path):
    upscale(folder, tmp_path / "out")
    (tmp_path / "out/a.png").unlink()
    before = (tmp_path / "out/c.gif").stat().st_mtime_ns
    code, out, _ = upscale(folder, tmp_path / "out", "--skip-existing")
    assert code == 0 and out.splitlines()[-1].startswith("1 done, 2 skipped, 0 failed")
    assert (tmp_path / "out/c.gif").stat().st_mtime_ns == before


def test_what_is_there_is_replaced_only_if_that_is_asked(upscale, folder, tmp_path):
    upscale(folder, tmp_path / "out")
    (tmp_path / "out/a.png").write_bytes(b"mine")
    (tmp_path / "out/c.gif").unlink()
    code, out, err = upscale(folder, tmp_path / "out")
    assert code == 2 and "1 done, 0 skipped, 2 failed" in out
    assert "a.png exists already" in err and "--overwrite" in err and "--skip-existing" in err
    assert err.count("leaves it out") == 1  # not once for each of a thousand
    assert (tmp_path / "out/a.png").read_bytes() == b"mine"
    assert upscale(folder, tmp_path / "out", "--overwrite")[0] == 0
    assert Image.open(tmp_path / "out/a.png").size > (8, 8)


def test_a_report_for_machines(upscale, folder, tmp_path):
    (folder / "bad.png").write_text("nothing")
    code, out, err = upscale(folder, tmp_path / "out", "--json")
    assert code == 2
    report = json.loads(out)
    assert report["done"] == 3 and report["skipped"] == []
    assert [failure["source"] for failure in report["failed"]] == [str(folder / "bad.png")]
    assert "not an image" in report["failed"][0]["reason"] and "error: 1 of the files" in err


def test_two_files_of_one_name(upscale, tmp_path):
    """Phones and cameras store a picture twice: the one whose ending changes keeps it in its name."""
    (tmp_path / "in/sub").mkdir(parents=True)
    for name in ("a.png", "a.bmp", "b.ico", "b.pcx", "c.bmp", "sub/a.bmp"):
        Image.fromarray(smooth(16, 16)).save(tmp_path / "in" / name)
    code, out, err = upscale(tmp_path / "in", tmp_path / "out", "--format", "png", "--suffix", "_x2", "--recursive")
    assert (code, err) == (0, "") and out.splitlines()[-1].startswith("6 done, 0 skipped, 0 failed")
    names = ["a.bmp_x2.png", "a_x2.png", "b.ico_x2.png", "b.pcx_x2.png", "c_x2.png", "sub/a_x2.png"]
    assert results(tmp_path / "out") == names
    code, out, _ = upscale(
        tmp_path / "in", tmp_path / "out", "--format", "png", "--suffix", "_x2", "--recursive", "--skip-existing"
    )
    assert code == 0 and out.splitlines()[-1].startswith("0 done, 6 skipped")


def test_what_its_own_format_cannot_hold_becomes_a_png(upscale, tmp_path):
    (tmp_path / "in").mkdir()
    Image.fromarray(noise(1, 9000)).save(tmp_path / "in/wide.webp", lossless=True)
    assert upscale(tmp_path / "in", tmp_path / "out")[0] == 0
    assert results(tmp_path / "out") == ["wide.png"]


def test_remarks_are_in_the_report(upscale, tmp_path):
    (tmp_path / "in").mkdir()
    Image.fromarray(smooth(8, 8)).convert("CMYK").save(tmp_path / "in/a.tif")
    code, out, err = upscale(tmp_path / "in", tmp_path / "out", "--json")
    (remarks,) = json.loads(out)["remarks"].values()
    assert code == 0 and "CMYK" in remarks[0] and f"note: {remarks[0]}" in err


def test_a_png_in_place_of_another_format_is_not_that_of_a_png(upscale, tmp_path):
    """Also where a WebP that is too wide becomes a PNG, whose name another file has."""
    (tmp_path / "in").mkdir()
    Image.fromarray(noise(1, 9000)).save(tmp_path / "in/wide.webp", lossless=True)
    Image.fromarray(smooth(8, 8)).save(tmp_path / "in/wide.png")
    for options, words in ((), "2 done, 0 skipped"), (("--skip-existing",), "0 done, 2 skipped"):
        code, out, _ = upscale(tmp_path / "in", tmp_path / "out", *options)
        assert code == 0 and words in out
    assert results(tmp_path / "out") == ["wide.png", "wide.webp.png"]


def test_folders_that_are_links_are_counted_and_not_followed(upscale, tmp_path):
    (tmp_path / "in").mkdir()
    Image.fromarray(smooth(8, 8)).save(tmp_path / "in/a.png")
    (tmp_path / "in/loop").symlink_to(tmp_path / "in")
    code, out, _ = upscale(tmp_path / "in", tmp_path / "out", "--recursive")
    assert code == 0 and out.splitlines()[-1] == "1 done, 0 skipped, 0 failed; passed over: 1 links to folders"


def test_a_folder_that_may_not_be_read_is_a_failure(upscale, tmp_path, monkeypatch):
    (tmp_path / "in/closed").mkdir(parents=True)
    Image.fromarray(smooth(8, 8)).save(tmp_path / "in/a.png")
    real = os.scandir

    def refuse(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    code, out, err = upscale(tmp_path / "in", tmp_path / "out", "--recursive")
    assert code == 2 and "1 done, 0 skipped, 1 failed" in out and "in/closed" in err


LONG, JAPANESE, LATIN = b"b" * 251 + b".png", "日".encode() * 81 + b".png", b"caf\xe9.png"


@pytest.mark.parametrize("name", [LONG, JAPANESE, LATIN])
def test_any_name_the_file_system_takes(bundle, tmp_path, name):
    source, target = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for one in (b"a.png", name, b"z.png"):
        with open(os.fsencode(source) + b"/" + one, "wb") as file:  # noqa: PTH123 - a name of bytes
            Image.fromarray(smooth(8, 8)).save(file, "PNG")
    command = [sys.executable, "-m", "runtime", "upscale", source, target, "--model", bundle.path]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii:strict"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert sorted(os.listdir(os.fsencode(target))) == sorted([b"a.png", name, b"z.png"])  # noqa: PTH208


def test_a_file_that_may_not_be_read_is_one_failure(upscale, folder, tmp_path, monkeypatch):
    real = Path.open

    def refuse(path, *arguments, **options):
        if path.name == "a.png" and path.parent == folder:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    code, out, err = upscale(folder, tmp_path / "out")
    assert code == 2 and out.splitlines()[-1].startswith("2 done, 0 skipped, 1 failed")
    assert "Permission denied" in err and results(tmp_path / "out") == ["b.jfif", "c.gif"]


def test_what_a_killed_run_left_is_removed(upscale, folder, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    host = f"{zlib.crc32(socket.gethostname().encode()):08x}"
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    stale = out / f".sparsr-{host}-{gone.pid}-0123abcd.tmp.png"
    others = [
        out / f".sparsr-{host}-{os.getpid()}-0123abcd.tmp.png",  # of a run that goes on
        out / f".sparsr-00000000-{gone.pid}-0123abcd.tmp.png",  # of another machine
        out / ".sparsr-notes.tmp",
    ]
    for path in (stale, *others):
        path.write_text("half")
    assert upscale(folder, out)[0] == 0
    assert not stale.exists() and all(path.exists() for path in others)
    assert remove_stale(out) == [] and remove_stale(tmp_path / "missing") == []


def test_an_output_that_is_a_link_stays_one(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]


def piped(bundle, content, *arguments):
    command = [sys.executable, "-m", "runtime", "upscale", *arguments, "--model", bundle.path]
    return subprocess.run(command, cwd=ROOT, input=content, capture_output=True, check=False)


def test_standard_input_and_output(bundle, upscale, tmp_path):
    source = tmp_path / "a.png"
    Image.fromarray(noise(9, 8)).save(source)
    upscale(source, tmp_path / "b.png")
    done = piped(bundle, source.read_bytes(), "-", "-")
    assert done.returncode == 0 and done.stdout == (tmp_path / "b.png").read_bytes()
    assert b"16x18" in done.stderr
    done = piped(bundle, jpeg(smooth()), "-", tmp_path / "c.tif")
    assert done.returncode == 0 and np.asarray(Image.open(tmp_path / "c.tif")).shape == (96, 128, 3)
    done = piped(bundle, b"", source, "-", "--format", "jpg")
    assert done.stdout[:2] == b"\xff\xd8"
    done = piped(bundle, b"nothing", "-", "-")
    assert (done.returncode, done.stdout) == (2, b"") and b"not an image" in done.stderr
    (tmp_path / "c.tif").write_bytes(b"mine")
    done = piped(bundle, source.read_bytes(), "-", tmp_path / "c.tif")
    assert done.returncode == 2 and b"c.tif exists already" in done.stderr
    assert (tmp_path / "c.tif").read_bytes() == b"mine"
    assert piped(bundle, source.read_bytes(), "-", tmp_path / "c.tif", "--overwrite").returncode == 0
    os.mkfifo(tmp_path / "pipe")
    done = piped(bundle, b"", tmp_path / "pipe")
    assert done.returncode == 2 and done.stderr.endswith(b"no result can lie\nhint: name the output\n")
    done = piped(bundle, source.read_bytes(), "-", "-", "--format", "mp4", "--format", "gif")
    assert done.returncode == 0 and done.stdout[:4] == b"GIF8"
    done = piped(bundle, source.read_bytes(), "-", "--format", "mp4")
    assert done.returncode == 2 and done.stderr.startswith(b"error: standard output takes no mp4\nhint: ")
    done = piped(bundle, b"\0\0\0\x18ftypisom", "-", "-")
    assert done.returncode == 2 and b"but a film" in done.stderr and b"--raw" in done.stderr


def test_standard_input_is_called_so(bundle, upscale, tmp_path):
    """Its truncated pictures too, in the words that files get."""
    whole = png(noise(40, 30))
    for content, words in (
        (b"", "is empty"),
        (b"nothing", "is not an image"),
        (whole[:8], "header is broken"),
        (whole[:20], "is damaged or cut short"),
        (whole[: len(whole) // 2], "is damaged or cut short"),
    ):
        done = piped(bundle, content, "-", "-")
        assert (done.returncode, done.stdout) == (2, b"")
        assert done.stderr.decode().startswith("error: standard input ") and words in done.stderr.decode()
        (tmp_path / "a.png").write_bytes(content)
        _, _, err = upscale(tmp_path / "a.png", tmp_path / "b.png")
        assert err == done.stderr.decode().replace("standard input", str(tmp_path / "a.png"))
    done = piped(bundle, whole, "-", "-", "--max-pixels", "0.0001")
    assert b"error: standard input is 30x40" in done.stderr
    done = piped(bundle, whole, "-", "-")
    assert done.stderr.decode().startswith("standard output: 60x80")


def test_every_message_is_one_line(upscale, tmp_path):
    """Names of files may hold what ends lines, and what terminals obey."""
    (tmp_path / "in").mkdir()
    Image.fromarray(noise(9, 8)).save(tmp_path / "in/a\nb\x1b[2J.png")
    (tmp_path / "in/c\n.png").write_bytes(b"nothing")
    code, out, err = upscale(tmp_path / "in", tmp_path / "out")
    assert code == 2 and len(out.splitlines()) == 2 and "a\\nb\\x1b[2J.png: 16x18" in out
    assert [line.split(":")[0] for line in err.splitlines()] == ["error", "hint", "error", "hint"]
    assert "c\\n.png is not an image" in err
    code, out, _ = upscale(tmp_path / "in", tmp_path / "out", "--skip-existing", "--json")
    assert json.loads(out)["skipped"] == [str(tmp_path / "in/a\nb\x1b[2J.png")]
    code, out, err = upscale(tmp_path / "in/c\n.png", tmp_path / "d.png")
    assert code == 2 and len(err.splitlines()) == 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no pipes with names")
def test_a_pipe_is_read_as_a_file(bundle, upscale, tmp_path):
    """As shells give one for <(command)."""
    content = png(noise(9, 8))
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(content,))
    writer.start()
    assert upscale(tmp_path / "pipe", tmp_path / "a.png")[0] == 0
    writer.join()
    assert (tmp_path / "a.png").read_bytes() == piped(bundle, content, "-", "-").stdout


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_from_file_to_file(bundle, tmp_path):
    """Peaks of 20 and of 220 pictures differ by less than half a picture a file would make."""
    (tmp_path / "few").mkdir()
    image = Image.fromarray(smooth(100, 100))
    image.save(tmp_path / "few/0.bmp")
    for number in range(1, 20):
        shutil.copy(tmp_path / "few/0.bmp", tmp_path / f"few/{number}.bmp")
    (tmp_path / "many").mkdir()
    for number in range(220):
        os.link(tmp_path / f"few/{number % 20}.bmp", tmp_path / f"many/{number}.bmp")
    program = (
        "import sys; from sparsr.runtime.cli.main import main; assert main(sys.argv[1:]) == 0\n"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    peaks = []
    for name in ("few", "many"):
        command = [sys.executable, "-c", program, "upscale", tmp_path / name, tmp_path / f"{name}_out"]
        done = subprocess.run([*command, "--model", bundle.path], cwd=ROOT, stdout=subprocess.PIPE, check=True)
        peaks.append(int(done.stdout.split()[-1]) * 1024)
    assert peaks[1] - peaks[0] < 200 * 100 * 100 * 3 / 2


@pytest.mark.parametrize("pixels", ["rgb24", "bgr24", "rgba", "gray", "rgb48le"])
def test_raw_frames(bundle, pixels):
    """Every frame is what the upscaler makes of it alone, in the order of colours it came in."""
    channels = {"rgba": 4, "gray": 1}.get(pixels, 3)
    frames = [noise(9, 8, channels, np.uint16 if pixels == "rgb48le" else np.uint8, seed) for seed in range(3)]
    done = piped(bundle, b"".join(frame.tobytes() for frame in frames), "-", "-", "--raw", f"8x9:{pixels}")
    assert done.returncode == 0 and b"3 frames" in done.stderr
    upscaler = Upscaler(bundle, order="bgr" if pixels == "bgr24" else "rgb")
    expected = [upscaler(frame.repeat(3, axis=2) if channels == 1 else frame) for frame in frames]
    if channels == 1:
        expected = [frame[..., 1:2] for frame in expected]
    assert done.stdout == b"".join(frame.tobytes() for frame in expected)


def test_raw_frames_that_are_no_frames(bundle, tmp_path):
    done = piped(bundle, noise(9, 8).tobytes() + b"abc", "-", "-", "--raw", "8x9")
    assert done.returncode == 2 and len(done.stdout) == 4 * 9 * 8 * 3 and b"213 bytes early" in done.stderr
    for text in ("8", "0x9", "8x9:yuv420p", "8x9:"):
        done = piped(bundle, b"", "-", "-", "--raw", text)
        assert done.returncode == 2 and b"how raw frames lie" in done.stderr
    done = piped(bundle, b"", tmp_path / "a.png", "-", "--raw", "8x9")
    assert done.returncode == 2 and b"standard input to standard output" in done.stderr
