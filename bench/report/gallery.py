"""Further pictures of a report: mask pictures, patch maps, plots. Each with a caption, as it is."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

from sparsr.bench.report.pictures import embedded
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.media.images import read_image

_MAX_SVG = 2_000_000  # bytes


@dataclass(frozen=True)
class Exhibit:
    """A picture with its caption."""

    caption: str
    source: str
    """`data:` address."""

    @classmethod
    def read(cls, wish: str) -> Exhibit:
        """From `CAPTION=FILE`: a picture, or an SVG drawing, which browsers show without running what is in it.

        Raises `SparsrError` for anything else.
        """
        caption, sign, name = wish.rpartition("=")
        path = Path(name)
        if not (sign and caption):
            raise SparsrError(f"{wish!r} is not CAPTION=FILE", 'for example --exhibit "Where it computes=masks.png"')
        if path.suffix.lower() != ".svg":
            return cls(caption, embedded(read_image(path).rgb))
        if not path.is_file():
            raise SparsrError(f"there is no drawing {path}", "check the path")
        content = path.read_bytes()
        if len(content) > _MAX_SVG or b"<svg" not in content[:1000]:
            raise SparsrError(f"{path} is not an SVG drawing of at most {_MAX_SVG // 10**6} MB", "give another file")
        return cls(caption, f"data:image/svg+xml;base64,{base64.b64encode(content).decode()}")
