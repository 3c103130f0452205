import json
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

from sparsr.bench.budgets import check as checking
from sparsr.bench.budgets.announce import github, markdown, write_junit
from sparsr.bench.budgets.check import check, exit_code
from sparsr.bench.budgets.file import read_budgets
from sparsr.bench.budgets.noise import Timing
from sparsr.bench.budgets.observe import Observed
from sparsr.bench.budgets.quality import luma, psnr
from sparsr.bench.cli import main


def verdicts(path):
    return {verdict.metric: verdict for verdict in check(read_budgets(path))}


def test_figures_of_the_card_are_exact(bundles, budgets):
    size = (bundles / "slim" / "model.onnx").stat().st_size
    kept = verdicts(budgets(f"file_size = {size}", f"multiply_adds = {0.031 * 4 * 1e9 + 1}"))
    assert {name: verdict.outcome for name, verdict in kept.items()} == dict.fromkeys(kept, "kept")
    assert kept["file_size"].observed.value == size
    broken = verdicts(budgets(f"file_size = {size - 1}", f"multiply_adds = {0.031 * 4 * 1e9 - 1}"))
    assert {verdict.outcome for verdict in broken.values()} == {"broken"}


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (['file_size = "1M"'], 0),
        (["file_size = 10"], 1),
        (["instructions = 10"], 2),  # not counted on this target
        (['file_size = "1M"', "instructions = 10"], 2),
        (["file_size = 10", "instructions = 10"], 1),
        (['milliseconds = {"No such device" = 5}'], 2),  # nothing was checked
        (['file_size = "1M"', 'milliseconds = {"No such device" = 5}'], 0),
    ],
)
def test_exit_codes(bundles, budgets, lines, code, capsys):
    assert main(["check", str(budgets(*lines))]) == code
    capsys.readouterr()


@pytest.mark.parametrize("bundle", ["absent", "../escape"])
def test_a_budget_naming_no_bundle_is_not_measured(bundles, budgets, bundle, capsys):
    assert main(["check", str(budgets("file_size = 10", bundle=bundle))]) == 2
    assert "not measured" in capsys.readouterr().out


def test_times_are_measured_beside_the_twin_and_the_reference(bundles, budgets):
    lines = ['twin = "dense"', "rounds = 5", "time_to_twin = 1000", "time_to_reference = 1e9", "peak_memory = 1"]
    found = verdicts(budgets(*lines))
    assert found["time_to_twin"].outcome == found["time_to_reference"].outcome == "kept"
    assert found["peak_memory"].outcome == "broken"
    assert all(found[name].observed.timing.noise >= 0 for name in ("time_to_twin", "time_to_reference"))
    assert {verdict.observed.source for verdict in found.values()} == {"measured"}
    assert found["time_to_twin"].observed.machine


def test_a_limit_for_this_very_device_counts(bundles, budgets):
    name = checking._device(read_budgets(budgets("file_size = 1"))[0])
    (verdict,) = verdicts(budgets("rounds = 3", f'milliseconds = {{"{name}" = 1e9}}')).values()
    assert verdict.outcome == "kept"


@pytest.mark.parametrize(
    ("values", "outcome"), [([2.0, 2.0], "broken"), ([2.0, 0.9], "kept"), ([1.05], "kept"), ([0.5], "kept")]
)
def test_a_time_above_its_limit_counts_when_it_is_so_twice(bundles, budgets, monkeypatch, values, outcome):
    """The noise is 10 %."""
    waiting = list(values)

    def observed(entry, metrics):
        value = waiting.pop(0)
        timing = Timing(value, 0.9 * value, 1.1 * value, 0.1)
        return {name: Observed(value, "measured", timing=timing) for name in metrics}

    monkeypatch.setattr(checking, "observe", observed)
    (verdict,) = verdicts(budgets("time_to_reference = 1.0")).values()
    assert verdict.outcome == outcome
    assert not waiting
    assert verdict.repeated == (len(values) == 2)


def test_a_broken_counter_is_not_measured_again(bundles, budgets, monkeypatch):
    calls = []

    def observed(entry, metrics):
        calls.append(list(metrics))
        return {name: Observed(2.0, "model") for name in metrics}

    monkeypatch.setattr(checking, "observe", observed)
    assert verdicts(budgets("file_size = 1"))["file_size"].outcome == "broken"
    assert calls == [["file_size"]]


