"""Devices reached through a command that carries a shell there: phones and boards.

Everything goes through that shell, files too. All of a run lies in one folder there, which a keeper removes: a shell
that waits for its input to end. It ends when the run is over, and also when the measurer is killed or the cable pulled.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path

from sparsr.bench.targets.contract import Job, Source
from sparsr.bench.targets.cores import chosen_cores
from sparsr.bench.targets.machine import Machine
from sparsr.bench.targets.runner import ENGINES, worker_program
from sparsr.bench.targets.session import PipeSession
from sparsr.runtime.errors import SparsrError

_PATIENCE = 60  # seconds for a short command, or a file
_LONGEST = 3600  # seconds a worker may live there, whatever becomes of the measurer
_PROGRAM = "sparsr_bench"
_FACTS = r"""
echo "architecture=$(uname -m)"
echo "kernel=$(uname -r)"
echo "cores=$(nproc)"
echo "cpu=$(sed -n 's/^\(model name\|Hardware\)[^:]*: *//p' /proc/cpuinfo | head -n 1)"
echo "isa=$(sed -n 's/^\(flags\|Features\)[^:]*: *//p' /proc/cpuinfo | head -n 1)"
echo "memory=$(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo)"
echo "governor=$(cat /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor 2> /dev/null)"
for core in /sys/devices/system/cpu/cpu[0-9]*; do
    echo "frequency ${core##*/cpu}=$(cat "$core/cpufreq/cpuinfo_max_freq" 2> /dev/null)"
