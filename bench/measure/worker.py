"""The process that holds one engine on this machine: the worker's half of `targets.contract`, in Python."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from pathlib import Path
from typing import TextIO

import numpy as np

from sparsr.bench.gpu.contract import DeviceRun
from sparsr.bench.measure.engines import ENGINES, BenchEngine
from sparsr.bench.measure.layers import profile_layers
from sparsr.bench.targets.contract import (
    RUN,
    STOP,
    Counters,
    Failure,
    Finished,
    Job,
    Memory,
    Message,
    Ready,
    Sample,
    encode,
    read_job,
)
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.samples import FloatArray

_SIDE, _PRODUCTS = 256, 4  # of the reference workload: some milliseconds


def main() -> None:
    """Serve one job."""
    replies = _private_stdout()
    try:
        _serve(read_job(sys.stdin.readline()), replies)
    except SparsrError as error:
        _reply(replies, Failure(str(error), error.hint))
    except Exception as error:  # an engine may raise anything; the parent makes a row of it
        _reply(replies, Failure(f"{type(error).__name__}: {error}"))


def _private_stdout() -> TextIO:
    """The pipe to the parent. Engines print to stdout as they like: file descriptor 1 becomes stderr."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return replies


def _reply(replies: TextIO, message: Message) -> None:
    replies.write(encode(message) + "\n")
    replies.flush()


def _serve(job: Job, replies: TextIO) -> None:
    if job.cpus:
        os.sched_setaffinity(0, job.cpus)
    # Should memory run out, the kernel is to end this process, not the one that started the measurement.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    engine = ENGINES[job.engine]
    image = _in_layout(np.fromfile(job.image, "<f4").reshape(1, job.height, job.width, 3), engine)
    reference = Reference()
    baseline = _reset_peak()

    start = time.perf_counter()
    run = engine.load(Path(job.model), job.threads)
    loaded = time.perf_counter()
    output = run(image)
    first = time.perf_counter()
    for _ in range(job.warm_up):
        output = run(image)
    _reply(replies, Ready(loaded - start, first - loaded))

    while (line := sys.stdin.readline().strip()) == RUN:
        wall, cpu = time.perf_counter(), time.process_time()
        output = run(image)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        if isinstance(run, DeviceRun):
            cpu = run.seconds
        _reply(replies, Sample(cpu, wall, reference.seconds()))
    if line != STOP:
        return  # the parent is gone
    peak = _size("status", "VmHWM")
    memory = None if baseline is None or peak is None else Memory(baseline, peak, _size("smaps_rollup", "Pss"))
    if isinstance(run, DeviceRun):
        memory = None if run.peak_bytes is None else Memory(0, run.peak_bytes)
    output = _from_layout(output, engine)
    output.astype("<f4").tofile(job.output)
    del run
    layers = profile_layers(Path(job.model).read_bytes(), image[0], job.threads) if job.engine == "native" else ()
    counters = Counters(sum(group.layers * group.multiply_adds for group in layers)) if layers else None
    _reply(replies, Finished(output.shape[2], output.shape[1], memory, counters, layers))


class Reference:
    """The reference workload: products of matrices in numpy, as fixed as its version is."""

    def __init__(self) -> None:
        self._factor = np.random.default_rng(0).random((_SIDE, _SIDE), np.float32)
        self._product = np.empty_like(self._factor)
        self.seconds()  # the library's threads and buffers are there from now on

    def seconds(self) -> float:
        """Processor time it takes now."""
        start = time.process_time()
        for _ in range(_PRODUCTS):
            np.matmul(self._factor, self._factor, out=self._product)
        return time.process_time() - start


def _in_layout(image: FloatArray, engine: BenchEngine) -> FloatArray:
    return np.ascontiguousarray(image.transpose(0, 3, 1, 2)) if engine.channels_first else image


def _from_layout(output: FloatArray, engine: BenchEngine) -> FloatArray:
    return np.ascontiguousarray(output.transpose(0, 2, 3, 1)) if engine.channels_first else output


def _reset_peak() -> int | None:
    """Set the process's peak memory back to its present size, and return that."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _size("status", "VmRSS")


def _size(file: str, field: str) -> int | None:
    """A size from a file of /proc/self in bytes; None where there is no such file."""
    try:
        text = (Path("/proc/self") / file).read_text(encoding="utf-8")
    except OSError:
        return None
    found = re.search(rf"^{field}:\s*(\d+) kB$", text, re.M)
    return int(found[1]) * 1024 if found else None


if __name__ == "__main__":
    main()
