"""What a report says of several results and of baselines, whatever it is written as."""

import dataclasses
import json
import re

import numpy as np
import pytest
from PIL import Image

from sparsr.bench.budgets.baseline import Baseline, Figure
from sparsr.bench.cli import main
from sparsr.bench.measure import results as results_file
from sparsr.bench.measure.steadiness import busy, steadiness
from sparsr.bench.report import bars, history, noise, points, ratios
from sparsr.bench.report.blocks import Charts, Note, Table
from sparsr.bench.report.cases import best, cases, places
from sparsr.bench.report.compose import Sources, compose
from sparsr.bench.report.drawing import Box, Dot, Drawing, Path, Words, pixels
from sparsr.bench.report.points import pareto_front
from sparsr.bench.report.table import render
from sparsr.bench.targets.contract import Counters
from tests.bench.bench_results import make_results, make_row


def on(name, results=None, **changes):
    """Results of a machine called so."""
    results = results or make_results()
    return dataclasses.replace(results, machine=dataclasses.replace(results.machine, name=name), **changes)


def words(drawing):
    return [shape.content for shape in drawing.shapes if isinstance(shape, Words)]


def blocks(section, kind):
    return [block for block in section.blocks if isinstance(block, kind)]


def test_places_are_called_by_what_tells_them_apart():
    large = dataclasses.replace(make_results().settings, width=320)
    assert places([on("A"), on("B")]) == ["A", "B"]
    assert places([on("A"), on("A", settings=large)]) == ["A, 20×13", "A, 320×13"]
    assert len(set(places([on("A"), on("A")]))) == 2


def test_the_chart_has_every_target_and_the_fastest_engine_of_a_kind():
    found = cases([on("desktop"), on("phone", make_results(factor=4.0))])
    shown = {(case.place, case.row.bundle, case.row.engine) for case in best(found)}
    assert shown == {
        (place, bundle, engine)
        for place in ("desktop", "phone")
        for bundle, engine in (("pruned", "ort"), ("dense", "ort"), ("dense", "mnn"))
    }
    drawn = words(bars.latency(found))
    assert "ort · phone" in drawn and "2.50 ms" in drawn and "5.00 ms" in drawn


def test_bars_are_in_proportion():
    drawing = bars.latency(cases([make_results()]))
    lengths = {shape.colour: shape.width for shape in drawing.shapes if isinstance(shape, Box)}
    assert lengths["accent"] / lengths["grey-soft"] == pytest.approx(
        0.5, rel=0.01
    )  # 5 ms of pruned, 10 ms of dense in mnn
    assert lengths["grey"] / lengths["grey-soft"] == pytest.approx(2, rel=0.01)


def test_emulated_times_are_in_no_chart_and_no_table_but_counters_are():
    counted = dataclasses.replace(
        make_row("pruned", "native"), source="emulated", counters=Counters(1_500_000, 2_500_000, 3 * 2**20)
    )
    report = compose(Sources([on("desktop"), on("emulator", make_results([counted]))]))
    assert "emulator" not in json.dumps(
        [words(d) for s in report.sections for c in blocks(s, Charts) for d in c.drawings.values()]
    )
    (counters,) = (section for section in report.sections if section.title == "Counted")
    assert blocks(counters, Table)[0].rows == [
        ("pruned", "native", "emulator", "emulated", "1.5 M".replace(" ", "\u00a0"), "2.5\u00a0M", "3.0 MiB")
    ]


def test_ratios_of_every_place():
    table = ratios.table(cases([on("desktop"), on("phone", make_results(factor=4.0))]))
    times = {row[1]: row[4] for row in table.rows}
    assert times["desktop"].startswith("2.0× faster") and times["phone"].startswith("4.0× faster")
    assert {row[5] for row in table.rows} == {"1.00× less"}


@pytest.mark.parametrize("seed", range(5))
def test_the_front_is_what_no_other_point_beats(seed):
    rng = np.random.default_rng(seed)
    cloud = [tuple(point) for point in rng.integers(0, 12, (20, 2)).tolist()]
    front = pareto_front(cloud)
    for cost, value in cloud:
        beaten = any(c <= cost and v >= value and (c, v) != (cost, value) for c, v in cloud)
        assert ((cost, value) in front) != beaten
    assert front == sorted(front)


def test_quality_over_time_needs_a_data_set_two_networks_share():
    results = make_results()
    scores = [{"Set5": {"psnr_y": 31.0}, "A": {"psnr_y": 1.0}}, {"Set5": {"psnr_y": 32.0}}]
    infos = [dataclasses.replace(info, quality=quality) for info, quality in zip(results.bundles, scores, strict=True)]
    (drawing,) = points.quality(cases([dataclasses.replace(results, bundles=tuple(infos))])).values()
    (cheap, fast), (dear, good) = sorted((shape.x, shape.y) for shape in drawing.shapes if isinstance(shape, Dot))
    assert cheap < dear and good < fast  # y grows downwards
    assert "dB of luma on Set5, ×2, over ms for one image" in words(drawing)
    assert points.quality(cases([results])) == {}


