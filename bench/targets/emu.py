"""`emu:CPU`: an arm64 processor in QEMU's user mode. Its counts are exact, its times mean nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

from sparsr.bench.targets.contract import Counters, Finished, Job, Ready, Sample, Source, WorkerError
from sparsr.bench.targets.machine import Machine
from sparsr.bench.targets.runner import ENGINES, worker_program
from sparsr.bench.targets.session import PipeSession
from sparsr.runtime.errors import SparsrError

_EMULATOR = "qemu-aarch64"
_DEFAULT = "cortex-a76"
_NEWEST = 8  # of QEMU, whose plugins need no header
_PLUGIN = Path(__file__).with_name("executed.c")


class Emulator:
    """QEMU with a plugin that counts executed instructions and multiply-adds of vectors."""

    source: Source = "emulated"
    engines = ENGINES

    def __init__(self, address: str = "") -> None:
        if address and not re.fullmatch(r"[a-z0-9][a-z0-9-]*", address):
            raise SparsrError(f"there is no target emu:{address}", f"write emu:{_DEFAULT}")
        self._cpu = address or _DEFAULT
        self.name = f"emu:{self._cpu}"
        self._folder = tempfile.TemporaryDirectory(prefix="sparsr-bench-")

    def probe(self) -> Machine:
        """The emulator. Raises `SparsrError` where it or a compiler for its plugin is missing."""
        version = self._version()
        return Machine(
            cpu=self._cpu,
            architecture="aarch64",
            isa=(),
            cores=1,
            governor=None,
            memory=None,
            system="Linux",
            kernel="",
            python="",
            packages={"qemu": version},
            name=self.name,
        )

    def condition(self) -> dict[str, str]:
        """Nothing: an emulator has no temperature."""
        return {}

    def cpus(self, threads: int, cores: str) -> tuple[int, ...]:
        """No pinning: it would change nothing that counts."""
        return ()

    def put(self, file: Path, name: str) -> str:
        """The file as it is."""
        return str(file.resolve())

    def path(self, name: str) -> str:
        """In a folder of this run."""
        return str(Path(self._folder.name) / name)

    def run(self, job: Job, timeout: float) -> EmulatedSession:
        """A worker in the emulator, counted first: a process that runs once, and one that runs twice."""
        command = self._command()
        bare = replace(job, warm_up=0)
        once, twice = (_counted(command, replace(job, warm_up=times), timeout) for times in (0, 1))
        counts = {name: twice[name] - once[name] for name in once}
        return EmulatedSession(PipeSession(command, bare, timeout, os.environ), counts)

    def get(self, path: str, file: Path) -> None:
        """Move it."""
        Path(path).replace(file)

    def clean_up(self) -> None:
        """Remove the folder of this run."""
        self._folder.cleanup()

    def _version(self) -> str:
        if not shutil.which(_EMULATOR):
            raise SparsrError(f"{_EMULATOR} is not installed", "apt install qemu-user")
        shown = subprocess.run([_EMULATOR, "--version"], capture_output=True, text=True, check=False).stdout
        found = re.search(r"version ((\d+)\.\S+)", shown)
        if not found or int(found[2]) > _NEWEST:
            hint = f"{_EMULATOR} says: {shown[:80]}"
            raise SparsrError(f"the plugin that counts needs QEMU {_NEWEST} or older", hint)
        return found[1]

    def _command(self) -> list[str]:
        plugin = Path(self._folder.name) / "executed.so"
        if not plugin.is_file():
            try:
                command = ["gcc", "-shared", "-fPIC", "-O2", str(_PLUGIN), "-o", str(plugin)]
                subprocess.run(command, capture_output=True, check=True)
            except (OSError, subprocess.CalledProcessError) as error:
                raise SparsrError("the plugin that counts cannot be compiled", "apt install gcc") from error
        return [_EMULATOR, "-cpu", self._cpu, "-plugin", str(plugin), str(worker_program("aarch64"))]


def _counted(command: list[str], job: Job, timeout: float) -> dict[str, int]:
    """What a whole process executes that loads and runs 1 + `warm_up` times."""
    session = PipeSession(command, job, timeout, os.environ)
    try:
        said = session.end()
    finally:
        session.close()
    try:
        counts = json.loads(said.splitlines()[-1])
        return {"instructions": int(counts["instructions"]), "multiply_adds": int(counts["multiply_adds"])}
    except (IndexError, ValueError, KeyError, TypeError) as error:
        raise WorkerError(f"the emulator counted nothing: {said[-80:]!r}") from error


class EmulatedSession:
    """A worker in the emulator, with the counts of one inference."""

    def __init__(self, session: PipeSession, counts: dict[str, int]) -> None:
        self._session = session
        self._counts = counts
        self.ready: Ready = session.ready

    def run(self) -> Sample:
        """One inference; its times are the emulator's."""
        return self._session.run()

    def finish(self) -> Finished:
        """The output written, and the counts. Resident memory would be the emulator's."""
        finished = self._session.finish()
        heap = finished.counters.heap if finished.counters else None
        counters = Counters(self._counts["multiply_adds"], self._counts["instructions"], heap)
        return replace(finished, memory=None, counters=counters)

    def close(self) -> None:
        """End the worker."""
        self._session.close()
