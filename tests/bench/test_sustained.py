from types import SimpleNamespace

import pytest

from sparsr.bench.measure.sustained import Moment, slowdown, sustain


def moments(*pairs):
    return [Moment(at, seconds) for at, seconds in pairs]


def test_the_last_minute_is_held_against_the_first():
    run = moments(*((float(at), 0.1 if at <= 60 else 0.5 if at <= 540 else 0.2) for at in range(1, 601)))
    found = slowdown(run)
    assert (found.first, found.last) == (0.1, 0.2)
    assert found.factor == pytest.approx(2)


def test_where_there_are_no_two_minutes_thirds_are():
    found = slowdown(moments((10, 1.0), (20, 5.0), (30, 3.0)))
    assert (found.first, found.last) == (1.0, 3.0)
    assert slowdown(moments((1, 1.0), (2, 1.0))) is None
    assert slowdown([]) is None


def test_runs_follow_each_other_until_the_time_is_over(monkeypatch):
    clock = iter(n * 0.4 for n in range(1000))
    monkeypatch.setattr("sparsr.bench.measure.sustained.time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr("sparsr.bench.measure.sustained.Progress", Quiet)
    runs = iter(range(1, 1000))
    session = SimpleNamespace(run=lambda: SimpleNamespace(wall=float(next(runs))))
    found = sustain(session, 3.0)
    assert [moment.seconds for moment in found] == [2.0, 5.0, 7.5]  # medians of 3, 3 and 2 runs of 0.4 s
    assert found[-1].at == pytest.approx(3.2)


class Quiet:
    def __init__(self, *_):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def advance(self, steps):
        pass