done
"""
_TEMPERATURES = "cat /sys/class/thermal/thermal_zone*/temp 2> /dev/null | sort -n | tail -n 1"
_ISA = re.compile(r"avx\w*|fma|asimd\w*|i8mm|bf16|sve2?|sme2?")


class Remote(ABC):
    """A device with a shell and, while it is used, a folder there."""

    source: Source = "measured"
    engines = ENGINES
    name: str
    base = "${TMPDIR:-/tmp}"
    """Where the folder is made: what the device's shell makes of it."""

    def __init__(self) -> None:
        self._folder = ""
        self._keeper: subprocess.Popen[bytes] | None = None
        self._architecture = ""
        self._frequencies: dict[int, int] = {}

    @abstractmethod
    def command(self, line: str) -> list[str]:
        """The local command that runs a line in the device's shell, its pipes and exit code carried through."""

    def architecture(self) -> str:
        """What its programs are compiled for."""
        return self.shell("uname -m").decode(errors="replace").strip()

    @abstractmethod
    def more_facts(self) -> dict[str, str]:
        """What else this kind of device tells; `name` for its name."""

    def shell(self, line: str, sent: bytes = b"") -> bytes:
        """What a line prints there. Raises `SparsrError` with what it complains of."""
        try:
            done = subprocess.run(
                self.command(line), input=sent, capture_output=True, timeout=_PATIENCE + len(sent) / 1e5, check=False
            )
        except FileNotFoundError as error:
            raise SparsrError(f"{error.filename} is not installed", "install it, or name another target") from error
        except subprocess.TimeoutExpired as error:
            raise SparsrError(f"{self.name} does not answer", "is it connected, awake and unlocked?") from error
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip() or done.stdout.decode(errors="replace").strip()
            last = said.splitlines()[-1].strip() if said else f"exit code {done.returncode}"
            raise SparsrError(f"{self.name}: {last}", hint(said))
        return done.stdout

    def probe(self) -> Machine:
        """What the device tells of itself."""
        lines = self.shell(_FACTS).decode(errors="replace").splitlines()
        facts = {key: value.strip() for key, _, value in (line.partition("=") for line in lines)}
        more = self.more_facts()
        self._architecture = self.architecture()
        self._frequencies = {
            int(key.split()[1]): int(value)
            for key, value in facts.items()
            if re.fullmatch(r"frequency \d{1,4}", key) and value.isdecimal()
        }
        cpu = facts.get("cpu") or self._architecture
        return Machine(
            cpu=cpu,
            architecture=self._architecture,
            isa=tuple(sorted({word for word in facts.get("isa", "").split() if _ISA.fullmatch(word)})),
            cores=int(facts["cores"]) if facts.get("cores", "").isdecimal() else 1,
            governor=facts.get("governor") or None,
            memory=int(facts["memory"]) * 1024 if facts.get("memory", "").isdecimal() else None,
            system="Linux",
            kernel=facts.get("kernel", ""),
            python="",
            packages={},
            name=more.pop("name", "") or cpu,
            facts=more,
        )

    def condition(self) -> dict[str, str]:
        """The hottest zone."""
        with suppress(SparsrError):
            told = self.shell(_TEMPERATURES).decode(errors="replace").strip()
            if told.isdecimal():
                return {"hottest zone": f"{int(told) / 1000:.1f} C"}
        return {}

    def cpus(self, threads: int, cores: str) -> tuple[int, ...]:
        """Of all the system chooses."""
        return chosen_cores(cores, self._frequencies)

    def put(self, file: Path, name: str) -> str:
        """Send a file."""
        path = self.path(name)
        self.shell(f"cat > {shlex.quote(path)}", file.read_bytes())
        return path

    def path(self, name: str) -> str:
        """In the folder of this run."""
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", name):
            raise SparsrError(f"{name[:100]!r} is no name for a file on a device", "letters, digits and . _ - only")
        return f"{self._open()}/{name}"

    def run(self, job: Job, timeout: float) -> PipeSession:
        """A worker there, which the device itself ends in the end."""
        folder = shlex.quote(self._open())
        # What the engine would keep for later goes with the folder.
        line = f"cd {folder} && export XDG_CACHE_HOME={folder} && exec timeout {_LONGEST} ./{_PROGRAM}"
        return PipeSession(self.command(line), job, timeout, os.environ, hint)

    def get(self, path: str, file: Path) -> None:
        """Fetch a file."""
        file.write_bytes(self.shell(f"cat {shlex.quote(path)}"))

    def clean_up(self) -> None:
        """Have the keeper remove the folder; do it by another shell where the keeper's connection broke."""
        if self._keeper and self._keeper.stdin:
            with suppress(OSError):
                self._keeper.stdin.close()
            try:
                done = self._keeper.wait(_PATIENCE) == 0
            except subprocess.TimeoutExpired:
                self._keeper.kill()
                done = False
            if not done:
                with suppress(SparsrError):
                    self.shell(f"rm -rf {shlex.quote(self._folder)}")
        self._keeper, self._folder = None, ""

    def _open(self) -> str:
        """The folder, made on first use with its keeper, the worker's program in it."""
        if self._folder:
            return self._folder
        program = worker_program(self._architecture or self.architecture())
        made = self.shell(f'mktemp -d "{self.base}/sparsr-bench.XXXXXX"').decode(errors="replace").strip()
        if not re.fullmatch(r"/[\w./ -]{0,900}/sparsr-bench\.\w+", made):
            raise SparsrError(f"{self.name} made no folder but said {made[:80]!r}", "is its shell an ordinary one?")
        self._folder = made
        keep = f"trap '' HUP INT TERM; cat > /dev/null; rm -rf {shlex.quote(made)}"
        self._keeper = subprocess.Popen(
            self.command(keep), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            path = shlex.quote(f"{made}/{_PROGRAM}")
            self.shell(f"cat > {path} && chmod 700 {path}", program.read_bytes())
        except SparsrError:
            self.clean_up()
            raise
        return made


_HINTS = {
    "unauthorized": "unlock the phone and allow this computer to debug it",
    "offline": "plug it in again, or `adb reconnect`",
    "more than one device": "name one, as `adb devices` lists them: adb:SERIAL",
    "no devices": "plug the phone in and allow debugging; `adb devices` lists what is there",
    "not found": "`adb devices` lists what is there",
    "No space": "free some space on the device",
    "Read-only file system": "set TMPDIR on the device to a folder that can be written",
    "Exec format error": "its processor is another than it says; measure by another target",
    "not executable": "its processor is another than it says; measure by another target",
    "Permission denied": "check the key, the user, the folder's rights, and that programs may be started from there",
    "Connection refused": "is its ssh server running, and on that port?",
    "Host key verification failed": "connect once by ssh and accept the key",
    "Could not resolve": "check the name",
}


def hint(said: str) -> str:
    """What to do about a device's complaint."""
    return next((hint for part, hint in _HINTS.items() if part in said), "is it connected, awake and unlocked?")
