"""The worker without Python, `sparsr_bench`, for a machine's architecture: built on first use, kept in the cache."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path

from sparsr.runtime.engines.native import build as builder
from sparsr.runtime.errors import SparsrError

ENGINES = ("native", "native-fp16")
"""What it runs."""
_ALIASES = {"amd64": "x86_64", "arm64": "aarch64", "arm64-v8a": "aarch64"}
_CROSS_COMPILER = "aarch64-linux-gnu-g++"


def worker_program(architecture: str) -> Path:
    """The program, statically linked, for `x86_64` or `aarch64` as `uname -m` and Android call them.

    Raises `SparsrError` for another architecture, and where there is no compiler for it.
    """
    wanted = _ALIASES.get(architecture.lower(), architecture.lower())
    if wanted not in _ALIASES.values():
        raise SparsrError(
            f"there is no runner for {architecture}", "it exists for x86_64 and aarch64 (64-bit ARM) alone"
        )
    if wanted == platform.machine():
        folder, options = builder.cache() / builder.digest(), (f"-DSPARSR_DIGEST={builder.digest()}",)
    else:
        folder, options = builder.cache() / f"{builder.digest()}-arm64", _cross(wanted)
    if not (folder / builder.WORKER).is_file():
        builder.build(folder, "-DSPARSR_TOOLS=ON", *options)
    return folder / builder.WORKER


def _cross(architecture: str) -> tuple[str]:
    if architecture != "aarch64" or not shutil.which(_CROSS_COMPILER):
        raise SparsrError(f"a runner for {architecture} needs {_CROSS_COMPILER}", "apt install g++-aarch64-linux-gnu")
    return (f"-DCMAKE_TOOLCHAIN_FILE={builder.SOURCES / 'arm64.cmake'}",)
