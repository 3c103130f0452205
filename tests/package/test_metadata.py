"""What pyproject.toml says about the package, beside what there is."""

import importlib.util
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def extras(*names: str) -> list[str]:
    command = [sys.executable, ROOT / ".ci" / "extras.py", *names]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_every_module_is_mapped_from_the_folder_it_is_imported_from_here() -> None:
    for package, folder in PROJECT["tool"]["scikit-build"]["wheel"]["packages"].items():
        spec = importlib.util.find_spec(package.replace("/", "."))
        assert spec and spec.origin and Path(spec.origin).resolve() == ROOT / folder / "__init__.py"


def test_the_bare_install_has_no_framework() -> None:
    frameworks = ("torch", "tensorflow", "tflite", "onnx>", "onnx=", "ai-edge")
    assert not [name for name in extras() if name.startswith(frameworks)]


def test_the_documentation_installs_the_torch_that_is_asked_for() -> None:
    (asked,) = (line for line in extras("train") if line.startswith("torch=="))
    assert f"pip install {asked}+cpu " in (ROOT / "docs" / "upscaling.md").read_text(encoding="utf-8")


def test_numpy_is_free_but_where_tflite_runtime_is() -> None:
    assert "numpy>=1.26,<3" in extras()
    limited = [line for line in extras("tflite") if "tflite" in line or "<2;" in line]
    assert len(limited) == 2 and all("python_version < '3.12'" in line for line in limited)


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ("train", "torch"),
        ("export", "onnxsim"),
        ("litert", "ai-edge-litert"),
        ("rivals", "openvino"),
        ("dev", "pytest"),
    ],
)
def test_extras_bring_their_packages_and_never_sparsr_itself(extra: str, expected: str) -> None:
    found = extras(extra)
    assert any(line.startswith(expected) for line in found)
    assert not any(line.startswith("sparsr") for line in found)


def test_the_version_stands_in_one_place() -> None:
    from sparsr import __version__

    assert PROJECT["project"]["dynamic"] == ["version"]
    found = subprocess.run(
        ["git", "grep", "-Fl", f'"{__version__}"', "--", "*.py", "*.toml", "*.txt", "Makefile"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    ).stdout.split()  # fmt: skip
    assert [path for path in found if path in ("pyproject.toml", "runtime/sparsr/__init__.py")] == [
        "runtime/sparsr/__init__.py"
    ]


def test_a_wheel_has_one_package_with_its_front_door(tmp_path: Path) -> None:
    pytest.importorskip("scikit_build_core", reason="the build backend is not installed")
    options = ["-C", "wheel.cmake=false", "-C", f"build-dir={tmp_path / 'build'}"]
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        *options,
        "--outdir",
        str(tmp_path),
        str(ROOT),
    ]
    subprocess.run(command, check=True, capture_output=True)
    names = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"sparsr"}
    for part in ("__init__.py", "__main__.py", "py.typed", "runtime/errors.py", "runtime/model/general_x4/card.json"):
        assert f"sparsr/{part}" in names
    assert not [name for name in names if name.endswith((".cpp", ".h")) or "/zoo/" in name or "runtime/sparsr" in name]
