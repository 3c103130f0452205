"""`cpu`: this machine. Every engine in a Python process of its own."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from sparsr.bench.hide_avx512.packages import environment as without_avx512
from sparsr.bench.measure.engines import CPU_ENGINES, ENGINES
from sparsr.bench.targets.contract import Job, Source
from sparsr.bench.targets.cores import chosen_cores
from sparsr.bench.targets.machine import Machine, available_cpus, core_frequencies, describe, hottest_zone
from sparsr.bench.targets.session import PipeSession
from sparsr.runtime.errors import SparsrError

# The thread pool of engines that do not ask their own option.
_THREAD_VARIABLE = "OMP_NUM_THREADS"
# The reference workload is numpy's alone, and is to take one core however many threads an engine has.
_REFERENCE = {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class Cpu:
    """This machine's processor."""

    source: Source = "measured"
    engines: tuple[str, ...] = CPU_ENGINES

    def __init__(self, address: str = "") -> None:
        if address:
            raise SparsrError(f"there is no target cpu:{address}", "this machine is called cpu")
        self.name = "cpu"
        self._folder = tempfile.TemporaryDirectory(prefix="sparsr-bench-")

    def probe(self) -> Machine:
        """This machine, with the versions of the engines."""
        packages = ("numpy", *(engine.package for engine in map(ENGINES.__getitem__, CPU_ENGINES)))
        return describe(tuple(dict.fromkeys(packages)))

    def condition(self) -> dict[str, str]:
        """The hottest zone."""
        return hottest_zone()

    def cpus(self, threads: int, cores: str) -> tuple[int, ...]:
        """Of all the last ones, because the first serves most interrupts."""
        wanted = chosen_cores(cores, core_frequencies())
        if absent := set(wanted) - set(available_cpus()):
            raise SparsrError(
                f"this process has no CPU {min(absent)}", f"it has {', '.join(map(str, available_cpus()))}"
            )
        return wanted or available_cpus()[-threads:]

    def put(self, file: Path, name: str) -> str:
        """The file as it is."""
        return str(file.resolve())

    def path(self, name: str) -> str:
        """In a folder of this run."""
        return str(Path(self._folder.name) / name)

    def run(self, job: Job, timeout: float) -> PipeSession:
        """A worker in Python."""
        environment = os.environ | {_THREAD_VARIABLE: str(job.threads)} | _REFERENCE
        if job.hide:
            environment |= without_avx512(job.engine)
        return PipeSession([sys.executable, "-m", "sparsr.bench.measure.worker"], job, timeout, environment)

    def get(self, path: str, file: Path) -> None:
        """Move it."""
        Path(path).replace(file)

    def clean_up(self) -> None:
        """Remove the folder of this run."""
        self._folder.cleanup()
