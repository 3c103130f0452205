"""Verdicts for machines: JUnit, GitHub's annotations and step summary, JSON."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

from sparsr.bench.budgets.check import Verdict, summary
from sparsr.runtime.files import write_bytes, write_text

_RESULT = {"broken": "failure", "not measured": "error", "elsewhere": "skipped"}
"""What JUnit calls it."""
_NOT_XML = {code: "?" for code in range(32) if code not in (9, 10, 13)}


def write_junit(verdicts: Sequence[Verdict], path: Path) -> None:
    """A test case per limit, in the form most continuous integration reads."""
    outcomes = [_RESULT.get(verdict.outcome) for verdict in verdicts]
    counts = {kind + ("s" if kind != "skipped" else ""): str(outcomes.count(kind)) for kind in _RESULT.values()}
    suite = ElementTree.Element("testsuite", {"name": "budgets", "tests": str(len(verdicts)), **counts})
    for verdict in verdicts:
        case = ElementTree.SubElement(
            suite, "testcase", {"classname": _xml(verdict.entry.title), "name": _xml(verdict.metric)}
        )
        if verdict.outcome in _RESULT:
            ElementTree.SubElement(case, _RESULT[verdict.outcome], {"message": _xml(verdict.text)})
        else:
            ElementTree.SubElement(case, "system-out").text = _xml(verdict.text)
    write_bytes(path, ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True))


def _xml(text: str) -> str:
    """Without the control characters XML 1.0 has no way to write."""
    return text.translate(_NOT_XML)


def write_json(verdicts: Sequence[Verdict], path: Path) -> None:
    """The verdicts field by field."""
    entries = [
        {
            "bundle": verdict.entry.budget.bundle,
            "target": verdict.entry.budget.target,
            "engine": verdict.entry.budget.engine,
            "metric": verdict.metric,
            "limit": verdict.limit,
            "outcome": verdict.outcome,
            "repeated": verdict.repeated,
            **dataclasses.asdict(verdict.observed),
        }
        for verdict in verdicts
    ]
    write_text(path, json.dumps({"schema": "sparsr-verdicts/1", "verdicts": entries}, indent=1) + "\n")


def github(verdicts: Sequence[Verdict], environment: Mapping[str, str] = os.environ) -> list[str]:
    """Workflow commands that mark the broken budgets' lines, where GitHub runs this; writes its step summary too."""
    if target := environment.get("GITHUB_STEP_SUMMARY"):
        with Path(target).open("a", encoding="utf-8") as file:
            file.write(markdown(verdicts))
    if environment.get("GITHUB_ACTIONS") != "true":
        return []
    return [
        f"::error file={_property(str(verdict.entry.file))},line={verdict.entry.line},"
        f"title={_property(f'{verdict.metric} {verdict.outcome}')}::{_message(verdict.text)}"
        for verdict in verdicts
        if verdict.outcome in ("broken", "not measured")
    ]


def markdown(verdicts: Sequence[Verdict]) -> str:
    """A table, worst first."""
    order = {"broken": 0, "not measured": 1, "kept": 2, "elsewhere": 3}
    rows = sorted(verdicts, key=lambda verdict: order[verdict.outcome])
    lines = [f"| {v.outcome} | {v.text[13:].replace('|', chr(92) + '|')} |" for v in rows]
    return "\n".join([f"### Budgets: {summary(verdicts)}", "", "| | |", "| --- | --- |", *lines, ""])


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
