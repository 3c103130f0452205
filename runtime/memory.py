"""Amounts of memory: as people write them, and as this process holds them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import sys
from pathlib import Path

from sparsr.runtime.errors import SparsrError

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}
_MMAP_THRESHOLD = -3  # of mallopt(3)
_LARGE = 2**20
_TYPICAL_PROCESS = 150 * 2**20  # Python, numpy, Pillow and an engine with a small model


def parse_bytes(text: str) -> int:
    """`1G`, `512M`, `1.5GiB` or a number of bytes. Raises `SparsrError` for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if not match or not float(match[1]) or len(match[1]) > 20:
        raise SparsrError(f"{text!r} is not an amount of memory", "write for example 512M or 1.5G")
    return int(float(match[1]) * _UNITS[match[2].upper()])


def format_bytes(count: float) -> str:
    """Rounded up to whole MiB, or to KiB or bytes where it is less than one, in the notation `parse_bytes` reads."""
    unit, size = next(((unit, size) for unit, size in (("M", 2**20), ("K", 2**10)) if count >= size), ("B", 1))
    return f"{-(-int(count) // size)}{unit}"


def resident_bytes() -> int:
    """Memory this process holds now; a typical figure where the system does not tell (other than Linux)."""
    if sys.platform != "linux":
        return _TYPICAL_PROCESS
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def give_back_at_once() -> None:
    """Have the C library give pieces of memory from 1 MiB on back to the system as soon as they are freed.

    glibc learns from large pieces that are freed, such as a decoded picture, to keep as much for later: up to 32 MiB,
    which are in use by nobody and count all the same. For all of this process; nothing with other C libraries.
    """
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError):
            ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _LARGE)
