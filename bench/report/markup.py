"""HTML fragments."""

from __future__ import annotations

import html
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
