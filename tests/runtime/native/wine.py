"""Programs for Windows: cross-compiled by mingw-w64, run under Wine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from sparsr.runtime.engines.native import load
from sparsr.runtime.engines.native.build import SOURCES

COMPILER = "x86_64-w64-mingw32-g++-posix"
LOADER = Path(__file__).with_name("windows_loader.cpp")


def skip_without_tools():
    if not shutil.which(COMPILER) or not shutil.which("cmake"):
        pytest.skip("needs cmake and mingw-w64 (apt install g++-mingw-w64-x86-64-posix)")
    if not shutil.which("wine"):
        pytest.skip("needs Wine (apt install wine)")


def run(folder, program, *arguments):
    """Run a program; Wine keeps its own files in `folder`."""
    environment = os.environ | {"WINEPREFIX": str(folder / "wine"), "WINEDEBUG": "-all", "SPARSR_PLAN": "estimate"}
    command = ["wine", program, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)


def run_library(folder, library, content, image):
    """[h, w, c] float32 -> what a library, loaded as Python on Windows would, makes of it, as flat values."""
    flags = ["-std=c++17", "-O1", "-static", "-D_WIN32_WINNT=0x0A00", f"-I{SOURCES}"]
    subprocess.run([COMPILER, *flags, LOADER, "-o", folder / "loader.exe"], check=True)
    (folder / "loaded.safetensors").write_bytes(content)
    image.tofile(folder / "loaded.in")
    height, width = image.shape[:2]
    called = sorted(set(re.findall(r"library\.(sparsr_\w+)", Path(load.__file__).read_text(encoding="utf-8"))))
    files = folder / "loaded.in", folder / "loaded.out"
    arguments = [library, folder / "loaded.safetensors", str(width), str(height), *files, *called]
    result = run(folder, folder / "loader.exe", *arguments)
    assert result.returncode == 0, result.stderr
    return np.fromfile(folder / "loaded.out", np.float32)


def libraries_needed(library):
    """Names of the libraries that a library loads, in lower case."""
    command = [COMPILER.replace("g++-posix", "objdump"), "-p", library]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {name.lower() for name in re.findall(r"DLL Name: (\S+)", text)}
