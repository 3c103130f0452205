import pytest

from sparsr.bench.budgets.file import read_budgets
from sparsr.runtime.errors import SparsrError


def test_limits_are_read_in_the_units_of_their_figures(budgets):
    (entry,) = read_budgets(budgets('file_size = "1.5M"', "peak_memory = 1000", "heap = 2e9", "multiply_adds = 2e6"))
    assert entry.limits == {"file_size": 1.5 * 2**20, "peak_memory": 1000, "heap": 2e9, "multiply_adds": 2e6}
    assert (entry.budget.width, entry.budget.height) == (20, 13)
    assert entry.line == 3


def test_defaults_hold_where_a_budget_says_nothing(budgets):
    path = budgets("file_size = 1", defaults='[defaults]\nthreads = 2\nsize = "7x7"')
    (entry,) = read_budgets(path)
    assert entry.budget.threads == 2
    assert entry.budget.size == "20x13"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "limits nothing"),
        (["file_sise = 1"], "unknown field file_sise"),
        (['file_size = "much"'], "not an amount"),
        (["file_size = inf"], "not an amount"),
        (["multiply_adds = -1"], "above 0"),
        (["multiply_adds = nan"], "multiply_adds"),
        (["time_to_twin = 1"], "needs a twin"),
        (["psnr = 30"], "needs low and high"),
        (["file_size = 1", "rounds = 2"], "rounds"),
        (["file_size = 1", "threads = 0"], "threads"),
        (["file_size = 1", 'target = "moon:1"'], "no target"),
        (["file_size = 1", "file_size = 2"], "cannot be read"),
    ],
)
def test_a_budget_that_cannot_be_checked_is_refused_with_its_place(budgets, lines, message):
    with pytest.raises(SparsrError, match=message) as raised:
        read_budgets(budgets(*lines))
    assert "budgets.toml" in str(raised.value)
    assert raised.value.hint


@pytest.mark.parametrize("size", ["20", "0x13", "axb", "1x2x3", ""])
def test_sizes_are_two_numbers(tmp_path, size):
    path = tmp_path / "budgets.toml"
    path.write_text(f'schema = "sparsr-budgets/1"\n[[budget]]\nbundle = "b"\nfile_size = 1\nsize = "{size}"\n')
    with pytest.raises(SparsrError, match="is not like 160x90"):
        read_budgets(path)


def test_an_engine_that_is_none_is_told_with_its_place_and_what_was_meant(tmp_path):
    path = tmp_path / "budgets.toml"
    path.write_text('schema = "sparsr-budgets/1"\n[[budget]]\nbundle = "b"\nfile_size = 1\nengine = "nativ"\n')
    with pytest.raises(SparsrError, match=r"budgets\.toml:2: there is no engine 'nativ'") as raised:
        read_budgets(path)
    assert raised.value.hint == "did you mean native?"


@pytest.mark.parametrize(
    "content",
    [
        "",
        'schema = "sparsr-budgets/9"',
        'schema = "sparsr-budgets/1"',
        'schema = "sparsr-budgets/1"\nbudget = []',
        'schema = "sparsr-budgets/1"\nbudget = 3',
        'schema = "sparsr-budgets/1"\nbudget = [3]',
        'schema = "sparsr-budgets/1"\n[budgets]\n',
        'schema = "sparsr-budgets/1"\ndefaults = 3\n[[budget]]\nbundle = "b"\n',
        "\x00",
    ],
)
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "budgets.toml"
    path.write_text(content)
    with pytest.raises(SparsrError, match=r"budgets\.toml"):
        read_budgets(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SparsrError, match="no budget file"):
        read_budgets(tmp_path / "absent.toml")
