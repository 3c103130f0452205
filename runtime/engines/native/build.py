"""Finds libsparsr: the one a wheel carries, else built by CMake on first use and kept in the user's cache.

The cache has a folder per state of the sources.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from sparsr.runtime.errors import SparsrError

SOURCES = Path(__file__).parents[2] / "native"
SHIPPED = Path(__file__).parent / "lib"
"""In a wheel: the library, and the digest of the sources it was built from. Absent in a checkout."""
LIBRARY = {"win32": "libsparsr.dll", "darwin": "libsparsr.dylib"}.get(sys.platform, "libsparsr.so")
RUNNER = "sparsr_run"
WORKER = "sparsr_bench"
"""Measures on behalf of the bench, on machines without Python."""
PREBUILT = "SPARSR_LIBRARY"
"""Environment variable: a library built elsewhere, used as it is."""
_HINT = "install cmake and a C++17 compiler (apt install cmake g++), or use another engine, for example --engine ort"

_CACHE_HINT = "name a folder you may write to in XDG_CACHE_HOME, or use another engine, for example --engine ort"


def library_path() -> Path:
    """The library a wheel carries; else one built if it is not there yet (seconds), with the `RUNNER` beside it.

    Raises `SparsrError` if it cannot be built.
    """
    if prebuilt := os.environ.get(PREBUILT):
        return Path(prebuilt)
    if (SHIPPED / LIBRARY).is_file():
        return SHIPPED / LIBRARY
    folder = cache() / digest()
    try:
        if not (folder / LIBRARY).is_file():
            build(folder, f"-DSPARSR_DIGEST={digest()}", "-DSPARSR_TOOLS=ON")
    except PermissionError as error:
        raise SparsrError(f"the native engine cannot be built: {cache()} is not this account's", _CACHE_HINT) from error
    except OSError as error:
        raise SparsrError(f"the native engine cannot be built in {cache()}: {error.strerror}", _CACHE_HINT) from error
    return folder / LIBRARY


def source_files() -> list[Path]:
    """Everything the build depends on, sorted."""
    patterns = ("CMakeLists.txt", "*.cmake", "**/*.h", "**/*.cpp", "**/*.def")
    return sorted(path for pattern in patterns for path in SOURCES.glob(pattern))


def digest() -> str:
    """16 hex digits that change with any source file."""
    if (SHIPPED / "digest").is_file():
        return (SHIPPED / "digest").read_text(encoding="ascii")
    state = hashlib.sha256()
    for path in source_files():
        state.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return state.hexdigest()[:16]


def cache() -> Path:
    """Where builds are kept, a folder per state of the sources."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "sparsr" / "native"


def build(folder: Path, *options: str) -> None:
    """Build the library by CMake with `options` into a new `folder`; with -DSPARSR_TOOLS=ON the `RUNNER` too.

    Aside, then renamed: of several processes that build at once every one finds a whole folder.
    Raises `SparsrError` if it cannot be built.
    """
    if not shutil.which("cmake"):
        raise SparsrError("the native engine is not built and there is no cmake to build it", _HINT)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".build.", dir=folder.parent) as temporary:
        tree = Path(temporary) / "tree"
        _run("cmake", "-S", str(SOURCES), "-B", str(tree), *options)
        _run("cmake", "--build", str(tree), "--parallel", str(os.cpu_count() or 1))
        finished = Path(temporary) / "finished"
        finished.mkdir()
        for product in (tree / LIBRARY, tree / RUNNER, tree / WORKER):
            if product.is_file():
                shutil.copy2(product, finished)
        try:
            finished.rename(folder)
        except OSError:
            if not (folder / LIBRARY).is_file():
                raise
            for product in finished.iterdir():  # the folder may be of a build without tools
                if not (folder / product.name).is_file():
                    product.rename(folder / product.name)


def _run(*command: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        lines = (result.stderr or result.stdout).strip().splitlines()
        reason = next((line for line in lines if "rror" in line), lines[-1] if lines else "no reason given")
        raise SparsrError(f"the native engine cannot be built: {reason.strip()}", _HINT)
