import pytest

from sparsr.bench.targets.cores import check_cores, chosen_cores
from sparsr.runtime.errors import SparsrError

PHONE = {0: 1800000, 1: 1800000, 4: 2400000, 5: 2400000, 7: 2900000}


@pytest.mark.parametrize(
    ("wish", "cores"),
    [("all", ()), ("fastest", (7,)), ("slowest", (0, 1)), ("4-7,0", (0, 4, 5, 6, 7)), ("3", (3,)), ("1,1", (1,))],
)
def test_cores_are_chosen_by_name_and_by_number(wish, cores):
    assert chosen_cores(wish, PHONE) == cores


@pytest.mark.parametrize("wish", ["", "big", "7-4", "-1", "1,", "a-b", "0-99999", "1;2"])
def test_other_wishes_are_refused(wish):
    with pytest.raises(SparsrError, match="names no cores"):
        check_cores(wish)


def test_without_frequencies_a_name_is_refused_and_numbers_are_not():
    assert chosen_cores("2", {}) == (2,)
    with pytest.raises(SparsrError, match="which are the fastest is unknown"):
        chosen_cores("fastest", {})
