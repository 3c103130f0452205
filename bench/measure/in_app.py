"""Measuring in SparSR's app on a phone: what its users get, by the way they get it (`docs/android.md`).

The app measures bundles that it has been given, on its own, and leaves one file of the same schema. It is told by the
activity that only a shell may start.
"""

from __future__ import annotations

import dataclasses
import json
import re
import secrets
import shlex
import time
from collections.abc import Sequence
from contextlib import suppress

from sparsr.bench.measure import results
from sparsr.bench.measure.plan import Plan, Subject
from sparsr.bench.targets.adb import Adb
from sparsr.bench.targets.cores import NAMED
from sparsr.runtime.errors import SparsrError

PACKAGE = "dev.sparsr.demo"
_ACTIVITY = f"{PACKAGE}/.app.BenchActivity"
_PAUSE = 0.5  # seconds between looking for the file


class UnusableAppError(SparsrError):
    """The app is not there, or cannot measure what is asked for: the runner can still be sent."""


def measure_in_app(plan: Plan) -> results.Results:
    """Have the app on the plan's phone carry the plan out; its results, the rows' target the phone's name.

    Raises `UnusableAppError` where the app or a bundle in it is missing, another one than ours, or the plan asks for
    what the app cannot do; `SparsrError` where the phone cannot be reached or the app fails at it. The app is stopped
    and its file removed, whatever happens.
    """
    plan.check()
    phone = plan.target
    if not isinstance(phone, Adb):
        raise SparsrError(f"there is no app on the target {phone.name}", "--app goes with --target adb[:SERIAL]")
    out = f"sparsr-{secrets.token_hex(8)}.json"
    words = _words(plan, out)
    if f"package:{PACKAGE}" not in phone.shell("pm list packages").decode(errors="replace").split():
        raise UnusableAppError(f"{PACKAGE} is not installed", "make apk && adb install build/android/sparsr-demo.apk")
    try:
        start = f"am start -W -S -n {_ACTIVITY} --es args {shlex.quote(' '.join(words))}"
        said = phone.shell(start).decode(errors="replace")
        if "Error" in said:
            raise UnusableAppError(f"the app does not start: {said.strip().splitlines()[-1]}", "install it again")
        content = _wait(phone, out, time.monotonic() + _longest(plan))
    finally:
        with suppress(SparsrError):
            phone.shell(f"am force-stop {PACKAGE}; rm -f {_places(out)[1]}; run-as {PACKAGE} rm -f files/results/{out}")
    return _checked(plan, content)


def _words(plan: Plan, out: str) -> list[str]:
    """The plan as the app is told it. Raises `UnusableAppError` for what it cannot be told."""
    names = [subject.id for subject in plan.subjects]
    for asked, option in ((plan.image is not None, "--image"), (plan.cores not in NAMED, f"--cores {plan.cores}")):
        if asked:
            raise UnusableAppError(f"the app knows no {option}")
    if not all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", name) for name in names):
        raise UnusableAppError("the app knows bundles by the names of their folders, of letters, digits and . _ -")
    return [
        f"bundles={','.join(names)}",
        f"engines={','.join(plan.engines)}",
        f"size={plan.width}x{plan.height}",
        f"threads={plan.threads}",
        f"rounds={plan.rounds}",
        f"sustained={round(plan.sustained)}",
        f"cores={plan.cores}",
        f"out={out}",
    ]


def _longest(plan: Plan) -> float:
    """Seconds that the app may take."""
    workers = len(plan.subjects) * len(plan.engines)
    return workers * plan.timeout + min(plan.max_seconds, 3600.0) + plan.sustained


def _places(out: str) -> tuple[str, str]:
    """Commands and paths by which a shell reads the app's file: of a debuggable build, and of any."""
    return f"run-as {PACKAGE} cat files/results/{out}", f"/sdcard/Android/data/{PACKAGE}/files/results/{out}"


def _wait(phone: Adb, out: str, until: float) -> bytes:
    own, shared = _places(out)
    while time.monotonic() < until:
        content = phone.shell(f"cat {shared} 2> /dev/null || {own} 2> /dev/null || true")
        if content.strip():
            return content
        time.sleep(_PAUSE)
    raise SparsrError(f"the app on {phone.name} has not finished", "look at its screen; allow more by --timeout")


def _checked(plan: Plan, content: bytes) -> results.Results:
    """The app's results, if they are of our bundles."""
    name = f"what the app on {plan.target.name} wrote"
    with suppress(ValueError):
        data = json.loads(content)
        if isinstance(data, dict) and "error" in data:
            raise UnusableAppError(str(data["error"])[:300], str(data.get("hint", ""))[:300])
    measured = results.parse(content, name, "is the app of the same version? make apk, and install it again")
    _check_bundles(plan.subjects, measured)
    rows = tuple(dataclasses.replace(row, target=f"{plan.target.name}, app") for row in measured.rows)
    return dataclasses.replace(measured, rows=rows)


def _check_bundles(subjects: Sequence[Subject], measured: results.Results) -> None:
    """Raises `UnusableAppError` if the app's bundles have other files than ours."""
    theirs = {info.id: info.files for info in measured.bundles}
    for subject in subjects:
        ours = {file.name: file.bytes for file in subject.card.files}
        if theirs.get(subject.id) != ours:
            raise UnusableAppError(f"the app's bundle {subject.id} is another one", "bring this one into the app first")
