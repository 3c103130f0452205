"""What the measurement ran on: figures without their machine mean nothing."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

# The instruction sets kernels are chosen by; the other flags of a CPU do not change an engine's speed.
_ISA = re.compile(r"sse4_2|avx|avx2|fma|f16c|avx512\w+|avx_vnni|amx_\w+|asimd|asimdhp|asimddp|i8mm|bf16|sve2?|sme2?")


@dataclass(frozen=True)
class Machine:
    """Processor, system and packages; null where the system does not tell."""

    cpu: str
    architecture: str
    isa: tuple[str, ...]
    """Vector instruction sets, as Linux names them."""
    cores: int
    """CPUs this process may use."""
    governor: str | None
    """Frequency governor; virtual machines do not show it."""
    memory: int | None
    """Bytes of main memory."""
    system: str
    kernel: str
    python: str
    packages: dict[str, str]
    """Versions of the installed engines and of numpy."""
    name: str = ""
    """What budgets in milliseconds call it: a phone's model, else the processor's name."""
    facts: dict[str, str] = field(default_factory=dict)
    """Whatever else the device tells: chip, temperature, battery, system release."""


def describe(packages: tuple[str, ...]) -> Machine:
    """This machine, with the versions of those of `packages` that are installed."""
    info = _read("/proc/cpuinfo") or ""
    words = re.search(r"^(?:flags|Features)\s*:\s*(.*)$", info, re.M)
    name = re.search(r"^model name\s*:\s*(.*)$", info, re.M)
    memory = re.search(r"^MemTotal:\s*(\d+) kB$", _read("/proc/meminfo") or "", re.M)
    versions = {package: version(package) for package in packages}
    return Machine(
        cpu=name[1] if name else platform.processor() or "unknown",
        architecture=platform.machine(),
        isa=tuple(sorted(word for word in (words[1] if words else "").split() if _ISA.fullmatch(word))),
        cores=len(available_cpus()) or os.cpu_count() or 1,
        governor=_read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        memory=int(memory[1]) * 1024 if memory else None,
        system=platform.system(),
        kernel=platform.release(),
        python=platform.python_version(),
        packages={package: found for package, found in versions.items() if found},
        name=name[1] if name else platform.processor() or "unknown",
    )


def version(package: str) -> str | None:
    """Version of an installed package, None if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def available_cpus() -> tuple[int, ...]:
    """CPUs this process may be pinned to; empty where the system has no such call."""
    return tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else ()


def core_frequencies() -> dict[int, int]:
    """Core -> its greatest frequency in kHz; empty where the system does not tell."""
    texts = {cpu: _read(f"/sys/devices/system/cpu/cpu{cpu}/cpufreq/cpuinfo_max_freq") for cpu in available_cpus()}
    return {cpu: int(text) for cpu, text in texts.items() if text}


def hottest_zone() -> dict[str, str]:
    """The temperature of the hottest zone, by what it is called; empty where the system does not tell."""
    texts = [_read(str(path)) for path in Path("/sys/class/thermal").glob("thermal_zone*/temp")]
    degrees = [int(text) for text in texts if text and re.fullmatch(r"-?\d+", text)]
    return {"hottest zone": f"{max(degrees) / 1000:.1f} C"} if degrees else {}


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return None
