import dataclasses
import json
import os
import platform
from pathlib import Path

import pytest
from bench_results import make_results, make_row

from sparsr.bench.measure import results as results_file
from sparsr.bench.measure.results import Row
from sparsr.bench.report import page, table
from sparsr.bench.report.compose import Sources, compose
from sparsr.bench.targets.machine import describe
from sparsr.runtime.errors import SparsrError


def test_a_saved_file_is_read_back_equal(tmp_path):
    results = make_results()
    results_file.save(results, tmp_path / "bench.json")
    assert results_file.load(tmp_path / "bench.json") == results


def test_the_file_is_plain_json_of_the_schema(tmp_path):
    results_file.save(make_results(), tmp_path / "bench.json")
    data = json.loads((tmp_path / "bench.json").read_text())
    assert data["schema"] == "sparsr-bench/1"
    assert set(data) == {"schema", "created", "machine", "settings", "bundles", "rows", "device", "sustained"}
    row = data["rows"][0]
    assert row["cpu"]["minimum"] == min(row["cpu_samples"])


def test_unknown_fields_of_a_later_version_are_ignored(tmp_path):
    results_file.save(make_results(), tmp_path / "bench.json")
    data = json.loads((tmp_path / "bench.json").read_text())
    data["rows"][0]["energy"] = 3
    (tmp_path / "bench.json").write_text(json.dumps(data))
    assert results_file.load(tmp_path / "bench.json") == make_results()


def test_what_the_app_writes_beside_is_read_where_it_means_the_same(tmp_path):
    results_file.save(make_results(), tmp_path / "app.json")
    data = json.loads((tmp_path / "app.json").read_text())
    state = {"thermal": "none", "battery_level": 80, "battery_temperature": None}
    data["device"] = {"model": "Phone", "used_cores": "fastest", "before": state, "after": state}
    data["sustained"] = [
        {"at": 1.0, "seconds": 0.05, "thermal": "light"},
        {"at": 2.0, "seconds": 0.06, "thermal": None},
    ]
    (tmp_path / "app.json").write_text(json.dumps(data))
    read = results_file.load(tmp_path / "app.json")
    assert read.device.before["battery_level"] == 80
    assert [moment.seconds for moment in read.sustained] == [0.05, 0.06]
    text = page.render(compose(Sources([read])))
    assert "battery_level" in text and "Sustained" in text


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "null",
        "{",
        '{"schema": "sparsr-bench/9"}',
        '{"schema": "sparsr-bench/1"}',
        '{"schema": "sparsr-bench/1", "created": 1, "machine": {}, "settings": {}, "bundles": [], "rows": []}',
        '{"schema": "sparsr-bench/1", "created": "x", "machine": 3, "settings": {}, "bundles": 7, "rows": [4]}',
    ],
)
def test_other_files_are_refused(content, tmp_path):
    path = tmp_path / "bench.json"
    path.write_text(content)
    with pytest.raises(SparsrError, match=r"bench\.json"):
        results_file.load(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(SparsrError, match="no results file"):
        results_file.load(tmp_path / "absent.json")


def test_fastest_follows_the_basis_and_skips_the_wrong():
    steady = make_row("dense", "ort", cpu=[10, 10, 10], wall=[10, 10, 10])
    lucky = make_row("dense", "litert", cpu=[9, 30, 30], wall=[30, 30, 30])
    wrong = make_row("dense", "mnn", cpu=[1, 1, 1], wall=[1, 1, 1], max_8bit=40)
    results = make_results([steady, lucky, wrong])
    assert results.fastest("dense") is lucky
    by_wall = dataclasses.replace(results, settings=dataclasses.replace(results.settings, basis="wall"))
    assert by_wall.fastest("dense") is steady
    assert results.fastest("dense", "rival") is None


def test_lower_precision_is_never_the_fastest():
    single, half = make_row("dense", "ort", [3, 3, 3]), make_row("dense", "mnn", [1, 1, 1])
    half = dataclasses.replace(half, precision="bfloat16")
    results = make_results([single, half])
    assert results.fastest("dense") is single
    assert "0 bfloat16" in table.render(results)


def test_the_machine_is_this_one():
    machine = describe(("numpy", "no-such-package"))
    assert machine.architecture == platform.machine()
    assert machine.cores <= (os.cpu_count() or 1)
    assert list(machine.packages) == ["numpy"]
    assert set(machine.isa) <= set(Path("/proc/cpuinfo").read_text().split())


def test_the_table_says_what_was_measured_and_what_was_not():
    text = table.render(make_results())
    lines = text.splitlines()
    assert any(line.startswith("pruned") and "ort" in line and "2.00x (2.00..2.00)" in line for line in lines)
    assert "pruned in ncnn: the package ncnn is not installed (pip install it)" in lines
    pruned = [line.split()[1] for line in lines if line.startswith("pruned ") and " ms " in line]
    assert pruned == ["ort", "litert"]  # from the fastest to the slowest


def test_an_engine_that_no_bundle_was_measured_in_is_told_once():
    rows = [Row(name, "ncnn", "rival", None, "is not installed", "pip install it") for name in ("pruned", "dense")]
    text = table.render(make_results([make_row("dense", "ort"), *rows]))
    assert text.count("is not installed") == 1
    assert "every bundle in ncnn: is not installed (pip install it)" in text.splitlines()