def test_the_quality_of_pictures_is_a_lower_limit(bundles, budgets):
    rng = np.random.default_rng(0)
    for folder, side in (("low", 12), ("high", 24)):
        (bundles / folder).mkdir()
        Image.fromarray(rng.integers(0, 256, (side, side, 3), np.uint8)).save(bundles / folder / "one.png")
    pictures = ['low = "low"', 'high = "high"']
    assert verdicts(budgets("psnr = 1", *pictures))["psnr"].outcome == "kept"
    assert verdicts(budgets("psnr = 60", *pictures))["psnr"].outcome == "broken"
    (bundles / "high" / "one.png").rename(bundles / "high" / "two.png")
    missing = verdicts(budgets("psnr = 60", *pictures))["psnr"]
    assert missing.outcome == "not measured"
    assert "no picture one" in missing.text


def test_psnr_is_what_scikit_image_says_of_the_luma():
    rng = np.random.default_rng(0)
    one = rng.integers(0, 256, (20, 30, 3), np.uint8)
    other = np.clip(one + rng.integers(-9, 9, one.shape), 0, 255).astype(np.uint8)
    expected = peak_signal_noise_ratio(luma(one)[4:-4, 4:-4], luma(other)[4:-4, 4:-4], data_range=255)
    assert psnr(one, other, 4) == pytest.approx(expected)
    assert psnr(one, one, 4) == float("inf")
    white, black = np.full((4, 4, 3), 255, np.uint8), np.zeros((4, 4, 3), np.uint8)
    assert luma(white)[0, 0] == pytest.approx(235, abs=0.01) and luma(black)[0, 0] == 16


def test_junit_has_a_case_per_limit(bundles, budgets, tmp_path):
    path = budgets("file_size = 10", "multiply_adds = 1e12", "instructions = 3", 'milliseconds = {"x" = 1}')
    found = list(check(read_budgets(path)))
    write_junit(found, tmp_path / "junit.xml")
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert [suite.get(key) for key in ("tests", "failures", "errors", "skipped")] == ["4", "1", "1", "1"]
    marks = {case.get("name"): [child.tag for child in case] for case in suite}
    assert marks["file_size"] == ["failure"] and marks["multiply_adds"] == ["system-out"]
    assert marks["instructions"] == ["error"] and marks["milliseconds"] == ["skipped"]


def test_github_is_told_the_line_of_every_limit_that_fails(bundles, budgets, tmp_path):
    found = list(check(read_budgets(budgets("file_size = 10", "multiply_adds = 1e12"))))
    environment = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}
    (line,) = github(found, environment)
    assert line.startswith("::error file=") and ",line=3,title=file_size broken::broken" in line
    assert "\n" not in line
    summary = (tmp_path / "summary.md").read_text()
    assert "1 kept, 1 broken" in summary and summary.index("| broken") < summary.index("| kept")
    assert github(found, {}) == []
    assert exit_code(found) == 1


def test_the_step_summary_stays_a_table_whatever_names_are_in_it(bundles, budgets):
    found = list(check(read_budgets(budgets("file_size = 10", bundle="a|b"))))
    assert r"a\|b" in markdown(found)


def test_a_baseline_passes_itself_and_fails_what_grew(bundles, budgets, tmp_path, capsys):
    path, baseline = budgets("file_size = 10", "multiply_adds = 1"), tmp_path / "baseline.json"
    assert main(["baseline", "save", str(path), "--out", str(baseline)]) == 0
    assert main(["baseline", "compare", str(path), str(baseline)]) == 0
    data = json.loads(baseline.read_text())
    data["figures"][0]["value"] *= 0.9
    baseline.write_text(json.dumps(data))
    assert main(["baseline", "compare", str(path), str(baseline)]) == 1
    assert "broken       slim" in capsys.readouterr().out


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema": "sparsr-baseline/9"}'])
def test_other_baselines_are_refused(bundles, budgets, tmp_path, content, capsys):
    (tmp_path / "baseline.json").write_text(content)
    assert main(["baseline", "compare", str(budgets("file_size = 1")), str(tmp_path / "baseline.json")]) == 2
    assert "baseline.json" in capsys.readouterr().err


def test_a_baseline_lacking_a_figure_is_refused(bundles, budgets, tmp_path, capsys):
    baseline = tmp_path / "baseline.json"
    assert main(["baseline", "save", str(budgets("file_size = 1")), "--out", str(baseline)]) == 0
    assert main(["baseline", "compare", str(budgets("multiply_adds = 1")), str(baseline)]) == 2
    assert "has no multiply_adds" in capsys.readouterr().err


def test_half_a_baseline_is_not_written(bundles, budgets, tmp_path, capsys):
    baseline = tmp_path / "baseline.json"
    assert main(["baseline", "save", str(budgets("file_size = 1", "instructions = 1")), "--out", str(baseline)]) == 2
    assert not baseline.exists()
    assert "instructions cannot be had" in capsys.readouterr().err
