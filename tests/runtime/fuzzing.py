"""Damaged files through the command line, each in a process of its own with limits of memory and time.

Run as a program: `python fuzzing.py KIND SAMPLES COUNT SEED`; prints a line of JSON for every fault, and how many ran.
A process is forked for every file from one that has imported everything: thousands take minutes.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import sys
import tempfile
from pathlib import Path

MEMORY = 4 << 30
SECONDS, WALL = 60, 600  # of the processor, whoever else works, and of the clock
FILMS = (".mp4", ".mkv", ".avi", ".webm", ".wmv", ".ts", ".mov", ".h264")
_LIKELY = (b"\0", b"\xff", b"\x7f", b"\x80", b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff")


def mutated(content: bytes, rng: random.Random) -> bytes:
    """A file with bytes changed, cut out, doubled or put in, mostly near its beginning, where headers are."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        if not data:
            break
        at = min(int(rng.random() ** rng.choice((1, 3)) * len(data)), len(data) - 1)
        length = rng.choice((1, 2, 4, 64))
        kind = rng.randrange(6)
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at : at + length] = rng.randbytes(length)
        elif kind == 2:
            value = rng.choice(_LIKELY)
            data[at : at + len(value)] = value
        elif kind == 3:
            del data[at : at + length]
        elif kind == 4:
            data[at:at] = data[at : at + length]
        else:
            del data[max(at, 1) :]
    return bytes(data)


def upscale_it(path: Path, target: Path, bundle: Path) -> list[str]:
    """A damaged picture or film, upscaled."""
    out = target / ("out.mkv" if path.suffix in FILMS else "out.png")
    return ["upscale", str(path), str(out), "--model", str(bundle), "--max-pixels", "1", "--threads", "1"]


def use_it(path: Path, target: Path, bundle: Path) -> list[str]:
    """A damaged bundle, that of which one file was changed, upscaling a sound picture."""
    folder, picture = path.parent / "bundle", path.parent.parent / "picture.png"
    return ["upscale", str(picture), str(target / "out.png"), "--model", str(folder), "--threads", "1"]


def export_it(path: Path, target: Path, bundle: Path) -> list[str]:
    """A damaged checkpoint or ONNX file, exported."""
    return [str(path), "--out", str(target / "out"), "--format", "native"]


def main() -> None:
    """Damage the samples in a folder COUNT times and see."""
    kind, samples, count, seed = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    from sparsr.runtime.errors import run_cli

    if kind in ("checkpoint", "onnx"):
        import torch

        from sparsr.export.cli import main as command

        torch.set_num_threads(1)
    else:
        import sparsr.runtime.engines.native.engine
        import sparsr.runtime.media.film.writing  # noqa: F401 - imported before the processes divide
        from sparsr.runtime.cli.main import main as command
    arguments = {"bundle": use_it, "checkpoint": export_it, "onnx": export_it}.get(kind, upscale_it)
    bundle = samples.parent / "bundle"
    rng = random.Random(seed)
    files = sorted(path for path in samples.iterdir() if path.is_file())
    for number in range(count):
        original = files[number % len(files)]
        with tempfile.TemporaryDirectory(dir=samples.parent) as scratch:
            folder = Path(scratch)
            path, target = _prepare(kind, original, bundle, folder, rng)
            line = arguments(path, target, bundle)
            status = _apart(command, run_cli, line, folder)
            if fault := _fault(status, folder, target):
                (samples.parent / f"fault_{kind}_{seed}_{number}{original.suffix}").write_bytes(path.read_bytes())
                print(json.dumps({"file": original.name, "number": number, "fault": fault}), flush=True)
    print(json.dumps({"ran": count}), flush=True)


def _prepare(kind: str, original: Path, bundle: Path, folder: Path, rng: random.Random) -> tuple[Path, Path]:
    content = mutated(original.read_bytes(), rng)
    target = folder / "target"
    target.mkdir()
    if kind == "bundle":
        broken = folder / "bundle"
        broken.mkdir()
        for file in bundle.iterdir():
            (broken / file.name).write_bytes(file.read_bytes())
        path = broken / original.name
        path.write_bytes(content)
        (folder / "damaged").write_bytes(content)
        return folder / "damaged", target
    path = folder / original.name
    path.write_bytes(content)
    return path, target


def _apart(command, run_cli, line: list[str], folder: Path) -> int:
    """The command in a forked process; how that ended."""
    process = os.fork()
    if process:
        return os.waitpid(process, 0)[1]
    try:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        signal.alarm(WALL)
        out, err = (os.open(folder / name, os.O_CREAT | os.O_WRONLY) for name in ("stdout", "stderr"))
        os.dup2(out, 1)
        os.dup2(err, 2)
        sys.argv = ["fuzz", *line]
        try:
            code = run_cli((lambda: command(line)) if line[0] == "upscale" else command)
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 2
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
        os._exit(99)
    os._exit(code)


def _fault(status: int, folder: Path, target: Path) -> str:
    """What is wrong with how a process ended; empty if it gave a result or an error in a sentence."""
    said = (folder / "stderr").read_text(errors="replace") if (folder / "stderr").exists() else ""
    if os.WIFSIGNALED(status):
        return f"ended by signal {os.WTERMSIG(status)}: {said[-300:]}"
    code = os.WEXITSTATUS(status)
    if code not in (0, 1, 2) or "Traceback" in said:
        return f"exit code {code}: {said[-1500:]}"
    if code and "error: " not in said:
        return f"exit code {code} without a sentence: {said[-300:]}"
    left = [path.name for path in target.iterdir()]
    if any(".tmp" in name for name in left) or (code == 2 and left):
        return f"left behind: {left}"
    return ""


if __name__ == "__main__":
    main()
