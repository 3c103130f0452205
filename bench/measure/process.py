"""The parent's side of a worker process: start, ask with a time limit, stop."""

from __future__ import annotations

import dataclasses
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from sparsr.bench.measure.results import LayerGroup, Memory
from sparsr.bench.measure.worker import Job
from sparsr.runtime.errors import SparsrError

# Thread pools that do not ask the engine's own option.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_END_TIMEOUT = 10  # seconds for a process to exit by itself


class WorkerError(SparsrError):
    """A worker could not do its job: an engine that is missing, refuses the model, crashes or hangs."""


class Worker:
    """One engine with one model in a process of its own, loaded and warmed up. It sleeps while not asked."""

    def __init__(self, job: Job, timeout: float, variables: Mapping[str, str] | None = None) -> None:
        """Start the process and wait until it is ready. `timeout`: seconds for each answer. `variables`: added to its
        environment."""
        self._timeout = timeout
        self._pending = b""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 closed by close()
        environment = os.environ | dict.fromkeys(_THREAD_VARIABLES, str(job.threads)) | dict(variables or {})
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sparsr.bench.measure.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
            start_new_session=True,  # an interrupt reaches the parent alone, and converters end with their worker
        )
        try:
            ready = self._ask(json.dumps(dataclasses.asdict(job)))
        except BaseException:
            self.close()
            raise
        self.load: float = ready["load"]
        """Seconds to import the engine and load the model."""
        self.first: float = ready["first"]
        """Seconds of the first run."""

    def run(self) -> tuple[float, float]:
        """One inference: (CPU seconds of all threads, wall seconds). Raises `WorkerError`."""
        answer = self._ask("run")
        return answer["cpu"], answer["wall"]

    def stop(self) -> tuple[Memory | None, tuple[LayerGroup, ...]]:
        """Have the output written; memory, and the native engine's layers. Raises `WorkerError`."""
        answer = self._ask("stop")
        known = answer["baseline"] is not None and answer["peak"] is not None
        memory = Memory(answer["baseline"], answer["peak"]) if known else None
        return memory, tuple(LayerGroup(**group) for group in answer["layers"])

    def close(self) -> None:
        """End the process, whatever it is doing. May be called again."""
        if self._errors.closed:
            return
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe and not pipe.closed:
                with suppress(BrokenPipeError):  # what a dead process was sent goes with it
                    pipe.close()
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._errors.close()

    def _ask(self, line: str) -> dict[str, Any]:
        assert self._process.stdin
        try:
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # its last words, or their absence, are read below
        answer: dict[str, Any] = json.loads(self._read_line())
        if "error" in answer:
            raise WorkerError(answer["error"], answer["hint"])
        return answer

    def _read_line(self) -> bytes:
        """The next answer. Raises `WorkerError` if the process ends or the time is over."""
        assert self._process.stdout
        deadline = time.monotonic() + self._timeout
        while b"\n" not in self._pending:
            if not select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise WorkerError(f"no answer within {self._timeout:g} s", "allow more with --timeout")
            chunk = os.read(self._process.stdout.fileno(), 65536)
            if not chunk:
                raise WorkerError(self._how_it_ended())
            self._pending += chunk
        line, _, self._pending = self._pending.partition(b"\n")
        return line

    def _how_it_ended(self) -> str:
        try:
            code = self._process.wait(_END_TIMEOUT)
        except subprocess.TimeoutExpired:
            return "it closed its output and hangs"
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        said = f": {lines[-1].strip()}" if lines else ""
        if code == -signal.SIGKILL:
            return "it was killed (out of memory?)"
        return f"it crashed with {signal.Signals(-code).name if code < 0 else f'exit code {code}'}{said}"
