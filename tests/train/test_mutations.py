"""Plants the faults of `mutations.py` one by one; the tests named beside each have to notice."""

from __future__ import annotations

import functools
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sparsr import train
from tests.train.mutations import MUTANTS, Mutant

TESTS = Path(__file__).parent
ROOT = TESTS.parents[1]
CHECKOUT = Path(train.__path__[0]).parent


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_list_is_up_to_date(mutant):
    source = (ROOT / "train" / mutant.file).read_text(encoding="utf-8")
    assert source.count(mutant.old) == 1
    assert mutant.old != mutant.new
    assert (TESTS / mutant.tests).is_file()


@functools.cache
def selected() -> list[Mutant]:
    """All of them; with SPARSR_MUTATE_SINCE, a commit, those in files or of tests that changed since.

    With SPARSR_MUTATE_MOST only so many of these, others for every commit, so that in time all have their turn.
    """
    mutants = MUTANTS
    if since := os.environ.get("SPARSR_MUTATE_SINCE"):
        changed = _git("diff", "--name-only", since, "--", "train", "tests/train").split()
        mutants = [m for m in MUTANTS if f"train/{m.file}" in changed or f"tests/train/{m.tests}" in changed]
    if most := os.environ.get("SPARSR_MUTATE_MOST"):
        order = random.Random(_git("rev-parse", "HEAD"))
        mutants = order.sample(mutants, min(int(most), len(mutants)))
    return mutants


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def outcome(folder: Path, tests: str) -> int:
    """Exit code of pytest on a file of tests, with the package as `folder` has it: 0 passed, 1 something failed."""
    environment = os.environ | {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", str(TESTS / tests)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=1800).returncode


def planted(mutant: Mutant, folder: Path) -> None:
    """The package with the fault in it: a copy of train, links to the rest."""
    package = folder / "sparsr"
    package.mkdir()
    for part in CHECKOUT.iterdir():
        if part.name == "train":
            shutil.copytree(part, package / "train", ignore=shutil.ignore_patterns("zoo", "__pycache__"))
            (package / "train/zoo").symlink_to((part / "zoo").resolve())
        else:
            (package / part.name).symlink_to(part.resolve())
    source = package / "train" / mutant.file
    source.write_text(source.read_text(encoding="utf-8").replace(mutant.old, mutant.new), encoding="utf-8")


@pytest.mark.slow
@pytest.mark.mutation
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_planted_fault_is_noticed(mutant, tmp_path):
    if mutant not in selected():
        pytest.skip("neither the file nor its tests changed, or it is not its turn")
    planted(mutant, tmp_path)
    assert outcome(tmp_path, mutant.tests) == 1, f"nobody noticed: {mutant.name}"
