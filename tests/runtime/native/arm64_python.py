"""An emulated arm64 Python with the published builds of ONNX Runtime and LiteRT: fetched once, nothing installed."""

from __future__ import annotations

import functools
import importlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.runtime.native import arm64

ROOT = Path(__file__).parents[3]
PREFIX = Path("/usr/aarch64-linux-gnu")
DEBIAN = ("python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "libexpat1", "zlib1g", "libssl3",
          "libffi8", "libbz2-1.0", "liblzma5", "libuuid1")  # fmt: skip
WHEELS = ("numpy==1.26.4", "pillow==12.3.0", "onnxruntime==1.23.2", "flatbuffers==25.12.19", "protobuf==6.33.2",
          "packaging==25.0", "typing_extensions==4.15.0", "ai-edge-litert==2.3.0",
          "backports.strenum==1.2.8")  # fmt: skip
# QEMU 7 shows programs the host's processor, on which libraries that ask for an arm64's crash.
PROCESSOR = """processor\t: {}
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x4
CPU part\t: 0xd0b
CPU revision\t: 1

"""

sys.path.insert(0, str(ROOT / "android_demo" / "packaging"))
debian = importlib.import_module("debian")


@functools.cache
def site() -> Path:
    """A folder with the wheels' contents. Skips the test where they cannot be had."""
    place = debian.cache() / "arm64-site"
    if place.is_dir():
        return place
    part = place.with_name(f"{place.name}.part{os.getpid()}")
    platforms = [f"--platform=manylinux_2_{minor}_aarch64" for minor in (28, 27, 17)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", part / "wheels", "--no-deps", *platforms,
               "--platform=manylinux2014_aarch64", "--only-binary=:all:", "--python-version=3.11", *WHEELS]  # fmt: skip
    try:
        fetched = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        if fetched.returncode:
            pytest.skip(f"wheels for arm64 cannot be had: {fetched.stderr.strip().splitlines()[-1]}")
        for wheel in (part / "wheels").glob("*.whl"):
            zipfile.ZipFile(wheel).extractall(part / "site")
        (part / "site").rename(place)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return place


def python(folder: Path, processor: str) -> tuple[str, ...]:
    """The command of an emulated arm64 Python that imports this checkout; `folder` takes what it needs of a root."""
    library = arm64.runner().with_name("libsparsr.so")
    try:
        unpacked = debian.unpacked("bookworm", *(f"{name}:arm64" for name in DEBIAN))
    except debian.UnavailableError as error:
        pytest.skip(str(error))
    (folder / "proc").mkdir()
    (folder / "proc" / "cpuinfo").write_text("".join(map(PROCESSOR.format, range(2))))
    (folder / "lib").symlink_to(PREFIX / "lib")
    libraries = (unpacked / "lib/aarch64-linux-gnu", unpacked / "usr/lib/aarch64-linux-gnu", PREFIX / "lib")
    checkout = Path(sys.modules["sparsr"].__path__[0]).parent
    environment = {
        "LD_LIBRARY_PATH": ":".join(map(str, libraries)),
        "PYTHONHOME": unpacked / "usr",
        "PYTHONPATH": f"{checkout}:{site()}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "SPARSR_LIBRARY": library,
        "SPARSR_PLAN": "estimate",
    }
    settings = [part for name, value in environment.items() for part in ("-E", f"{name}={value}")]
    return ("qemu-aarch64", "-cpu", processor, "-L", str(folder), *settings, str(unpacked / "usr/bin/python3.11"))
