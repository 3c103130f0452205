import dataclasses
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from bench_bundles import write_tiny_bundle
from bench_results import make_results
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sparsr.bench.measure.statistics import PairedRatio
from sparsr.bench.report import page
from sparsr.bench.report.figures import figures, headline_row, verdict
from sparsr.bench.report.pictures import Pictures, densest_window, embedded
from sparsr.bench.report.units import count, giga, mebibytes, milliseconds, percent_floor, times
from sparsr.bench.targets.contract import LayerGroup
from sparsr.runtime.errors import SparsrError

VOID = {"meta", "img", "input"}


class Outline(HTMLParser):
    """Checks that elements nest, and collects text and attributes."""

    def __init__(self, source):
        super().__init__()
        self.open, self.text, self.attributes = [], [], []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.attributes += [(tag, *attribute) for attribute in attributes]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert tag not in VOID
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.text.append(data)


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    bicubic = np.asarray(Image.fromarray(small).resize((80, 60), Image.Resampling.BICUBIC))
    after = bicubic.copy()
    after[41:50, 61:70] ^= 0x80  # what the network changed
    return Pictures(small, bicubic, after, None, 2)


@pytest.fixture
def card(tmp_path):
    return write_tiny_bundle(tmp_path / "pruned", "assl").card


def words(source):
    return re.sub(r"\s+", " ", " ".join(Outline(source).text))


def test_the_page_nests_and_asks_for_nothing_outside(card, pictures):
    source = page.render("pruned", card, pictures, make_results())
    for tag, name, value in Outline(source).attributes:
        if name in ("src", "href", "data", "poster", "srcset"):
            assert value.startswith("data:image/"), (tag, name, value[:40])
    code = re.sub(r"data:image/[^\"]*", "", source)
    assert not re.search(r"https?:|//[a-z]|url\(|@import|<link|<iframe", code)


@pytest.mark.parametrize(
    "factor, value, word",
    [(2.0, "2.0×", "faster"), (0.5, "2.0×", "slower"), (1.0, "1.00×", "as fast"), (40.0, "40×", "faster")],
)
def test_the_headline_says_what_was_measured(factor, value, word, card, pictures):
    results = make_results(factor=factor)
    speed = figures(results, "pruned", card)[0]
    assert (speed.value, speed.label) == (value, word)
    assert "mnn" in speed.detail and "the dense dense" in speed.detail
    text = words(page.render("pruned", card, pictures, results))
    assert f"{value} {word}" in text
    if factor <= 1:
        assert "faster" not in text.replace("Shorter is faster", "").replace("above 1 the row is faster", "")


def test_an_interval_around_one_is_no_speed_up():
    assert verdict(PairedRatio(1.4, 0.9, 1.9, 0.95)) == ("1.40×", "as fast")
    assert verdict(PairedRatio(1.4, 1.1, 1.9, 0.95)) == ("1.40×", "faster")
    assert verdict(PairedRatio(0.5, 0.4, 0.9, 0.95)) == ("2.0×", "slower")


def test_without_an_opponent_only_the_time_is_told(card):
    results = make_results()
    alone = dataclasses.replace(
        results,
        bundles=(dataclasses.replace(results.bundles[0], counterpart=None),),
        rows=tuple(dataclasses.replace(row, opponent=None) for row in results.rows[:2]),
    )
    speed = figures(alone, "pruned", card)[0]
    assert speed.value == "5.00 ms"
    assert "no dense counterpart was measured" in speed.detail


def test_the_headline_is_taken_from_an_engine_of_the_runtime():
    results = make_results()
    faster_rival = dataclasses.replace(results.rows[0], engine="mnn", kind="rival")
    mixed = dataclasses.replace(results, rows=(faster_rival, *results.rows[1:]))
    assert headline_row(mixed, "pruned").engine == "litert"


def test_a_page_of_failures_alone_is_still_a_page(card, pictures):
    results = make_results()
    failed = dataclasses.replace(results, rows=results.rows[2:3])
    text = words(page.render("pruned", card, pictures, failed))
    assert "Nothing was measured." in text
    assert "the package ncnn is not installed" in text
    assert "faster" not in text.replace("Shorter is faster", "").replace("above 1 the row is faster", "")


def test_card_and_measurements_are_in_the_page(card, pictures):
    results = make_results()
    text = words(page.render("pruned", card, pictures, results))
    for value in ("Test CPU", "2.00× (2.00 – 2.00)", "5.00 ms", "90 MiB", "99.99 %", "Set5", "30.08"):
        assert value in text, value
    assert card.files[0].sha256[:16] in text


