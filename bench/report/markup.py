"""HTML fragments."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Any

_VOID = ("img", "input")  # elements without an end


def tag(name: str, *content: str, **attributes: Any) -> str:
    """An element around markup that is already escaped; `class_` stands for `class`. Attributes are escaped."""
    words = [f'{key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"' for key, value in attributes.items()]
    start = f"<{' '.join([name, *words])}>"
    return start if name in _VOID else f"{start}{''.join(content)}</{name}>"


def text(value: object) -> str:
    """`value` as escaped text."""
    return html.escape(str(value))


def table(header: Iterable[str], rows: Iterable[Iterable[str]], numeric_from: int) -> str:
    """A table of escaped cells, in a box that scrolls sideways where the screen is narrow.

    Columns from `numeric_from` on are aligned as figures.
    """

    def line(kind: str, cells: Iterable[str]) -> str:
        return tag("tr", *(tag(kind, c, class_="figure" if n >= numeric_from else "name") for n, c in enumerate(cells)))

    head = tag("thead", line("th", header))
    return tag("div", tag("table", head, tag("tbody", *(line("td", row) for row in rows))), class_="scroll")
