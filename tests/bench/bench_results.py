"""Results made by hand: `pruned` in ort is twice as fast as `dense` in its fastest engine."""

from sparsr.bench.measure.engines import ENGINES
from sparsr.bench.measure.results import BundleInfo, Difference, Opponent, Results, Row, Settings
from sparsr.bench.measure.statistics import PairedRatio, paired_ratio, summarise
from sparsr.bench.targets.contract import Memory
from sparsr.bench.targets.machine import Machine

MACHINE = Machine("Test CPU", "x86_64", ("avx2",), 2, None, 2**33, "Linux", "6.1", "3.11.9", {"numpy": "1.26.4"})


def make_row(bundle, engine, cpu=(10.0, 11.0, 12.0), wall=None, max_8bit=0, opponent=None):
    """Samples in milliseconds."""
    cpu = [value / 1000 for value in cpu]
    wall = [value / 1000 for value in wall] if wall else cpu
    return Row(
        bundle,
        engine,
        ENGINES[engine].kind,
        "1.0",
        load=0.5,
        first=0.1,
        cpu=summarise(cpu),
        wall=summarise(wall),
        cpu_samples=tuple(cpu),
        wall_samples=tuple(wall),
        memory=Memory(30 * 2**20, 90 * 2**20),
        difference=Difference("ort", 0.001, max_8bit),
        opponent=opponent,
    )


def info(name, method, counterpart="dense", parameters=1000):
    files = {"model.onnx": 3 * 2**20, "model.tflite": 2**20}
    return BundleInfo(name, name, "tiny", 2, method, parameters, 1.5, files, {}, counterpart)


def make_results(rows=None, factor=2.0):
    """`factor`: how many times faster the pruned network is in ort than the dense one in its fastest engine."""
    dense = [10.0, 11.0, 12.0]
    own = [value / factor for value in dense]
    ratio = paired_ratio(dense, own)
    standing = Opponent("dense", "mnn", ratio)
    even = Opponent("dense", "mnn", PairedRatio(1.0, 1.0, 1.0, 0.75))
    rows = rows or [
        make_row("pruned", "ort", own, opponent=standing),
        make_row("pruned", "litert", [2 * value for value in own], opponent=Opponent("dense", "mnn", ratio)),
        Row("pruned", "ncnn", "rival", None, "the package ncnn is not installed", "pip install it"),
        make_row("dense", "ort", [20, 21, 22]),
        make_row("dense", "mnn", dense, opponent=even),
    ]
    bundles = (info("pruned", "assl", parameters=500), info("dense", "dense"))
    return Results("2026-01-02T03:04:05+00:00", MACHINE, Settings(20, 13, 1, 3, "cpu", (1,)), bundles, tuple(rows))
