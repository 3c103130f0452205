"""libsparsr.so for Android's arm64: `python android_demo/packaging/native.py [OUT]`.

With the NDK where ANDROID_NDK_HOME names one, else from Debian's Clang, lld and arm64 libc++.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from debian import UnavailableError, tool, unpacked

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SOURCES = HERE.parent / "engine" / "src" / "main" / "cpp"
API_LEVEL = 24
LLVM = 19
LIBRARY = "libsparsr.so"


def build(out: Path) -> Path:
    """Build the library into the folder `out`; its path. Raises `UnavailableError` where tools are missing."""
    out = out.resolve()  # the linker runs in another folder
    out.mkdir(parents=True, exist_ok=True)
    folder = out / "cmake"
    ndk = os.environ.get("ANDROID_NDK_HOME")
    options = _with_ndk(Path(ndk)) if ndk else _without_ndk(out)
    cmake = tool("cmake", "cmake")
    _run(
        cmake,
        "-S",
        str(SOURCES),
        "-B",
        str(folder),
        "-DCMAKE_BUILD_TYPE=Release",
        f"-DSPARSR_DIGEST={_digest()}",
        *options,
    )
    _run(cmake, "--build", str(folder), "--parallel", str(os.cpu_count() or 1), "--target", "sparsr")
    place = out / "arm64-v8a" / LIBRARY
    place.parent.mkdir(exist_ok=True)
    strip = shutil.which(f"llvm-strip-{LLVM}") or shutil.which("llvm-strip")
    built = folder / "engine" / LIBRARY
    if strip:
        _run(strip, "--strip-unneeded", "-o", str(place), str(built))
    else:
        shutil.copyfile(built, place)
    return place


def _with_ndk(ndk: Path) -> list[str]:
    return [
        f"-DCMAKE_TOOLCHAIN_FILE={ndk}/build/cmake/android.toolchain.cmake",
        "-DANDROID_ABI=arm64-v8a",
        f"-DANDROID_PLATFORM=android-{API_LEVEL}",
        "-DANDROID_STL=c++_static",
        "-DANDROID_SUPPORT_FLEXIBLE_PAGE_SIZES=ON",
    ]


def _without_ndk(out: Path) -> list[str]:
    tool(f"clang++-{LLVM}", f"clang-{LLVM}")
    tool(f"ld.lld-{LLVM}", f"lld-{LLVM}")
    if not Path("/usr/aarch64-linux-gnu/include/stdio.h").is_file():
        raise UnavailableError("needs arm64 headers of the C library (apt install libc6-dev-arm64-cross)")
    packages = [f"{name}-{LLVM}-dev:arm64" for name in ("libc++", "libc++abi", "libunwind")]
    libcxx = unpacked("bookworm", *packages) / "usr" / "lib" / f"llvm-{LLVM}"
    includes = ";".join(str(path) for path in jni_includes())
    return [
        f"-DCMAKE_TOOLCHAIN_FILE={HERE / 'debian.cmake'}",
        f"-DSPARSR_ANDROID_LIBCXX={libcxx}",
        f"-DSPARSR_ANDROID_STUBS={make_stubs(out / 'stubs')}",
        f"-DSPARSR_JNI_INCLUDE={includes}",
        f"-DSPARSR_MORE_SOURCES={HERE / 'bionic.cpp'}",
    ]


def jni_includes() -> tuple[Path, Path]:
    """Folders of a JDK's jni.h. Raises `UnavailableError` where there is none."""
    include = Path(tool("javac", "openjdk-17-jdk-headless")).resolve().parents[1] / "include"
    if not (include / "jni.h").is_file():
        raise UnavailableError("needs jni.h (apt install openjdk-17-jdk-headless)")
    return include, include / "linux"


def allowed_symbols() -> dict[str, set[str]]:
    """What may be taken from each of Android's libraries."""
    symbols: dict[str, set[str]] = defaultdict(set)
    for line in (HERE / "android_symbols.txt").read_text().splitlines():
        library, _, names = line.partition(":")
        if not line.startswith("#"):
            symbols[library].update(names.split())
    return symbols


def make_stubs(folder: Path) -> Path:
    """Libraries with the names of Android's and nothing in them but what may be used."""
    folder.mkdir(parents=True, exist_ok=True)
    clang, linker = f"clang-{LLVM}", f"ld.lld-{LLVM}"
    for library, names in allowed_symbols().items():
        source = folder / f"{library}.s"
        kinds = {name: "object" if name == "stderr" else "function" for name in sorted(names)}
        lines = [
            f".globl {name}\n.type {name},%{kind}\n.size {name},8\n{name}: .quad 0" for name, kind in kinds.items()
        ]
        source.write_text(".data\n" + "\n".join(lines) + "\n")
        _run(clang, "--target=aarch64-linux-gnu", "-c", str(source), "-o", f"{source}.o")
        _run(linker, "-shared", "-soname", library, f"{source}.o", "-o", str(folder / library))
    return folder


def _digest() -> str:
    """Names the state of the sources, as measured costs are kept under it."""
    result = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "--short=16", "HEAD"], capture_output=True, text=True, check=False
    )
    return re.sub(r"\W", "", result.stdout) or "android"


def _run(*command: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{result.stdout[-3000:]}{result.stderr[-3000:]}")


def main() -> int:
    """Build; 0 if it is built, 2 if a tool is missing."""
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "android"
    try:
        print(build(out))
    except UnavailableError as error:
        print(f"libsparsr.so for Android cannot be built here: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
