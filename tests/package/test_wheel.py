"""Wheels in environments of their own: `make wheel`, which names their folder in SPARSR_WHEELS."""

import os
import platform
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sparsr.runtime.engines.native.load import NativeModel
from tests.runtime.native import wine

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("SPARSR_WHEELS" not in os.environ, reason="`make wheel` makes the wheels, then runs this"),
]


LIBRARY = "sparsr/runtime/engines/native/lib/libsparsr"
MODEL = "sparsr/runtime/model/general_x2/model.safetensors"


def wheels() -> list[Path]:
    return sorted(Path(os.environ["SPARSR_WHEELS"]).glob("sparsr-*.whl"))


def here() -> Path:
    return next(path for path in wheels() if path.stem.endswith(platform.machine()))


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A new environment with nothing but the wheel and what it asks for."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    install = [folder / "venv/bin/pip", "install", "--quiet", "--disable-pip-version-check", here()]
    subprocess.run(install, check=True, capture_output=True)
    yield folder


def run(environment: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    """In the environment alone: no compiler, no cmake, no cache, no checkout."""
    variables = {"PATH": str(environment / "venv/bin"), "XDG_CACHE_HOME": str(environment / "cache")}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=variables, cwd=environment, timeout=300
    )


def test_there_is_a_wheel_for_every_python_and_it_is_named_for_old_systems() -> None:
    assert wheels()
    for path in wheels():
        python, abi, system = path.stem.split("-")[2:5]
        assert (python, abi) == ("py3", "none")
        assert system == "win_amd64" or system.startswith("manylinux_2_")


def test_wheels_hold_one_package_and_no_sources_of_the_engine() -> None:
    for path in wheels():
        names = zipfile.ZipFile(path).namelist()
        assert {name.split("/")[0].split("-")[0] for name in names} <= {"sparsr", "sparsr.libs"}
        assert LIBRARY + (".dll" if path.stem.endswith("win_amd64") else ".so") in names
        assert not [name for name in names if name.endswith((".cpp", ".h")) or "/zoo/" in name]


def test_the_library_for_windows_needs_nothing_and_upscales_as_here(tmp_path: Path) -> None:
    wine.skip_without_tools()
    for path in wheels():
        if path.stem.endswith("win_amd64"):
            zipfile.ZipFile(path).extractall(tmp_path, [f"{LIBRARY}.dll", MODEL])
    if not (tmp_path / MODEL).exists():
        pytest.skip("no wheel for Windows")
    library, content = tmp_path / f"{LIBRARY}.dll", (tmp_path / MODEL).read_bytes()
    assert wine.libraries_needed(library) <= {"kernel32.dll", "msvcrt.dll"}
    image = np.random.default_rng(0).random((12, 16, 3), np.float32)
    expected = np.empty((24, 32, 3), np.float32)
    NativeModel(content).run(image, expected)
    result = wine.run_library(tmp_path, library, content, image)
    np.testing.assert_allclose(result.reshape(expected.shape), expected, atol=1e-5)


def test_a_photo_is_upscaled_without_a_compiler(environment: Path) -> None:
    Image.fromarray(np.full((12, 16, 3), 99, np.uint8)).save(environment / "photo.png")
    result = run(environment, "sparsr", "upscale", "photo.png")
    assert result.returncode == 0, result.stderr
    assert "with native" in result.stdout
    with Image.open(environment / "photo_x2.png") as large:
        assert large.size == (32, 24) and np.abs(np.asarray(large).astype(int)[6:-6, 6:-6] - 99).max() <= 2


def test_python_finds_one_package_and_the_front_door(environment: Path) -> None:
    code = (
        "import importlib.util, sparsr; print(sparsr.Upscaler.__module__);"
        "print([name for name in ('train', 'export', 'runtime', 'bench') if importlib.util.find_spec(name)])"
    )
    result = run(environment, "python", "-I", "-c", code)
    assert result.stdout.splitlines() == ["sparsr.runtime.upscale.upscaler", "[]"], result.stderr


def test_the_doctor_finds_the_engine_and_says_what_is_missing(environment: Path) -> None:
    result = run(environment, "sparsr", "doctor")
    assert result.returncode == 0
    assert "SparSR's own, works" in result.stdout and "sparsr[litert]" in result.stdout