def reference(results, samples):
    rows = [dataclasses.replace(row, reference_samples=tuple(samples)) for row in results.rows]
    return dataclasses.replace(results, rows=tuple(rows))


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        ([1.0] * 30, "steady"),
        ([1.0, 1.3] * 15, "other work on it"),
        (list(np.linspace(1, 1.5, 30)), "throttled"),
        ([1.0] * 3, None),
        ([], None),
    ],
)
def test_a_disturbed_or_throttled_processor_is_told(samples, said):
    results = reference(make_results(), samples)
    found = steadiness(results)
    assert (found is None) if said is None else (said in found.verdict)
    ((_place, verdict, *_),) = blocks(noise.section([results]), Table)[0].rows
    assert (said or "not known") in verdict


@pytest.mark.parametrize(("wall", "told"), [(10, False), (11, False), (18, True)])
def test_a_busy_machine_is_told_by_what_runs_waited(wall, told):
    results = make_results([make_row("pruned", "ort", [10, 10, 10], [wall, wall, wall])])
    sentence = "the machine was busy: runs took 1.8 times their CPU time"
    assert (sentence in render(results)) is told
    assert any(sentence in note.text for note in blocks(noise.section([results]), Note)) is told
    several = dataclasses.replace(results, settings=dataclasses.replace(results.settings, threads=2))
    assert busy(several) is None  # they wait for each other


def baseline(day, value, metric="instructions"):
    figure = Figure("models/slim", "emu:cortex-a76", "native", "20x13", 1, metric, value, "")
    return Baseline(f"2026-01-{day:02}T00:00:00+00:00", (figure,))


def test_the_history_is_in_order_and_tells_the_change():
    section = history.section([baseline(20, 1.1e6), baseline(10, 1e6)])
    ((charts,), (table,)) = blocks(section, Charts), blocks(section, Table)
    assert table.header[3:5] == ("2026-01-10", "2026-01-20")
    assert table.rows[0][-1] == "+10.0 %"
    (line,) = (
        s for s in charts.drawings["history_instructions"].shapes if isinstance(s, Path) and s.colour == "accent"
    )
    (x0, y0), (x1, y1) = line.points
    assert x0 < x1 and y0 > y1
    assert blocks(history.section([baseline(1, 5.0)]), Charts) == []


def test_a_drawing_as_pixels_has_its_shapes_where_they_are():
    drawing = Drawing(
        40,
        20,
        "t",
        (Box(10, 5, 20, 10, "alarm"), Dot(5, 10, 3, "ink"), Path([(0, 1), (40, 1)], "ink"), Words(1, 18, "x")),
    )
    picture = pixels(drawing)
    assert picture.shape == (40, 80, 3)
    assert tuple(picture[20, 40]) == (0xB3, 0x26, 0x1E)
    assert tuple(picture[20, 70]) == (0xFB, 0xFB, 0xF9)
    assert tuple(picture[20, 10]) == (0x1B, 0x1E, 0x22)


@pytest.fixture
def files(tmp_path):
    """A results file and a baseline."""
    results_file.save(make_results(), tmp_path / "bench.json")
    for day in (1, 2):
        (tmp_path / f"baseline{day}.json").write_text(json.dumps(dataclasses.asdict(baseline(day, 1e6 + day))))
    return [str(tmp_path / name) for name in ("bench.json", "baseline1.json", "baseline2.json")]


def test_the_command_writes_page_and_markdown_with_its_pictures(files, tmp_path, capsys):
    page, text = tmp_path / "out/report.html", tmp_path / "out/report.md"
    assert main(["report", *files, "-o", str(page), "-o", str(text)]) == 0
    written = capsys.readouterr().out.split()
    shown = re.findall(r"!\[[^]]*\]\(([^)]+)\)", text.read_text())
    assert shown and all(str(tmp_path / "out" / name) in written for name in shown)
    for name in shown:
        with Image.open(tmp_path / "out" / name) as image:
            assert min(image.size) > 100
    assert "From baseline to baseline" in page.read_text() and "2.0× faster" in page.read_text()
    assert "2.0× faster" in text.read_text()


def test_markdown_has_no_markup_of_a_name(tmp_path):
    results_file.save(on("a|b <img src=x> [c](d)"), tmp_path / "bench.json")
    assert main(["report", str(tmp_path / "bench.json"), "-o", str(tmp_path / "report.md")]) == 0
    text = (tmp_path / "report.md").read_text()
    assert "<img" not in text.replace("\\<img", "")
    lines = text.splitlines()
    (header,) = (line for line in lines if line.startswith("| Network | Engine | CPU"))
    rows = [line for line in lines if line.startswith("| pruned | ort")]
    assert rows and all(line.replace("\\|", "").count("|") == header.count("|") for line in rows)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["absent.json", "-o", "r.html"], "no results file absent.json"),
        (["other.json", "-o", "r.html"], "sparsr-bench/9"),
        (["bench.json", "-o", "r.pdf"], "cannot be written as 'r.pdf'"),
        (["baseline1.json", "-o", "r.html"], "no results to report"),
        (["bench.json", "-o", "r.html", "--before", "x.png"], "a picture before and after"),
    ],
)
def test_what_makes_no_report_is_one_sentence(options, message, files, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.json").write_text('{"schema": "sparsr-bench/9"}')
    assert main(["report", *options]) == 2
    said = capsys.readouterr().err
    assert message in said and "hint:" in said
    assert not (tmp_path / "r.html").exists()
