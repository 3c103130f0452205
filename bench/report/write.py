"""Reads what a report is made of, and writes it in the form the file's name asks for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from sparsr.bench.budgets import baseline
from sparsr.bench.measure import results
from sparsr.bench.report import markdown, page
from sparsr.bench.report.blocks import Report
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.files import write_text
from sparsr.runtime.media.images import write_image

FORMS = (".html", ".md")


def read_sources(files: Sequence[Path]) -> tuple[list[results.Results], list[baseline.Baseline]]:
    """Results and baselines, told apart by their schema. Raises `SparsrError` for any other file."""
    found, baselines = [], []
    for path in files:
        if _schema(path) == baseline.SCHEMA:
            baselines.append(baseline.load_baseline(path))
        else:
            found.append(results.load(path))
    return found, baselines


def _schema(path: Path) -> object:
    """What the file says it is; None if it is nothing of the kind."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return data.get("schema") if isinstance(data, dict) else None


def check_form(path: Path) -> Path:
    """The path. Raises `SparsrError` if its name asks for no known form."""
    if path.suffix not in FORMS:
        raise SparsrError(f"a report cannot be written as {path.name!r}", f"end the name in {' or '.join(FORMS)}")
    return path


def write_report(report: Report, path: Path) -> list[Path]:
    """Write `NAME.html`, self-contained, or `NAME.md` with its PNGs in `NAME_files`; the files written."""
    if check_form(path).suffix == ".html":
        write_text(path, page.render(report))
        return [path]
    folder = path.with_name(f"{path.stem}_files")
    text, pictures = markdown.render(report, folder.name)
    written = []
    for name, pixels in pictures.items():
        write_image(folder / name, pixels)
        written.append(folder / name)
    write_text(path, text)
    return [*written, path]
