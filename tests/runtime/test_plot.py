"""Plots: points where their values say, axes with round numbers, text that cannot break the drawing."""

import xml.etree.ElementTree as ElementTree

import pytest

from sparsr.runtime.plot import Series, plot

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*arguments, **options):
    return ElementTree.fromstring(plot(*arguments, **options))


def circles(root):
    return [(float(c.get("cx")), float(c.get("cy"))) for c in root.iter(f"{SVG}circle")]


def test_points_lie_in_proportion():
    places = circles(drawn("t", "x", "y", [Series("s", [(0, 0), (5, 1), (10, 4)])]))
    (x0, y0), (x1, y1), (x2, y2) = places
    assert x1 - x0 == pytest.approx((x2 - x0) / 2, abs=0.2)
    assert y0 - y1 == pytest.approx((y0 - y2) / 4, abs=0.2)
    assert 0 < x0 < x2 < 640 and 0 < y2 < y0 < 420


def test_logarithmic_axes():
    (x0, _), (x1, _), (x2, _) = circles(
        drawn("t", "x", "y", [Series("s", [(1, 0), (10, 1), (100, 2)])], logarithmic=True)
    )
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)


def test_ticks_are_round_and_stand_at_their_values():
    root = drawn("t", "x", "y", [Series("s", [(0, 20), (40, 30)])])
    (x0, _), (x40, _) = circles(root)
    ticks = [(t.text, float(t.get("x"))) for t in root.iter(f"{SVG}text") if t.get("text-anchor") == "middle"]
    at = {text: x for text, x in ticks if text in ("0", "10", "20", "40")}
    assert at["0"] == pytest.approx(x0, abs=0.2)
    assert at["20"] == pytest.approx((x0 + x40) / 2, abs=0.2)


@pytest.mark.parametrize("points", [[(3, 3)], [(0, 0)], [(-5, 2), (-5, 2)]])
def test_one_value_is_enough(points):
    assert len(circles(drawn("t", "x", "y", [Series("s", points)]))) == len(points)


def test_nothing_to_plot():
    with pytest.raises(ValueError, match="nothing"):
        plot("t", "x", "y", [Series("s", [])])


def test_text_is_escaped():
    root = drawn("<a> & b", "x", "y", [Series("</svg>", [(0, 0)], labels=["<script>"])])
    assert {"<a> & b", "</svg>", "<script>"} <= {text.text for text in root.iter(f"{SVG}text")}
