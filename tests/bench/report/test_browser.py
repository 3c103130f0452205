"""The report as a browser shows it: nothing on its console, nothing wider than a phone, a slider that moves."""

import pytest

from sparsr.bench.report import page
from sparsr.bench.report.compose import Sources, compose
from sparsr.bench.report.gallery import Exhibit
from tests.bench.bench_results import make_results
from tests.bench.report import browser
from tests.bench.report.test_compose import baseline

PAPER = {"light": (0xFB, 0xFB, 0xF9), "dark": (0x14, 0x17, 0x1A)}


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    if not browser.installed():
        pytest.skip("needs Chromium (apt install chromium)")
    opened = browser.Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


@pytest.fixture
def report(pruned, pictures, tmp_path):
    history = [baseline(1, 1e6), baseline(2, 1.1e6)]
    exhibit = Exhibit("A drawing", "data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciLz4=")
    sources = Sources([make_results()], history, pruned, pictures, [exhibit])
    path = tmp_path / "report.html"
    path.write_text(page.render(compose(sources)))
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_fits_and_the_console_is_clean(chromium, report, width, scheme):
    chromium.complaints.clear()
    chromium.open(report, width, 800, scheme)
    assert chromium.evaluate("document.documentElement.scrollWidth") <= width
    corner = chromium.screenshot()[2, 2]
    assert tuple(corner) == PAPER[scheme]
    assert chromium.complaints == []


def test_charts_are_drawn_and_text_is_legible_on_a_phone(chromium, report):
    chromium.open(report, 360, 800, "light")
    heights = chromium.evaluate(
        "[...document.querySelectorAll('.drawing text')].map(t => t.getBoundingClientRect().height)"
    )
    assert len(heights) > 10 and min(heights) >= 8
    assert chromium.evaluate("[...document.querySelectorAll('img')].every(image => image.complete)")


def test_the_slider_moves_the_edge_and_the_buttons_choose_the_left_side(chromium, report):
    chromium.complaints.clear()
    chromium.open(report, 1280, 800, "light")
    move = "const c = document.querySelector('.view input'); c.value = 25; c.dispatchEvent(new Event('input'));"
    chromium.evaluate(f"(() => {{ {move} }})()")
    assert chromium.evaluate("document.querySelector('.view').style.getPropertyValue('--at')") == "25%"
    chromium.evaluate("document.querySelector('[data-choice=pixels]').click()")
    assert chromium.evaluate("document.querySelector('.at-left').textContent") == "pixels"
    assert chromium.evaluate("document.querySelector('img.pixels').hidden") is False
    assert chromium.evaluate("document.querySelector('img.bicubic').hidden") is True
    assert chromium.complaints == []
