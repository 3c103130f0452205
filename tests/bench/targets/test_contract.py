import json

import pytest

from sparsr.bench.targets.contract import (
    Counters,
    Finished,
    Job,
    LayerGroup,
    Memory,
    Ready,
    Sample,
    WorkerError,
    encode,
    read_answer,
    read_job,
)
from sparsr.bench.targets.names import TARGETS, open_target
from sparsr.runtime.errors import SparsrError

JOB = Job("native", "model", 2, (0, 3), "image", 20, 13, "output")
GROUP = LayerGroup("dense", 4, 8, 10, 5, 1, 150, 3.0, 1.5, 1.0)


def test_a_job_arrives_as_it_was_sent():
    assert read_job(encode(JOB)) == JOB


@pytest.mark.parametrize(
    "answer",
    [
        Ready(0.5, 0.25),
        Sample(1.0, 2.0, 0.125),
        Finished(40, 26, None),
        Finished(40, 26, Memory(1, 2), Counters(5, None, 7), (GROUP, GROUP)),
    ],
    ids=lambda answer: type(answer).__name__,
)
def test_answers_arrive_as_they_were_sent(answer):
    assert read_answer(type(answer), encode(answer)) == answer


def test_what_a_later_worker_adds_is_ignored():
    line = json.dumps(json.loads(encode(Ready(0.5, 0.25))) | {"energy": 3})
    assert read_answer(Ready, line) == Ready(0.5, 0.25)


def test_a_failure_in_place_of_an_answer_is_raised_with_its_hint():
    with pytest.raises(WorkerError, match="no such layer") as raised:
        read_answer(Ready, '{"error": "no such layer", "hint": "export it again"}')
    assert raised.value.hint == "export it again"


@pytest.mark.parametrize("line", ["", "hello", "[1]", "{}", '{"load": "x", "first": 1}', b"\xff\xfe", "[" * 100_000])
def test_other_lines_are_refused_in_a_sentence(line):
    with pytest.raises(WorkerError, match="not a worker's answer"):
        read_answer(Ready, line)


@pytest.mark.parametrize("name", ["nonsense", "", "cpu:1", "CPU"])
def test_unknown_targets_are_refused(name):
    with pytest.raises(SparsrError, match="there is no target"):
        open_target(name)


def test_every_target_is_written_as_its_kind():
    assert all(how.startswith(kind) for kind, (_, _, how) in TARGETS.items())
