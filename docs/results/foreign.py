"""Other people's networks in every engine: python docs/results/foreign.py measure|table FOLDER [BUNDLE ...].

`measure` runs the bundles, made by `sparsr export NETWORK --out BUNDLE --format onnx,tflite,native`, one after the
other at 320x180 with one and two threads, with AVX-512 and with it hidden, and keeps the results in FOLDER. `table`
prints them as Markdown.
"""

from __future__ import annotations

import math
import subprocess
import sys
from itertools import product
from pathlib import Path

from sparsr.bench.measure.compare import time_ratio
from sparsr.bench.measure.results import Results, Row, load

ENGINES = "native,ort,litert,openvino,ncnn,mnn"
CASES = tuple(product((1, 2), ("AVX-512", "AVX2")))


def measure(folder: Path, bundles: list[Path]) -> None:
    """Measure what FOLDER has no result of yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for bundle, (threads, vectors) in product(bundles, CASES):
        result = folder / f"{bundle.name}-{threads}-{vectors}.json"
        options = ["--hide", "avx512"] if vectors == "AVX2" else []
        if not result.exists():
            command = ["sparsr", "bench", "run", str(bundle), "--engines", ENGINES, "--size", "320x180"]
            command += ["--threads", str(threads), "--rounds", "5", "--max-seconds", "14", "--json", str(result)]
            subprocess.run([*command, *options], check=True)


def best_other(results: Results) -> tuple[Row, Row]:
    """SparSR's row, and the fastest correct one of another engine."""
    native = next(row for row in results.rows if row.engine == "native")
    others = [row for row in results.rows if row.engine != "native" and row.correct]
    return native, min(others, key=results.time)


def cell(results: Results) -> tuple[str, float]:
    """Milliseconds of SparSR and of the fastest other engine with the ratio and its interval, and the ratio."""
    native, other = best_other(results)
    ratio = time_ratio(results, other, native)
    times = f"{1e3 * results.time(native):.3g} / {1e3 * results.time(other):.3g} {other.engine}"
    return f"{times}, **{ratio.median:.2f}x** ({ratio.low:.2f}..{ratio.high:.2f})", ratio.median


def leanness(results: Results) -> str:
    """What SparSR and the leanest other engine add to a process of Python, in MiB."""
    added = {
        row.engine: (row.memory.peak - row.memory.baseline) / 2**20
        for row in results.rows
        if row.correct and row.memory
    }
    native = added.pop("native")
    engine = min(added, key=added.__getitem__)
    return f"{native:.0f} / {added[engine]:.0f} {engine}"


def table(folder: Path) -> None:
    """Print the ratios of every network and their geometric mean."""
    names = sorted({path.name.split("-1-AVX2")[0] for path in folder.glob("*-1-AVX2.json")})
    heads = [f"{threads} thread{'s' * (threads > 1)}, {vectors}" for threads, vectors in CASES]
    print("| network |", " | ".join(heads), "| MiB, 1 thread |")
    print("|---|" + "---|" * (len(CASES) + 1))
    ratios = []
    for name in names:
        results = [load(folder / f"{name}-{threads}-{vectors}.json") for threads, vectors in CASES]
        cells = [cell(result) for result in results]
        ratios += [ratio for _, ratio in cells]
        print(f"| {name} |", " | ".join(text for text, _ in cells), f"| {leanness(results[0])} |")
    print(f"\nLeast {min(ratios):.2f}x, geometric mean {math.exp(sum(map(math.log, ratios)) / len(ratios)):.2f}x")


if __name__ == "__main__":
    where = Path(sys.argv[2])
    measure(where, [Path(name) for name in sys.argv[3:]]) if sys.argv[1] == "measure" else table(where)
