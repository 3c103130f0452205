"""A worker behind two pipes, whatever carries them: start, ask with a time limit, stop."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from sparsr.bench.targets.contract import (
    RUN,
    STOP,
    Answer,
    Finished,
    Job,
    Ready,
    Sample,
    WorkerError,
    encode,
    read_answer,
)

_END_TIMEOUT = 10  # seconds for a process to exit by itself
_LONGEST_ANSWER = 2**24  # bytes


class PipeSession:
    """One engine with one model in a process of its own, loaded and warmed up. It sleeps while not asked."""

    def __init__(
        self,
        command: Sequence[str],
        job: Job,
        timeout: float,
        environment: Mapping[str, str],
        hint: Callable[[str], str] = lambda said: "",
    ) -> None:
        """Start `command` and wait until it is ready.

        `timeout`: seconds for each answer. `hint`: what to do about the last words of a worker that crashed.
        """
        self._timeout = timeout
        self._hint = hint
        self._pending = b""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 closed by close()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
            start_new_session=True,  # an interrupt reaches the parent alone, and converters end with their worker
        )
        try:
            self.ready = self._ask(Ready, encode(job))
        except BaseException:
            self.close()
            raise

    def run(self) -> Sample:
        """One inference. Raises `WorkerError` if its clocks did not go forward meanwhile."""
        sample = self._ask(Sample, RUN)
        if min(sample.wall, sample.cpu) <= 0 or sample.reference < 0:
            hint = "its clocks are wrong, or too coarse for so small a picture"
            raise WorkerError(f"a run of {sample.wall:g} s, {sample.cpu:g} s of processor time, cannot be", hint)
        return sample

    def finish(self) -> Finished:
        """Have the output written."""
        return self._ask(Finished, STOP)

    def end(self) -> str:
        """Tell the worker that there is no more to do, wait for it, and return what it wrote to its standard error."""
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(self._timeout)
        except subprocess.TimeoutExpired as error:
            raise WorkerError(f"it did not end within {self._timeout:g} s", "allow more with --timeout") from error
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")

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

    def _ask(self, kind: type[Answer], line: str) -> Answer:
        assert self._process.stdin
        try:
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # its last words, or their absence, are read below
        return read_answer(kind, self._read_line())

    def _read_line(self) -> bytes:
        """The next answer. Raises `WorkerError` if the process ends or the time is over."""
        assert self._process.stdout
        deadline = time.monotonic() + self._timeout
        while b"\n" not in self._pending:
            if not select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise WorkerError(f"no answer within {self._timeout:g} s", "allow more with --timeout")
            chunk = os.read(self._process.stdout.fileno(), 65536)
            if not chunk:
                ended = self._how_it_ended()
                raise WorkerError(ended, self._hint(ended))
            self._pending += chunk
            if len(self._pending) > _LONGEST_ANSWER:
                raise WorkerError(f"an answer of more than {_LONGEST_ANSWER >> 20} MiB")
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
        if code == 0 and not said:
            return "it ended before it answered"
        return f"it crashed with {signal.Signals(-code).name if code < 0 else f'exit code {code}'}{said}"
