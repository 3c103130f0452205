"""Android's libsparsr.so, APK and AAR, built here once; and an arm64 JVM under an emulator to run them in."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import importlib
import shutil
import subprocess
import sys
from pathlib import Path

import java
import pytest

from sparsr.runtime.engines.native import build as builder

PACKAGING = java.APP / "packaging"
sys.path.insert(0, str(PACKAGING))
debian, native, aar, packager = (importlib.import_module(name) for name in ("debian", "native", "aar", "apk"))
PREFIX = "/usr/aarch64-linux-gnu"


def or_skip(build):
    """What `build` gives; skips the test where something it needs cannot be had."""
    try:
        return build()
    except debian.UnavailableError as error:
        pytest.skip(str(error))


@functools.cache
def folder():
    """Where things are built: kept from run to run as long as no source changes, for this checkout alone.

    CMake's folder knows where its sources lie, and refuses equal ones that lie elsewhere.
    """
    digest = hashlib.sha256(builder.digest().encode() + str(PACKAGING).encode())
    parts = (PACKAGING, java.APP / "engine")
    for path in sorted(
        path for part in parts for path in part.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ):
        digest.update(path.read_bytes())
    return debian.cache() / f"tests-{digest.hexdigest()[:16]}"


@functools.cache
def library():
    """libsparsr.so for Android without the NDK; built by one process at a time."""
    folder().mkdir(parents=True, exist_ok=True)
    with (folder() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return or_skip(lambda: native.build(folder()))


def archive(out):
    return or_skip(lambda: aar.build(out, library()))


def apk(assets, out):
    return or_skip(lambda: packager.build(assets, out, library()))


@functools.cache
def shims():
    """A folder with libc.so, libm.so and libdl.so for glibc, as Android's library asks for them."""
    compiler = "aarch64-linux-gnu-gcc"
    if not shutil.which(compiler):
        pytest.skip("needs aarch64-linux-gnu-gcc (apt install gcc-aarch64-linux-gnu)")
    place = java.scratch() / "shims"
    place.mkdir()
    source = Path(__file__).parent / "shim.c"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-Wall", source, "-Wl,-soname,libc.so", "-o", place / "libc.so"], check=True
    )
    for name in ("m", "dl"):
        options = ["-shared", "-x", "c", "/dev/null", "-Wl,--no-as-needed", f"-l{name}", f"-Wl,-soname,lib{name}.so"]
        subprocess.run([compiler, *options, "-o", place / f"lib{name}.so"], check=True)
    return place


@functools.cache
def emulated_java(cpu="cortex-a76"):
    """The command of an arm64 JVM."""
    if not shutil.which("qemu-aarch64"):
        pytest.skip("needs qemu-aarch64 (apt install qemu-user)")
    root = or_skip(lambda: debian.unpacked("bookworm", "openjdk-17-jre-headless:arm64", "zlib1g:arm64"))
    paths = (shims(), root / "lib" / "aarch64-linux-gnu", Path(PREFIX) / "lib")
    emulator = ("qemu-aarch64", "-cpu", cpu, "-L", PREFIX, "-E", f"LD_LIBRARY_PATH={':'.join(map(str, paths))}")
    return (*emulator, str(root / "usr" / "lib" / "jvm" / "java-17-openjdk-arm64" / "bin" / "java"))