def test_layers_are_in_the_page_if_they_were_measured(card, pictures):
    results = make_results()
    assert "Layer by layer" not in words(page.render("pruned", card, pictures, results))
    layers = (
        LayerGroup("sparse", 64, 32, 320, 180, 3, 500_000, 0.01, 0.0065, 0.004),
        LayerGroup("<Add>", 64, 64, 320, 180, 1, 0, 0.001, 0.0),
    )
    row = dataclasses.replace(results.rows[0], engine="native", layers=layers)
    text = words(page.render("pruned", card, pictures, dataclasses.replace(results, rows=(row, *results.rows[1:]))))
    table = text[text.index("Layer by layer") :]
    assert "pruned in native" in table
    assert "sparse 3 64→32 320×180 10.0 ms 1.5 M 0.3 40 % 65 %" in table  # 2 * 1.5 M in 10 ms; at the peak 4
    assert "<Add> 1 64→64 320×180 1.00 ms – – – –" in table


def test_names_from_a_bundle_are_text_and_never_markup(card, pictures):
    hostile = '"><script>alert(1)</script><img src=http://x>'
    evil = dataclasses.replace(card, name=hostile, training={hostile: [hostile, {hostile: 1}]}, tools={"a": hostile})
    clean = page.render("pruned", card, pictures, make_results())
    source = page.render("pruned", evil, pictures, make_results())
    assert source.count("<script") == clean.count("<script")
    assert source.count("<img") == clean.count("<img")
    assert hostile in "".join(Outline(source).text)


def test_a_bundle_that_was_not_measured_is_refused(card, pictures, tmp_path):
    with pytest.raises(SparsrError, match="hold no bundle other"):
        page.write_page(tmp_path / "index.html", "other", card, pictures, make_results())
    assert not (tmp_path / "index.html").exists()


def test_page_and_comparison_are_written(card, pictures, tmp_path):
    page.write_page(tmp_path / "demo/index.html", "pruned", card, pictures, make_results())
    with Image.open(tmp_path / "demo/comparison.png") as image:
        width, height = image.size
        left = np.asarray(image.convert("RGB"))[: 60 * 5, : 80 * 5]
    assert (width, height) == (2 * 80 * 5 + 8, 60 * 5 + 40)  # two panels enlarged 5 times
    assert (left == pictures.bicubic.repeat(5, 0).repeat(5, 1)).all()


def test_the_part_shown_is_where_the_network_changed_most(pictures):
    part = pictures.part(20, 20)
    assert part.after.shape == (20, 20, 3) and part.before.shape == (10, 10, 3)
    assert not part.whole
    changed = (pictures.after != pictures.bicubic).any(axis=2).sum()
    assert (part.after != part.bicubic).any(axis=2).sum() == changed
    assert pictures.part(80, 60) is pictures


@given(st.integers(1, 7), st.integers(1, 7), st.data())
def test_densest_window_is_that_of_trying_all(height, width, data):
    rows, columns = data.draw(st.integers(height, 9)), data.draw(st.integers(width, 9))
    values = np.array(data.draw(st.lists(st.integers(0, 99), min_size=rows * columns, max_size=rows * columns)))
    values = values.reshape(rows, columns)
    top, left = densest_window(values, height, width)
    sums = {
        (y, x): values[y : y + height, x : x + width].sum()
        for y in range(rows - height + 1)
        for x in range(columns - width + 1)
    }
    assert sums[top, left] == max(sums.values())


def save(path, height, width):
    Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(path)
    return path


def test_pictures_must_belong_together(tmp_path):
    small, large, odd = (save(tmp_path / f"{n}.png", *size) for n, size in enumerate([(5, 7), (15, 21), (15, 22)]))
    assert Pictures.read(small, large, large).scale == 3
    for files in [(small, odd, None), (large, small, None), (small, large, odd)]:
        with pytest.raises(SparsrError):
            Pictures.read(*files)


def test_embedded_pictures_are_the_pictures(pictures):
    import base64
    import io

    kind, data = embedded(pictures.after, lossless=True).split(";base64,")
    assert kind == "data:image/png"
    assert (np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))) == pictures.after).all()


@pytest.mark.parametrize(
    "function, value, written",
    [
        (milliseconds, 0.0443, "44.3 ms"),
        (milliseconds, 0.00512, "5.12 ms"),
        (milliseconds, 1.2345, "1234 ms"),
        (milliseconds, 12.34, "12.3 s"),
        (mebibytes, 5 * 2**19, "2.5 MiB"),
        (mebibytes, 100 * 2**20, "100 MiB"),
        (times, 1.074, "1.07×"),
        (times, 3.74, "3.7×"),
        (times, 41.6, "42×"),
        (count, 708_123, "708\u00a0K"),
        (count, 1_517_571, "1.52\u00a0M"),
        (count, 42, "42"),
        (giga, 40.68, "40.7 G"),
        (giga, 1126.4, "1,126 G"),
        (percent_floor, 1.0, "100 %"),
        (percent_floor, 0.999999, "99.99 %"),
    ],
)
def test_figures_are_written_for_people(function, value, written):
    assert function(value) == written
