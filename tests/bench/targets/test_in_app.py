"""`bench run --target adb --app`, with an `adb` that runs its shell here, and an app that is a script."""

from __future__ import annotations

import json
import os
import stat
import sys

import pytest

from sparsr.bench import cli
from sparsr.bench.measure import results
from sparsr.bench.measure.in_app import PACKAGE
from sparsr.runtime.model.card import CARD_NAME
from tests.bench.targets.native_bundle import write_native_bundle

ADB = """#!{python}
import os, subprocess, sys
assert sys.argv[1:3] == ["shell", "-T"], sys.argv
open("{folder}/lines", "a").write(sys.argv[3] + "\\n")
raise SystemExit(subprocess.run(["sh", "-c", sys.argv[3].replace("/sdcard/", "{folder}/")]).returncode)
"""
PM = """#!/bin/sh
cat {folder}/packages
"""
RUN_AS = """#!/bin/sh
exit 1
"""
# The real app's grammar (core's Arguments): words of name=value in one extra called args.
AM = """#!{python}
import json, os, sys
if sys.argv[1] == "force-stop":
    open("{folder}/stopped", "w").close()
    raise SystemExit
assert sys.argv[1:6] == ["start", "-W", "-S", "-n", "dev.sparsr.demo/.app.BenchActivity"], sys.argv
assert sys.argv[6:8] == ["--es", "args"] and len(sys.argv) == 9, sys.argv
words = dict(word.split("=", 1) for word in sys.argv[8].split())
folder = "{folder}/Android/data/dev.sparsr.demo/files/results"
os.makedirs(folder, exist_ok=True)
answer = json.load(open("{folder}/answer.json"))
if "settings" in answer:
    answer["settings"]["width"], answer["settings"]["height"] = map(int, words["size"].split("x"))
    answer["settings"]["rounds"] = int(words["rounds"])
json.dump(answer, open(os.path.join(folder, words["out"]), "w"))
print("Status: ok")
"""


class Phone:
    def __init__(self, folder):
        self.folder = folder
        for name, text in (("adb", ADB), ("pm", PM), ("am", AM), ("run-as", RUN_AS)):
            file = folder / "bin" / name
            file.parent.mkdir(exist_ok=True)
            file.write_text(text.format(python=sys.executable, folder=folder))
            file.chmod(file.stat().st_mode | stat.S_IXUSR)
        (folder / "packages").write_text(f"package:{PACKAGE}\n")
        self.bundle, _ = write_native_bundle(folder / "tiny", 20, 13)
        card = json.loads((folder / "tiny" / CARD_NAME).read_text())
        self.files = {file["name"]: file["bytes"] for file in card["files"]}
        self.answer(files=self.files)

    def answer(self, **changes):
        """What the app will write: a file as ResultJson makes it."""
        summary = {"count": 2, "minimum": 0.01, "lower_quartile": 0.01, "median": 0.011, "upper_quartile": 0.012}
        machine = {"cpu": "x", "architecture": "arm64-v8a", "isa": [], "cores": 8, "governor": None, "memory": 1}
        machine |= {"system": "Android", "kernel": "5", "python": "", "packages": {}, "name": "Phone"}
        info = {"id": "tiny", "name": "tiny", "architecture": "a", "scale": 1, "method": "dense", "parameters": 1}
        info |= {"gmacs_720p": 1.0, "quality": {}, "counterpart": None, "files": changes.get("files")}
        row = {
            "bundle": "tiny",
            "engine": "native",
            "kind": "runtime",
            "version": None,
            "cpu": summary,
            "wall": summary,
        }
        row |= {"cpu_samples": [0.01, 0.012], "wall_samples": [0.01, 0.012], "load": 0.1, "first": 0.2}
        row |= {
            "difference": {"reference": "stored", "max_abs": 0.1, "max_8bit": 0},
            "parity": 1.0,
            "source": "measured",
        }
        settings = {"width": 0, "height": 0, "threads": 1, "rounds": 0, "basis": "cpu", "cpus": [], "hidden": False}
        whole = {"schema": "sparsr-bench/1", "created": "2026-01-01T00:00:00+00:00", "source": "measured"}
        whole |= {"machine": machine, "settings": settings, "bundles": [info], "rows": [row], "cancelled": False}
        (self.folder / "answer.json").write_text(json.dumps(changes.get("instead", whole)))

    def left(self):
        return [path.name for path in self.folder.glob("Android/data/*/files/results/*")]


@pytest.fixture
def phone(tmp_path, monkeypatch):
    opened = Phone(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return opened


def bench(*options):
    arguments = ["run", "tiny", "--target", "adb", "--app", "--engines", "native", "--size", "24x18", "--rounds", "2"]
    return cli.main([*arguments, "--json", "r.json", *options])


def test_the_app_measures_and_its_file_is_the_result(phone, capsys):
    assert bench("--cores", "fastest") == 0
    measured = results.load("r.json")
    assert (measured.settings.width, measured.settings.height, measured.settings.rounds) == (24, 18, 2)
    assert measured.machine.name == "Phone" and measured.rows[0].target == "adb, app"
    assert "not in the app" not in capsys.readouterr().err
    told = (phone.folder / "lines").read_text()
    assert "'bundles=tiny engines=native size=24x18 threads=1 rounds=2 sustained=0 cores=fastest out=sparsr-" in told
    assert phone.left() == [] and (phone.folder / "stopped").exists()


@pytest.mark.parametrize(
    ("change", "options", "reason"),
    [
        ({"packages": "package:org.other\n"}, (), "is not installed"),
        (
            {"instead": {"error": "There is no bundle tiny.", "hint": "Bring it in first."}},
            (),
            "There is no bundle tiny.",
        ),
        ({"files": {"model.safetensors": 1}}, (), "is another one"),
        ({}, ("--cores", "0,1"), "knows no --cores 0,1"),
    ],
)
def test_where_the_app_cannot_the_runner_is_sent(change, options, reason, phone, capsys, monkeypatch):
    if "packages" in change:
        (phone.folder / "packages").write_text(change["packages"])
    else:
        phone.answer(**({"files": phone.files} | change))
    sent = []
    monkeypatch.setattr("sparsr.bench.measure.commands.measure", lambda plan: sent.append(plan) or results.load("none"))
    bench(*options)  # what the runner gives is another test's matter
    assert len(sent) == 1 and reason in capsys.readouterr().err
    assert phone.left() == []


def test_another_target_has_no_app(phone, capsys):
    assert cli.main(["run", "tiny", "--target", "cpu", "--app", "--engines", "native"]) == 2
    assert "--target adb" in capsys.readouterr().err


def test_what_is_no_result_is_a_sentence(phone, capsys):
    phone.answer(instead={"schema": "sparsr-bench/9"})
    assert bench() == 2
    assert "sparsr-bench/9" in capsys.readouterr().err and phone.left() == []
