"""Engines: the same model gives the same values, changing sizes work, and what is missing is named."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sparsr.runtime.cli.doctor import self_check_model
from sparsr.runtime.engines.registry import ENGINES, engine_kind, load_engine, open_engine
from sparsr.runtime.errors import SparsrError

ROOT = Path(__file__).resolve().parents[2]


TRIED = [
    pytest.param(
        name, marks=pytest.mark.skipif(kind.optional and not kind.installed, reason=f"optional: {kind.remedy}")
    )
    for name, kind in ENGINES.items()
]


def nearest(image):
    return image.repeat(2, axis=0).repeat(2, axis=1)


@pytest.mark.parametrize("name", TRIED)
def test_sizes_may_change_from_call_to_call(name):
    kind = ENGINES[name]
    engine = load_engine(name, self_check_model(kind.format), threads=1)
    results = []
    for height, width in [(4, 6), (4, 6), (1, 1), (9, 3), (4, 6)]:
        image = np.random.default_rng(height).random((height, width, 3), np.float32)
        values = image.transpose(2, 0, 1) if kind.format == "onnx" else image
        result = engine.run(np.ascontiguousarray(values[None]))[0]
        result = result.transpose(1, 2, 0) if kind.format == "onnx" else result
        np.testing.assert_allclose(result, nearest(image), atol=1e-6)
        results.append(result)
    assert (results[0] == results[4]).all()


@pytest.mark.parametrize("name", TRIED)
def test_results_are_the_callers_own(name):
    kind = ENGINES[name]
    engine = load_engine(name, self_check_model(kind.format), threads=1)
    shape = (1, 3, 4, 4) if kind.format == "onnx" else (1, 4, 4, 3)
    first = engine.run(np.ones(shape, np.float32))
    kept = first.copy()
    first += 1
    engine.run(np.zeros(shape, np.float32))
    assert (first == kept + 1).all()


@pytest.mark.parametrize("name", TRIED)
def test_engines_describe_themselves(name):
    engine = load_engine(name, self_check_model(ENGINES[name].format), threads=1)
    assert engine.name == name
    assert engine.threads == 1
    assert re.match(r"\d+\.\d+|[0-9a-f]{8} ", engine.version)


@pytest.mark.parametrize(("typed", "meant"), [("orf", "ort"), ("lite", "litert"), ("tflite-runtime", "tflite_runtime")])
def test_a_wrong_name_gets_the_nearest(typed, meant):
    with pytest.raises(SparsrError, match="no engine") as caught:
        engine_kind(typed)
    assert caught.value.hint == f"did you mean {meant}?"


def test_a_name_near_nothing_gets_the_list():
    with pytest.raises(SparsrError) as caught:
        engine_kind("#")
    assert all(name in caught.value.hint for name in ENGINES)


@pytest.mark.parametrize("threads", [0, -1, 10**9])
def test_impossible_threads(threads):
    with pytest.raises(SparsrError, match="threads"):
        load_engine("ort", self_check_model("onnx"), threads)


@pytest.mark.parametrize("name", TRIED)
@pytest.mark.parametrize("damage", ["empty", "cut", "other format"])
def test_a_damaged_model_is_refused(name, damage):
    kind = ENGINES[name]
    whole = self_check_model(kind.format)
    # Further in, tflite_runtime follows offsets out of a cut file; the card's sha256 keeps those away.
    length = len(whole) // 2 if kind.format == "onnx" else 6
    other = self_check_model("tflite" if kind.format == "onnx" else "onnx")
    content = {"empty": b"", "cut": whole[:length], "other format": other}[damage]
    with pytest.raises(SparsrError):
        load_engine(name, content, threads=1)


MISSING = """
import sys
sys.modules[sys.argv[2]] = None
from sparsr.runtime.engines.registry import load_engine
from sparsr.runtime.errors import SparsrError
try:
    load_engine(sys.argv[1], b"")
except SparsrError as error:
    print(error, "|", error.hint)
"""


@pytest.mark.parametrize("name", TRIED)
def test_a_missing_package_is_named(name):
    kind = ENGINES[name]
    command = [sys.executable, "-c", MISSING, name, kind.module]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert f"needs the package {kind.package}" in output
    assert f"| {kind.remedy}" in output


def test_an_engine_that_its_export_found_wrong_is_refused(bundle):
    card = replace(bundle.card, wrong_engines={"opencv": "parity failed"})
    with pytest.raises(SparsrError, match="opencv computes something else"):
        open_engine(replace(bundle, card=card), "opencv")


def test_onnx_runtime_neither_identifies_this_machine_nor_calls_home(tmp_path):
    script = (
        "from sparsr.runtime.cli.doctor import self_check_model\n"
        "from sparsr.runtime.engines.registry import load_engine\n"
        "load_engine('ort', self_check_model('onnx'), threads=1)\n"
    )
    told = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    subprocess.run([sys.executable, "-c", script], env=told | {"HOME": str(tmp_path)}, check=True)
    assert not list(tmp_path.iterdir())
