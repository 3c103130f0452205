"""A file's own sizes decide how much memory running it takes: never more than the machine has left."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

_SPARE = 1 << 30
"""Allocators reserve addresses that they do not use."""


@contextlib.contextmanager
def limited_memory() -> Iterator[None]:
    """Within it what asks for more memory than there is fails, instead of the kernel ending some process. On Linux."""
    try:
        import resource

        limits = resource.getrlimit(resource.RLIMIT_AS)
        used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * os.sysconf("SC_PAGE_SIZE")
        fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
        most = used + _SPARE + 1024 * int(fields["MemAvailable"].split()[0])
    except (ImportError, OSError, KeyError, ValueError):
        yield
        return
    soft = most if limits[0] == resource.RLIM_INFINITY else min(most, limits[0])
    resource.setrlimit(resource.RLIMIT_AS, (soft, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
