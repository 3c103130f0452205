"""Stages that overlap give the same items, raise the same errors, and leave no thread behind."""

import threading

import pytest

from sparsr.runtime.upscale.ordered_work import in_parallel


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def same(item):
    return item


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("overlap", [True, False])
def test_the_results_in_the_items_order(overlap, count):
    with (
        in_parallel(iter(range(200)), [same], overlap) as first,
        in_parallel(first, [lambda item: 2 * item] * count, overlap) as second,
    ):
        assert list(second) == list(range(0, 400, 2))


def test_works_ahead():
    """The second item is computed while the first one is still in use."""
    computed = threading.Event()

    def items():
        yield 1
        computed.set()
        yield 2

    with in_parallel(items(), [same]) as taken:
        assert next(taken) == 1
        assert computed.wait(5)


def test_functions_work_at_the_same_time_and_a_late_result_keeps_its_place():
    """Each function waits for the other's beginning; the first item's result comes last."""
    begun = threading.Barrier(2, timeout=5)
    second_done = threading.Event()

    def work(item):
        begun.wait()
        if item == 0:
            assert second_done.wait(5)
        else:
            second_done.set()
        return item

    with in_parallel(iter(range(2)), [work, work]) as results:
        assert list(results) == [0, 1]


@pytest.mark.parametrize("count", [1, 3])
def test_but_not_far(count):
    made = []

    def items():
        for number in range(100):
            made.append(number)
            yield number

    with in_parallel(items(), [same] * count) as taken:
        for number in taken:
            assert len(made) <= number + 1 + 2 * count
            if number == 20:
                break


def test_errors_come_after_what_was_made_before_them():
    def items():
        yield 1
        raise KeyError("broken")

    with in_parallel(items(), [same]) as first, in_parallel(first, [same]) as second:
        assert next(second) == 1
        with pytest.raises(KeyError, match="broken"):
            next(second)


def test_an_error_of_one_function_of_many():
    def work(item):
        if item == 7:
            raise KeyError("broken")
        return item

    taken = []
    with pytest.raises(KeyError, match="broken"), in_parallel(iter(range(1000)), [work] * 3) as results:
        for result in results:
            taken.append(result)
    assert taken == list(range(7))


def test_leaving_early_ends_the_threads():
    def endless():
        number = 0
        while True:
            yield (number := number + 1)

    with (
        pytest.raises(ZeroDivisionError),
        in_parallel(endless(), [same]) as first,
        in_parallel(first, [same, same]) as second,
    ):
        next(second)
        raise ZeroDivisionError
