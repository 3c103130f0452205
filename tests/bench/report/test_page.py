import dataclasses
import re
from html.parser import HTMLParser

import pytest

from sparsr.bench.measure.statistics import PairedRatio
from sparsr.bench.report import page
from sparsr.bench.report.compose import Sources, compose
from sparsr.bench.report.figures import figures, headline_row, verdict
from sparsr.bench.targets.contract import LayerGroup
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.model.bundle import Bundle
from tests.bench.bench_results import make_results

VOID = {"meta", "img", "input", "link"}


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


def words(source):
    return re.sub(r"\s+", " ", " ".join(Outline(source).text))


def render(results, pruned=None, pictures=None):
    return page.render(compose(Sources([results], bundle=pruned, pictures=pictures)))


def test_the_page_nests_and_asks_for_nothing_outside(pruned, pictures):
    source = render(make_results(), pruned, pictures)
    for tag, name, value in Outline(source).attributes:
        if name in ("src", "href", "data", "poster", "srcset"):
            assert value.startswith("data:"), (tag, name, value[:40])
    code = re.sub(r"data:image/[^\"]*", "", source)
    assert not re.search(r"https?:|//[a-z]|url\(|@import|<iframe", code)


@pytest.mark.parametrize(
    "factor, value, word",
    [(2.0, "2.0×", "faster"), (0.5, "2.0×", "slower"), (1.0, "1.00×", "as fast"), (40.0, "40×", "faster")],
)
def test_the_headline_says_what_was_measured(factor, value, word, pruned):
    results = make_results(factor=factor)
    speed = figures(results, "pruned", None)[0]
    assert (speed.value, speed.label) == (value, word)
    assert "mnn" in speed.detail and "the dense dense" in speed.detail
    text = words(render(results, pruned))
    assert f"{value} {word}" in text
    if factor <= 1:
        assert "faster" not in text.replace("above 1 the row is faster", "")


def test_an_interval_around_one_is_no_speed_up():
    assert verdict(PairedRatio(1.4, 0.9, 1.9, 0.95)) == ("1.40×", "as fast")
    assert verdict(PairedRatio(1.4, 1.1, 1.9, 0.95)) == ("1.40×", "faster")
    assert verdict(PairedRatio(0.5, 0.4, 0.9, 0.95)) == ("2.0×", "slower")


def test_without_an_opponent_only_the_time_is_told():
    results = make_results()
    alone = dataclasses.replace(
        results,
        bundles=(dataclasses.replace(results.bundles[0], counterpart=None),),
        rows=tuple(dataclasses.replace(row, opponent=None) for row in results.rows[:2]),
    )
    speed = figures(alone, "pruned", None)[0]
    assert speed.value == "5.00 ms"
    assert "no dense counterpart was measured" in speed.detail


def test_work_is_that_of_weights_that_are_not_zero():
    results = make_results()
    sparse = dataclasses.replace(results.bundles[0], gmacs_720p=40.0, nonzero=0.0625)
    found = figures(dataclasses.replace(results, bundles=(sparse, results.bundles[1])), "pruned", None)
    assert "2.5 G" in [figure.value for figure in found]


def test_the_headline_is_taken_from_an_engine_of_the_runtime():
    results = make_results()
    faster_rival = dataclasses.replace(results.rows[0], engine="mnn", kind="rival")
    mixed = dataclasses.replace(results, rows=(faster_rival, *results.rows[1:]))
    assert headline_row(mixed, "pruned").engine == "litert"


def test_a_page_of_failures_alone_is_still_a_page(pruned, pictures):
    results = make_results()
    failed = dataclasses.replace(results, rows=results.rows[2:3])
    text = words(render(failed, pruned, pictures))
    assert "No time was measured." in text
    assert "the package ncnn is not installed" in text
    assert "faster" not in text


def test_card_and_measurements_are_in_the_page(pruned):
    text = words(render(make_results(), pruned))
    for value in ("Test CPU", "2.00× (2.00 – 2.00)", "5.00 ms", "90 MiB", "99.99 %", "Set5", "30.08"):
        assert value in text, value
    assert Bundle.open(pruned).card.files[0].sha256[:16] in text


def test_layers_are_in_the_page_if_they_were_measured(pruned):
    results = make_results()
    assert "Layer by layer" not in words(render(results, pruned))
    layers = (
        LayerGroup("sparse", 64, 32, 320, 180, 3, 500_000, 0.01, 0.0065, 0.004),
        LayerGroup("<Add>", 64, 64, 320, 180, 1, 0, 0.001, 0.0),
    )
    row = dataclasses.replace(results.rows[0], engine="native", layers=layers)
    text = words(render(dataclasses.replace(results, rows=(row, *results.rows[1:])), pruned))
    shares, table = text[text.index("Where the time goes") :].split("Layer by layer")
    assert "3 × sparse 64→32, 320×180 91 %" in shares and "1 × <Add> 64→64, 320×180 9 %" in shares
    assert "pruned in native" in table
    assert "sparse 3 64→32 320×180 10.0 ms 1.5 M 0.3 40 % 65 %" in table  # 2 * 1.5 M in 10 ms; at the peak 4
    assert "<Add> 1 64→64 320×180 1.00 ms – – – –" in table


def test_names_from_a_bundle_and_from_results_are_text_and_never_markup(pruned, pictures):
    hostile = '"><script>alert(1)</script><img src=http://x>'
    results = make_results()
    machine = dataclasses.replace(results.machine, name=hostile, facts={hostile: hostile})
    evil = dataclasses.replace(results, machine=machine)
    clean, source = render(results, pruned, pictures), render(evil, pruned, pictures)
    assert source.count("<script") == clean.count("<script")
    assert source.count("<img") == clean.count("<img")
    assert hostile in "".join(Outline(source).text)


def test_a_bundle_that_was_not_measured_is_refused(pruned):
    other = pruned.rename(pruned.with_name("other"))
    with pytest.raises(SparsrError, match="hold no bundle other"):
        render(make_results(), other)
