"""Stages that overlap give the same items, raise the same errors, and leave no thread behind."""

import threading

import pytest

from runtime.pipeline import ahead


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = threading.active_count()
    yield
    assert threading.active_count() == before


@pytest.mark.parametrize("overlap", [True, False])
def test_the_same_items_in_order(overlap):
    with ahead(iter(range(50)), overlap) as first, ahead((2 * item for item in first), overlap) as second:
        assert list(second) == list(range(0, 100, 2))


def test_works_ahead():
    """The second item is computed while the first one is still in use."""
    computed = threading.Event()

    def items():
        yield 1
        computed.set()
        yield 2

    with ahead(items()) as taken:
        assert next(taken) == 1
        assert computed.wait(5)


def test_but_not_far():
    made = []

    def items():
        for number in range(100):
            made.append(number)
            yield number

    with ahead(items()) as taken:
        for number in taken:
            assert len(made) <= number + 3
            if number == 20:
                break


def test_errors_come_after_what_was_made_before_them():
    def items():
        yield 1
        raise KeyError("broken")

    with ahead(items()) as first, ahead(iter(first)) as second:
        assert next(second) == 1
        with pytest.raises(KeyError, match="broken"):
            next(second)


def test_leaving_early_ends_the_threads():
    def endless():
        number = 0
        while True:
            yield (number := number + 1)

    with pytest.raises(ZeroDivisionError), ahead(endless()) as first, ahead(first) as second:
        next(second)
        raise ZeroDivisionError
