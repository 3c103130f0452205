"""The bars: time of every bundle in every engine, with the spread of its runs."""

from __future__ import annotations

from sparsr.bench.measure.results import Results, Row
from sparsr.bench.measure.statistics import Summary
from sparsr.bench.report.markup import tag, text
from sparsr.bench.report.units import milliseconds

_BAR, _HEIGHT = 12, 22  # pixels


def render(results: Results, bundle: str) -> str:
    """A group per bundle, `bundle` first, its bars from the fastest to the slowest, all on one scale from zero."""
    measured = [row for row in results.rows if row.failure is None]
    longest = max((max(results.time(row), _summary(results, row).upper_quartile) for row in measured), default=1.0)
    groups = []
    for info in sorted(results.bundles, key=lambda info: info.id != bundle):
        rows = sorted((row for row in measured if row.bundle == info.id), key=results.time)
        bars = [_bar(results, row, longest, info.id == bundle) for row in rows]
        if bars:
            groups.append(tag("h3", text(f"{info.id} ({info.method})")) + tag("ul", *bars, class_="bars"))
    return "".join(groups) or tag("p", "Nothing was measured.")


def legend(results: Results) -> str:
    """What the bars and lines are."""
    bar = "least CPU time of all runs" if results.settings.basis == "cpu" else "median wall time"
    return (
        f"Bar: {bar}. Line: the middle half of the runs. Shorter is faster. "
        "Full colour: engines SparSR runs on; pale: engines it is only compared with."
    )


def _summary(results: Results, row: Row) -> Summary:
    summary = row.cpu if results.settings.basis == "cpu" else row.wall
    assert summary
    return summary


def _bar(results: Results, row: Row, longest: float, own: bool) -> str:
    summary, time = _summary(results, row), results.time(row)
    lengths = (time, summary.lower_quartile, summary.upper_quartile)
    length, low, high = (f"{100 * value / longest:.2f}%" for value in lengths)
    middle, top = _HEIGHT // 2, (_HEIGHT - _BAR) // 2
    bar = tag("rect", x=0, y=top, width=length, height=_BAR, rx=2)
    spread = [tag("line", x1=low, x2=high, y1=middle, y2=middle)]
    spread += [tag("line", x1=x, x2=x, y1=middle - 4, y2=middle + 4) for x in (low, high)]
    value = milliseconds(time)
    label = f"{row.engine}: {value}"
    drawing = tag("svg", bar, *spread, width="100%", height=_HEIGHT, role="img", aria_label=label)
    wrong = "" if row.correct else tag("em", " wrong output")
    cells = [tag("span", text(row.engine), wrong, class_="engine"), drawing, tag("span", text(value), class_="value")]
    kind = " ".join(["own" if own else "other", row.kind, "right" if row.correct else "wrong"])
    return tag("li", *cells, class_=kind)
