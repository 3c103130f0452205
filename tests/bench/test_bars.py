import dataclasses

import numpy as np
import pytest
from bench_bundles import FAKE_OPENVINO, write_tiny_bundle

from sparsr.bench import bars
from sparsr.bench.bars import Bar, Setting
from sparsr.bench.measure.statistics import PairedRatio
from sparsr.bench.targets.contract import LayerGroup
from sparsr.runtime.errors import SparsrError
from tests.tflite_packages import INSTALLED

SETTING = Setting(20, 13)


@pytest.fixture
def folder(tmp_path):
    write_tiny_bundle(tmp_path / "slim", "assl", channels=4)
    write_tiny_bundle(tmp_path / "dense", channels=16)
    return tmp_path


def measured(folder, *wanted):
    runs = []
    reached = bars.measure_bars(folder, wanted, 5, lambda setting, part, results: runs.append((setting, results)))
    return reached, runs


def test_the_opponent_is_the_fastest_correct_engine_on_the_dense_network(folder, fake_engine):
    fake_engine("openvino", FAKE_OPENVINO)  # the fastest of all, but wrong
    bar = Bar("slim", "dense", 1e-9, SETTING, "ort", ("openvino", "ort", *INSTALLED))
    (entry,), [(_, results)] = measured(folder, bar)
    rows = {(row.bundle, row.engine): row for row in results.rows}
    times = {name: rows["dense", name].cpu.minimum for name in ("ort", *INSTALLED)}
    assert entry.opponent.engine == min(times, key=times.get)
    pairs = zip(entry.opponent.cpu_samples, rows["slim", "ort"].cpu_samples, strict=True)
    assert entry.ratio.median == pytest.approx(np.median([dense / slim for dense, slim in pairs]))
    assert entry.met
    assert "openvino" not in {row.engine for row in results.rows if row.bundle == "slim"}
    assert "reached" in bars.render([entry], results)


def test_a_bar_too_high_is_not_reached(folder):
    bar = Bar("slim", "dense", 1e9, SETTING, "ort", ("litert",))
    reached, [(_, results)] = measured(folder, bar)
    assert not reached[0].met
    assert "NOT reached" in bars.render(reached, results)


@pytest.mark.parametrize(("threads", "ratio", "told"), [(1, 10, False), (1, 25, True), (2, 25, False), (2, 50, True)])
def test_a_bar_beyond_what_the_processor_can_do_says_so(folder, threads, ratio, told):
    """The opponent takes 1 s, the network's multiply-adds 50 ms of one thread at the bound."""
    setting = Setting(20, 13, threads)
    (entry,), [(_, results)] = measured(folder, Bar("slim", "dense", ratio, setting, "ort", ("litert",)))
    samples = dataclasses.replace(entry.opponent.cpu, minimum=1.0), dataclasses.replace(entry.opponent.wall, median=1.0)
    opponent = dataclasses.replace(entry.opponent, cpu=samples[0], wall=samples[1])
    shape = 8, 8, 20, 13, 4, 100
    layers = LayerGroup("sparse", *shape, 0.07, 0.03, 0.02), LayerGroup("dense", *shape, 0.03, 0.02, 0.02)
    row = dataclasses.replace(entry.row, layers=layers)
    slow = PairedRatio(1, 1, 1, 0.95)
    text = bars.render([dataclasses.replace(entry, row=row, opponent=opponent, ratio=slow)], results)
    assert ("out of reach" in text) == told
    assert not told or f"take {50 / threads:.1f} ms at the bound ({40 / threads:.1f} ms at the peak)" in text


def test_what_cannot_be_measured_is_not_reached(folder):
    bar = Bar("slim", "dense", 1, SETTING, "native", ("litert",))  # the tiny bundles have no native file
    reached, [(_, results)] = measured(folder, bar)
    assert not reached[0].met
    assert "not measured" in bars.render(reached, results)


def test_a_bundle_not_everybody_can_make_is_asked_for(folder):
    wanted = Bar("official", "dense", 1e-9, SETTING, "ort", ("litert",), needs="the authors' weights")
    reached, [(_, results)] = measured(folder, Bar("slim", "dense", 1e-9, SETTING, "ort", ("litert",)), wanted)
    assert [entry.met for entry in reached] == [True, False]
    assert "official in ort" in bars.render(reached, results)
    assert "not measured: needs the authors' weights" in bars.render(reached, results)
    write_tiny_bundle(folder / "official", channels=4)
    assert measured(folder, wanted)[0][0].row is not None


def test_settings_are_measured_apart_and_threads_against_one_thread(folder):
    two = Setting(20, 13, 2)
    scaling = Bar("dense", "dense", 0, two, "ort", ("ort",), 1)
    reached, runs = measured(folder, Bar("slim", "slim", 0, SETTING, "ort", ("litert",)), scaling)
    assert [setting for setting, _ in runs] == [SETTING, two]
    assert [results.settings.threads for _, results in runs] == [1, 2]
    assert reached[1].opponent.bundle == "dense on 1 thread"
    assert reached[1].met


def test_every_bar_has_its_network_made_by_the_makefile():
    made = (bars.Path(__file__).parents[2] / "Makefile").read_text()
    for bar in bars.BARS:
        assert {name for name in (bar.network, bar.against) if f"{name}" not in made} == set()


def test_unknown_networks_are_named():
    with pytest.raises(SparsrError, match="no bar for nothing"):
        bars.chosen(["nothing"])


@pytest.mark.parametrize(
    ("ratios", "kept"),
    [
        ({8: 0.8, 4: 1.25, 2: 2}, 4 + 4 * (1 - 0.8) / (1.25 - 0.8)),
        ({8: 1.5, 4: 2}, None),
        ({8: 0.5, 4: 0.9}, None),
        ({}, None),
    ],
)
def test_the_crossover_lies_where_the_line_between_two_times_passes_one(ratios, kept):
    reached = [
        bars.Reached(Bar("n", "d", 1, SETTING, kept=n), None, None, PairedRatio(ratio, ratio, ratio, 0.95))
        for n, ratio in ratios.items()
    ]
    assert bars.crossover(reached) == (kept and pytest.approx(kept))
