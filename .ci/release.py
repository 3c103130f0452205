"""The engine without Python for x86-64 and arm64 Linux: `python .ci/release.py FOLDER`, by `make release`.

Each archive has one statically linked program that measures bundles and upscales PNG and JPEG pictures. The libraries
of the picture formats come from Debian's packages, unpacked aside.
"""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = "sparsr_bench"
LIBRARIES = ("libpng-dev", "zlib1g-dev", "libjpeg62-turbo-dev")
LICENCES = {"libpng-dev": "libpng", "zlib1g-dev": "zlib", "libjpeg62-turbo-dev": "libjpeg-turbo"}
SUITE = "bookworm"
DEBIAN = {"x86_64": "amd64", "aarch64": "arm64"}


def main() -> int:
    """Write an archive per processor that a compiler is here for; 0, or 1 if there is none."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    written = [build(machine, folder) for machine in DEBIAN if compiler(machine)]
    return 0 if written else 1


def compiler(machine: str) -> str | None:
    """The compiler for a processor, if it is here."""
    found = shutil.which("g++" if machine == platform.machine() else f"{machine}-linux-gnu-g++")
    if not found:
        print(f"no compiler for {machine}: no program for it")
    return found


def build(machine: str, folder: Path) -> Path:
    """The archive of one processor."""
    libraries = unpacked(machine)
    options = [f"-DCMAKE_PREFIX_PATH={libraries / 'usr'}"] if libraries else []
    if machine != platform.machine():
        options.append(f"-DCMAKE_TOOLCHAIN_FILE={ROOT / 'runtime/native/arm64.cmake'}")
    with tempfile.TemporaryDirectory() as temporary:
        tree = Path(temporary) / "tree"
        sources = str(ROOT / "runtime/native")
        subprocess.run(["cmake", "-S", sources, "-B", str(tree), "-DSPARSR_TOOLS=ON", *options], check=True)
        cores = str(os.cpu_count() or 1)  # without a number make starts all at once
        subprocess.run(["cmake", "--build", str(tree), "--parallel", cores, "--target", PROGRAM], check=True)
        name = f"sparsr-bench-{version()}-linux-{machine}"
        archive = folder / f"{name}.tar.gz"
        with tarfile.open(archive, "w:gz") as content:
            content.add(tree / PROGRAM, f"{name}/sparsr-bench")
            for file in ("LICENSE", "NOTICE"):
                content.add(ROOT / file, f"{name}/{file}")
            for package, licence in LICENCES.items():
                text = (libraries or Path("/")) / "usr/share/doc" / package / "copyright"
                if text.is_file():
                    content.add(text.resolve(), f"{name}/licences/{licence}")
    print(f"wrote {archive}")
    return archive


def unpacked(machine: str) -> Path | None:
    """The folder with the static libraries for a processor; None where they cannot be had: PPM pictures only."""
    sys.path.insert(0, str(ROOT / "android_demo/packaging"))
    debian = importlib.import_module("debian")
    try:
        folder: Path = debian.unpacked(SUITE, *(f"{library}:{DEBIAN[machine]}" for library in LIBRARIES))
    except debian.UnavailableError as error:
        print(f"{machine}: {error}; its program reads and writes what static libraries here allow")
        return None
    return folder


def version() -> str:
    """The package's."""
    line = (ROOT / "runtime/sparsr/__init__.py").read_text().split("__version__ = ")[1]
    return line.split('"')[1]


if __name__ == "__main__":
    sys.exit(main())
