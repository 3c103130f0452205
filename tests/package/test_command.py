"""The command `sparsr`."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sparsr
from sparsr.runtime.model.general import GENERAL

BARE = "import sys; sys.modules['torch'] = None; from sparsr.__main__ import entry; sys.exit(entry())"
"""As on a machine without torch."""
PRESSED = """
import sys
class Finder:
    def find_spec(self, name, *rest):
        if name == "numpy":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Finder())
from sparsr.__main__ import entry
sys.exit(entry())
"""
"""As when Ctrl-C is pressed at once, while modules are being imported."""


def run(*arguments: object, code: str = "") -> "subprocess.CompletedProcess[str]":
    start = ["-c", code] if code else ["-m", "sparsr"]
    return subprocess.run(
        [sys.executable, *start, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120
    )


def picture(path: Path, height: int = 12, width: int = 16) -> Path:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)).save(path)
    return path


def test_it_tells_its_version() -> None:
    assert run("--version").stdout == f"sparsr {sparsr.__version__}\n"


def test_help_names_every_command() -> None:
    text = run("--help").stdout
    for command in ("upscale", "info", "costs", "doctor", "export", "prune", "train", "bench", "completion"):
        assert f"\n    {command}" in text


@pytest.mark.parametrize("part", ["train", "export", "bench"])
def test_parts_answer_under_their_own_names(part: str) -> None:
    if part != "bench":
        pytest.importorskip("torch")
    result = run(part, "--help")
    assert result.returncode == 0 and result.stdout.startswith(f"usage: sparsr {part} ")


def test_prune_names_all_that_it_takes() -> None:
    pytest.importorskip("torch")
    assert "or an ONNX or ncnn file" in " ".join(run("prune", "--help").stdout.split())


@pytest.mark.parametrize(("part", "extra"), [("train", "train"), ("prune", "export"), ("export", "export")])
def test_a_part_whose_packages_are_missing_says_what_to_install(part: str, extra: str) -> None:
    result = run(part, "list", code=BARE)
    assert result.returncode == 2
    assert result.stderr == (
        f"error: `sparsr {part}` needs the package torch, which is not installed\nhint: pip install 'sparsr[{extra}]'\n"
    )


def test_an_interruption_at_once_is_told_as_any_other() -> None:
    result = run("upscale", "photo.jpg", code=PRESSED)
    assert (result.returncode, result.stderr) == (130, "error: interrupted\n")


def test_without_torch_the_runtime_works() -> None:
    result = run("info", GENERAL[2], code=BARE)
    assert result.returncode == 0 and "ledsr x2" in result.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_knows_commands_and_options(shell: str) -> None:
    result = run("completion", shell)
    assert result.returncode == 0
    for word in ("upscale", "doctor", "max-memory"):
        assert word in result.stdout


def test_bash_completes_commands_options_and_files(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    script = tmp_path / "completion.bash"
    script.write_text(run("completion", "bash").stdout, encoding="utf-8")

    def complete(*words: str) -> list[str]:
        quoted = " ".join(f"'{word}'" for word in words)
        code = (
            f"source {script}; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; "
            "_shtab_sparsr; printf '%s\\n' \"${COMPREPLY[@]}\""
        )
        result = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
        return result.stdout.split()

    assert complete("sparsr", "up") == ["upscale"]
    assert complete("sparsr", "upscale", "--max-m") == ["--max-memory"]
    assert complete("sparsr", "upscale", "ph") == ["photo.jpg"]


@pytest.mark.parametrize("scale", GENERAL)
def test_a_photo_needs_nothing_but_its_name(tmp_path: Path, scale: int) -> None:
    photo = picture(tmp_path / "photo.jpg")
    result = run("upscale", photo, *([] if scale == 2 else ["--scale", scale]), code=BARE)
    assert result.returncode == 0, result.stderr
    with Image.open(tmp_path / f"photo_x{scale}.jpg") as large:
        assert large.size == (16 * scale, 12 * scale)


@pytest.mark.parametrize("named", [False, True], ids=["default", "as by *.png"])
def test_a_picture_that_is_there_is_never_replaced_unasked(tmp_path: Path, named: bool) -> None:
    photo = picture(tmp_path / "photo.png")
    other = tmp_path / "photo_x2.png"
    other.write_bytes(b"mine")
    result = run("upscale", photo, *([other] if named else []))
    assert result.returncode == 2 and "exists already" in result.stderr and "hint: --overwrite" in result.stderr
    assert other.read_bytes() == b"mine"
    assert run("upscale", photo, *([other] if named else []), "--overwrite").returncode == 0
    with Image.open(other) as large:
        assert large.size == (32, 24)


def test_a_folder_gets_a_folder_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "holiday.2026"
    folder.mkdir()
    picture(folder / "a.png")
    result = run("upscale", folder)
    assert result.returncode == 0, result.stderr
    assert [path.name for path in (tmp_path / "holiday.2026_x2").iterdir()] == ["a.png"]


@pytest.mark.parametrize(("scale", "share"), [(2, 0.6), (4, 0.7)])
def test_the_models_inside_enlarge_better_than_bicubic(scale: int, share: float) -> None:
    from sparsr import Upscaler

    with Image.open(Path(__file__).parents[2] / "bench" / "demo" / "photo.png") as file:
        truth = np.asarray(file.convert("RGB"))
        size = file.width // scale, file.height // scale
        small = np.asarray(file.convert("RGB").resize(size, Image.Resampling.BICUBIC))
    bicubic = np.asarray(Image.fromarray(small).resize(truth.shape[1::-1], Image.Resampling.BICUBIC))

    def error(image: np.ndarray) -> float:
        return float(np.square(image[4:-4, 4:-4].astype(float) - truth[4:-4, 4:-4]).mean())

    # It was trained for MATLAB's bicubic, which is nearly Pillow's.
    assert error(Upscaler(GENERAL[scale])(small)) < share * error(bicubic)
