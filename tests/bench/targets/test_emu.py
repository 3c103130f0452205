import shutil

import pytest

from sparsr.bench.budgets.check import check
from sparsr.bench.budgets.file import read_budgets
from sparsr.bench.measure.measure import measure
from sparsr.bench.measure.plan import Plan, Subject
from sparsr.bench.targets.emu import Emulator
from sparsr.runtime.errors import SparsrError
from tests.bench.targets.native_bundle import write_native_bundle


@pytest.fixture
def emulator():
    for tool, package in (("qemu-aarch64", "qemu-user"), ("aarch64-linux-gnu-g++", "g++-aarch64-linux-gnu")):
        if not shutil.which(tool):
            pytest.skip(f"needs {tool} (apt install {package})")
    target = Emulator()
    try:
        target.probe()
    except SparsrError as error:
        pytest.skip(str(error))
    return target


def test_what_an_arm64_processor_executes_is_counted(emulator, tmp_path):
    """With rows padded to vectors the multiply-adds are at least those of the convolutions, and not twice as many."""
    bundle, expected = write_native_bundle(tmp_path / "tiny", width=20, height=13)
    plan = Plan((Subject("tiny", bundle),), ("native",), 20, 13, 1, 1, target=emulator)
    (row,) = measure(plan).rows
    assert row.failure is None, row.failure
    assert row.source == "emulated"
    assert expected <= row.counters.multiply_adds < 2 * expected
    assert row.counters.instructions > row.counters.multiply_adds / 4
    assert row.counters.heap > 0
    assert row.memory is None


def test_counters_are_limits_and_times_are_not(emulator, tmp_path):
    write_native_bundle(tmp_path / "tiny", width=20, height=13)
    head = 'schema = "sparsr-budgets/1"\n[[budget]]\nbundle = "tiny"\nsize = "20x13"\ntarget = "emu:cortex-a76"\n'
    path = tmp_path / "budgets.toml"
    path.write_text(head + "instructions = 1e9\nexecuted_multiply_adds = 10\nheap = 1000000000\n")
    outcomes = {verdict.metric: verdict.outcome for verdict in check(read_budgets(path))}
    assert outcomes == {"instructions": "kept", "executed_multiply_adds": "broken", "heap": "kept"}
    path.write_text(head + "time_to_reference = 5\n")
    with pytest.raises(SparsrError, match="means nothing on emu:cortex-a76, whose times are emulated"):
        read_budgets(path)


@pytest.mark.parametrize("cpu", ["Cortex A76", "-h", "a,b", "max;ls"])
def test_hostile_processors_are_refused(cpu):
    with pytest.raises(SparsrError, match="no target"):
        Emulator(cpu)
