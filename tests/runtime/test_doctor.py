"""The doctor: names every engine and package, tells what works, and what to install for the rest."""

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sparsr.runtime.cli import doctor
from sparsr.runtime.engines.registry import ENGINES

ROOT = Path(__file__).resolve().parents[2]


def lines_of(output):
    """{first word: rest of the line}."""
    return {line.split()[0]: line.split(maxsplit=1)[1] for line in output.splitlines() if " " in line.strip()}


def test_all_engines_work_here():
    command = [sys.executable, "-m", "runtime", "doctor"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    told = lines_of(result.stdout)
    for kind in (kind for kind in ENGINES.values() if not kind.optional):
        version = "SparSR's own" if kind.name == "native" else importlib.metadata.version(kind.package)
        assert told[kind.name] == f"{version}, works"
    assert told["numpy"] == np.__version__
    assert told["video"].startswith("writes with")
    assert f"{len(os.sched_getaffinity(0))} cores" in told["cpu"]
    assert "GiB" in told["memory"]


@pytest.fixture
def troubles(monkeypatch):
    """Engines said not to work: {name: trouble}."""
    found = {}
    monkeypatch.setattr(doctor, "_engine_trouble", lambda kind: found.get(kind.name))
    return found


def test_a_broken_engine_gets_advice(troubles, capsys):
    troubles["litert"] = "it crashes"
    assert doctor.doctor() == 0
    output = capsys.readouterr().out
    assert "litert: it crashes\n  pip install 'sparsr[litert]'" in output
    assert "works" not in lines_of(output)["litert"]


def test_the_native_engine_is_built_before_any_check_with_a_time_limit(monkeypatch):
    order = []
    monkeypatch.setattr(doctor, "library_path", lambda: order.append("build"))
    monkeypatch.setattr(doctor, "_engine_trouble", lambda kind: order.append(kind.name))
    assert doctor.doctor() == 0
    assert order[0] == "build"
    assert len(order) > 1


def test_no_working_engine_is_a_failed_check(troubles, capsys):
    troubles.update(dict.fromkeys(ENGINES, "cannot be imported"))
    assert doctor.doctor() == 1
    released = [kind for kind in ENGINES.values() if kind.released]
    assert capsys.readouterr().out.count(" install ") == len(released)  # optional engines tell it in their own lines


def test_a_missing_package_is_called_missing(troubles, monkeypatch, capsys):
    def version(package):
        raise importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(importlib.metadata, "version", version)
    doctor.doctor()
    assert lines_of(capsys.readouterr().out)["av"] == "missing"


@pytest.mark.parametrize(
    ("code", "trouble"),
    [
        ("raise ValueError('it computes wrong values')", "it computes wrong values"),
        ("import os; os.abort()", "it crashes"),
        ("import time; time.sleep(60)", "it does not answer within 5 s"),
        ("", None),
    ],
)
def test_an_engine_is_tried_in_a_process_of_its_own(monkeypatch, code, trouble):
    run = subprocess.run
    monkeypatch.setattr(doctor, "_CHECK_TIMEOUT", 5)
    monkeypatch.setattr(doctor.subprocess, "run", lambda command, **rest: run([*command[:-1], code], **rest))
    assert doctor._engine_trouble(ENGINES["ort"]) == trouble


def test_wrong_values_are_noticed(monkeypatch):
    monkeypatch.setattr(doctor, "load_engine", lambda *arguments, **options: Wrong())
    with pytest.raises(ValueError, match="wrong values"):
        doctor.check_engine("ort")


class Wrong:
    def run(self, image):
        return np.zeros((1, 3, 10, 14), np.float32)


@pytest.mark.parametrize(("features", "told"), [(["asimdhp"], "possible"), (["avx512_fp16"], "needs an arm64 CPU")])
def test_whether_half_precision_is_possible(troubles, monkeypatch, capsys, features, told):
    monkeypatch.setattr(doctor, "cpu_features", lambda: features)
    doctor.doctor()
    assert lines_of(capsys.readouterr().out)["--precision"].startswith(f"fp16 {' ' * 7}{told}")


def test_cpu_features(tmp_path):
    (tmp_path / "cpuinfo").write_text("processor : 0\nflags\t\t: fpu avx2 fma unknown\n")
    assert doctor.cpu_features(tmp_path / "cpuinfo") == ["avx2", "fma"]
    assert doctor.cpu_features(tmp_path / "missing") == []
