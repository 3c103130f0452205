"""The process that holds one engine: `python -m sparsr.bench.measure.worker`, which `process` speaks to.

One JSON object a line. It reads a `Job`, answers `{"load", "first"}` when ready to be measured; then for every
line `run` answers `{"cpu", "wall"}` (seconds), and for `stop` `{"baseline", "peak", "layers"}` (bytes or null;
`LayerGroup`s, of the native engine), having written the last output as float32 [1, height, width, 3]. Instead of any
answer: `{"error", "hint"}`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from sparsr.bench.measure.engines import ENGINES, BenchEngine, FloatArray
from sparsr.bench.measure.layers import profile_layers
from sparsr.runtime.errors import SparsrError

WARM_UP = 1  # runs after the first one, which is timed apart


@dataclass(frozen=True)
class Job:
    """What a worker is to hold."""

    engine: str
    model: str
    """Path of the model file."""
    threads: int
    cpus: tuple[int, ...]
    """CPUs to pin the process to; empty: do not."""
    image: str
    """npy file, float32 [1, height, width, 3]."""
    output: str
    """npy file to write."""


def main() -> None:
    """Serve one job."""
    replies = _private_stdout()
    try:
        _serve(Job(**json.loads(sys.stdin.readline())), replies)
    except SparsrError as error:
        _reply(replies, error=str(error), hint=error.hint)
    except Exception as error:  # an engine may raise anything; the parent makes a row of it
        _reply(replies, error=f"{type(error).__name__}: {error}", hint="")


def _private_stdout() -> TextIO:
    """The pipe to the parent. Engines print to stdout as they like: file descriptor 1 becomes stderr."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return replies


def _reply(replies: TextIO, **fields: Any) -> None:
    replies.write(json.dumps(fields) + "\n")
    replies.flush()


def _serve(job: Job, replies: TextIO) -> None:
    if job.cpus:
        os.sched_setaffinity(0, job.cpus)
    # Should memory run out, the kernel is to end this process, not the one that started the measurement.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    engine = ENGINES[job.engine]
    image = _in_layout(np.load(job.image), engine)
    baseline = _reset_peak()

    start = time.perf_counter()
    run = engine.load(Path(job.model), job.threads)
    loaded = time.perf_counter()
    output = run(image)
    first = time.perf_counter()
    for _ in range(WARM_UP):
        output = run(image)
    _reply(replies, load=loaded - start, first=first - loaded)

    while (line := sys.stdin.readline().strip()) == "run":
        wall, cpu = time.perf_counter(), time.process_time()
        output = run(image)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        _reply(replies, cpu=cpu, wall=wall)
    if line != "stop":
        return  # the parent is gone
    peak = _status("VmHWM")
    np.save(job.output, _from_layout(output, engine))
    del run
    layers = profile_layers(Path(job.model).read_bytes(), image[0], job.threads) if job.engine == "native" else ()
    _reply(replies, baseline=baseline, peak=peak, layers=[dataclasses.asdict(group) for group in layers])


def _in_layout(image: FloatArray, engine: BenchEngine) -> FloatArray:
    return np.ascontiguousarray(image.transpose(0, 3, 1, 2)) if engine.channels_first else image


def _from_layout(output: FloatArray, engine: BenchEngine) -> FloatArray:
    return np.ascontiguousarray(output.transpose(0, 2, 3, 1)) if engine.channels_first else output


def _reset_peak() -> int | None:
    """Set the process's peak memory back to its present size, and return that."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(field: str) -> int | None:
    """A size from /proc/self/status in bytes; None where there is no such file."""
    try:
        text = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        return None
    found = re.search(rf"^{field}:\s*(\d+) kB$", text, re.M)
    return int(found[1]) * 1024 if found else None


if __name__ == "__main__":
    main()
