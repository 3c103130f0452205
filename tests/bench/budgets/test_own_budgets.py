"""SparSR keeps its own budgets: what needs no clock, in every run of the tests."""

import shutil
from pathlib import Path

from sparsr.bench.budgets.check import check
from sparsr.bench.budgets.file import read_budgets
from sparsr.bench.budgets.metrics import METRICS
from sparsr.export.lower.from_torch import lower
from sparsr.export.passes import optimise
from sparsr.export.writers.bundle import ModelFile, describe, make_card, metadata, write_bundle
from sparsr.export.writers.native import operators, write_native
from sparsr.train.importers.models import load_model

ROOT = Path(__file__).resolve().parents[3]


def write(checkpoint: Path, folder: Path) -> None:
    """The bundle's native file and its card, without the proof that it computes the same, which other tests give."""
    network, record = load_model(checkpoint)
    graph, _ = optimise(lower(network, checkpoint.stem))
    content = write_native(graph, metadata(graph, record))
    file = ModelFile("native", "NHWC", content, operators(content))
    folder.mkdir(parents=True)
    write_bundle(folder, [file], make_card(graph, describe(network, record), [file], ()))


def test_every_limit_of_the_project_is_kept(tmp_path):
    shutil.copy(ROOT / "budgets.toml", tmp_path)
    entries = read_budgets(tmp_path / "budgets.toml")
    for entry in entries:
        folder = entry.path(entry.budget.bundle)
        write(ROOT / "train/zoo" / f"{folder.name}.safetensors", folder)
    verdicts = list(check(entries))
    assert {METRICS[verdict.metric].kind for verdict in verdicts} == {"card"}
    assert [verdict.text for verdict in verdicts if verdict.outcome != "kept"] == []
    for verdict in verdicts:  # a limit far above its figure would not notice anything
        assert verdict.observed.value > 0.9 * verdict.limit, verdict.text
