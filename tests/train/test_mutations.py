"""Plants the faults of `mutations.py` one by one; the tests named beside each have to notice."""

from __future__ import annotations

import functools
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from sparsr import train
from tests.train.mutations import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
CHECKOUT = Path(train.__path__[0]).parent


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_list_is_up_to_date(mutant):
    source = (ROOT / mutant.part / mutant.file).read_text(encoding="utf-8")
    assert source.count(mutant.old) == 1
    assert mutant.old != mutant.new
    assert suite_of(mutant).is_file()


@functools.cache
def selected() -> list[Mutant]:
    """All of them; with SPARSR_MUTATE_SINCE, a commit, those in files or of tests that changed since.

    With SPARSR_MUTATE_MOST only so many of these, others for every commit, so that in time all have their turn.
    """
    mutants = MUTANTS
    if since := os.environ.get("SPARSR_MUTATE_SINCE"):
        changed = {ROOT / line for line in _git("diff", "--name-only", since).splitlines()}
        mutants = [m for m in MUTANTS if {ROOT / m.part / m.file, suite_of(m)} & changed]
    if most := os.environ.get("SPARSR_MUTATE_MOST"):
        order = random.Random(_git("rev-parse", "HEAD"))
        mutants = order.sample(mutants, min(int(most), len(mutants)))
    return mutants


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def suite_of(mutant: Mutant) -> Path:
    """The file of tests that have to fail."""
    return ROOT / "tests" / mutant.part / mutant.tests


def outcome(folder: Path, tests: Path) -> int:
    """Exit code of pytest on a file of tests, with the package as `folder` has it: 0 passed, 1 something failed."""
    environment = os.environ | {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", str(tests)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=1800).returncode


def planted(mutant: Mutant, folder: Path) -> None:
    """The package with the fault in it: the file's folders made anew, links to everything else."""
    made, original = folder / "sparsr", CHECKOUT
    for part in (mutant.part, *Path(mutant.file).parts):
        made.mkdir()
        for other in original.iterdir():
            if other.name not in (part, "__pycache__"):  # what is compiled of the fault must not stay
                (made / other.name).symlink_to(other.resolve())
        made, original = made / part, original / part
    made.write_text(original.read_text(encoding="utf-8").replace(mutant.old, mutant.new), encoding="utf-8")


@pytest.mark.slow
@pytest.mark.mutation
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_planted_fault_is_noticed(mutant, tmp_path):
    if mutant not in selected():
        pytest.skip("neither the file nor its tests changed, or it is not its turn")
    planted(mutant, tmp_path)
    assert outcome(tmp_path, suite_of(mutant)) == 1, f"nobody noticed: {mutant.name}"
