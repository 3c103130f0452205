"""libsparsr for arm64, cross-compiled and run under an emulator of a Cortex-A76."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest

from sparsr.runtime.engines.native import build as builder

COMPILER = "aarch64-linux-gnu-g++"
EMULATOR = ("qemu-aarch64", "-cpu", "cortex-a76", "-L", "/usr/aarch64-linux-gnu")


@functools.cache
def runner():
    """The program that runs models, built on first use. Skips the test where that is not possible."""
    for tool, package in ((COMPILER, "g++-aarch64-linux-gnu"), (EMULATOR[0], "qemu-user"), ("cmake", "cmake")):
        if not shutil.which(tool):
            pytest.skip(f"needs {tool} (apt install {package})")
    folder = builder.cache() / f"{builder.digest()}-arm64"
    if not folder.is_dir():
        builder.build(folder, f"-DCMAKE_TOOLCHAIN_FILE={builder.SOURCES / 'arm64.cmake'}", "-DSPARSR_TOOLS=ON")
    return folder / builder.RUNNER


class EmulatedModel:
    """As far as the tests need it, what `NativeModel` is: every run is a process of its own."""

    def __init__(self, content, instruction_set="neon", threads=1, repeat=1, emulator=()):
        self._folder = tempfile.TemporaryDirectory()
        self._path = Path(self._folder.name)
        (self._path / "model").write_bytes(content)
        self._command = [*EMULATOR, *emulator, runner(), *(self._path / name for name in ("model", "in", "out"))]
        self._options = ["--isa", instruction_set, "--threads", str(threads), "--repeat", str(repeat)]
        self.report = {}
        self.errors = ""

    def run(self, image):
        """[1, c, h, w] float32 -> the same of the result."""
        height, width = image.shape[2:]
        (self._path / "in").write_bytes(image[0].transpose(1, 2, 0).astype("<f4").tobytes())
        command = [*self._command, "--size", f"{width}x{height}", *self._options]
        result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert result.returncode == 0, result.stderr
        self.report = json.loads(result.stdout)
        self.errors = result.stderr
        shape = tuple(self.report[side] for side in ("height", "width", "channels"))
        return np.fromfile(self._path / "out", "<f4").reshape(shape).transpose(2, 0, 1)[None]

    def plan(self):
        return self.report["plan"]
