"""A worker behind two pipes, and what becomes of one that does not behave."""

import os
import sys

import pytest

from sparsr.bench.targets.contract import Job, WorkerError
from sparsr.bench.targets.remote import hint
from sparsr.bench.targets.session import PipeSession

JOB = Job("native", "model", 1, (), "image", 4, 4, "output")
READY = '{"load": 1, "first": 1}'


def session(*answers, timeout=20.0, after="", explain=lambda said: ""):
    """A worker that gives these answers, one for every line it reads."""
    lines = "; ".join(f"sys.stdin.readline(); print({answer!r}, flush=True)" for answer in (READY, *answers))
    command = [sys.executable, "-c", f"import sys, time; {lines}; {after}"]
    return PipeSession(command, JOB, timeout, os.environ, explain)


@pytest.fixture
def opened():
    sessions = []
    yield lambda *arguments, **options: sessions.append(session(*arguments, **options)) or sessions[-1]
    for one in sessions:
        one.close()


@pytest.mark.parametrize(
    "sample",
    [
        '{"cpu": 0.1, "wall": -3.5, "reference": 0.1}',
        '{"cpu": -0.1, "wall": 3.5, "reference": 0.1}',
        '{"cpu": 0.1, "wall": 3.5, "reference": -0.1}',
        '{"cpu": 0, "wall": 0, "reference": 0}',
    ],
)
def test_a_clock_that_goes_backwards_or_stands_is_no_measurement(sample, opened):
    with pytest.raises(WorkerError, match="cannot be") as raised:
        opened(sample).run()
    assert "clocks are wrong" in raised.value.hint


@pytest.mark.parametrize(
    "sample", ['{"cpu": NaN, "wall": 1, "reference": 1}', '{"cpu": 1e999, "wall": 1, "reference": 1}']
)
def test_times_that_are_no_numbers_are_refused(sample, opened):
    with pytest.raises(WorkerError, match="not a worker's answer"):
        opened(sample).run()


def test_last_words_come_with_what_to_do(opened):
    with pytest.raises(WorkerError, match="exit code 3: error: device offline") as raised:
        opened(
            after="sys.stdin.readline(); sys.exit(print('error: device offline', file=sys.stderr) or 3)", explain=hint
        ).run()
    assert raised.value.hint == "plug it in again, or `adb reconnect`"


def test_an_end_without_a_word_is_no_crash(opened):
    with pytest.raises(WorkerError, match="ended before it answered"):
        opened(explain=hint).run()


def test_a_silent_worker_is_left_in_the_end(opened):
    with pytest.raises(WorkerError, match="no answer within"):
        opened(after="time.sleep(60)", timeout=2.0).run()


def test_an_endless_answer_is_cut_off(opened):
    with pytest.raises(WorkerError, match="more than 16 MiB"):
        opened(after="sys.stdin.readline(); [sys.stdout.write('x' * 10**6) for _ in range(40)]").run()


@pytest.mark.parametrize(
    ("said", "part"),
    [
        ("error: more than one device/emulator", "adb:SERIAL"),
        ("error: no devices/emulators found", "allow debugging"),
        ("/tmp/x/sparsr_bench: cannot execute binary file: Exec format error", "processor is another"),
        ("mktemp: failed to create: Read-only file system", "TMPDIR"),
        ("./sparsr_bench: Permission denied", "programs may be started"),
        ("Host key verification failed.", "accept the key"),
    ],
)
def test_complaints_have_their_own_hints(said, part):
    assert part in hint(said)
