"""The engine for macOS, cross-compiled by Zig: that it compiles and what its library holds. It is run nowhere here."""

import importlib.util
import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from sparsr.runtime.engines.native.build import SOURCES

pytestmark = pytest.mark.slow
CPU_TYPES = {"arm64": 0x0100000C, "x86_64": 0x01000007}
LOAD_DYLIB = 0xC


def zig():
    if program := shutil.which("zig"):
        return program
    package = importlib.util.find_spec("ziglang")
    if not package or not package.origin:
        pytest.skip("needs Zig (pip install ziglang)")
    return str(Path(package.origin).with_name("zig"))


@pytest.fixture(scope="module", params=list(CPU_TYPES))
def built(request, tmp_path_factory):
    """The machine's name and the folder of what was built for it."""
    tree = tmp_path_factory.mktemp(request.param)
    options = [f"-DCMAKE_TOOLCHAIN_FILE={SOURCES}/macos.cmake", f"-DSPARSR_MACHINE={request.param}"]
    environment = os.environ | {"SPARSR_ZIG": zig()}
    command = ["cmake", "-S", SOURCES, "-B", tree, "-DSPARSR_TOOLS=ON", "-DCMAKE_CXX_FLAGS_RELEASE=-O1", *options]
    made = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    command = ["cmake", "--build", tree, "--parallel", "2"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return request.param, tree


def commands_of(content):
    """(kind, bytes) of a Mach-O file's load commands."""
    count, at = struct.unpack_from("<I", content, 16)[0], 32
    for _ in range(count):
        kind, size = struct.unpack_from("<II", content, at)
        yield kind & 0x7FFFFFFF, content[at : at + size]
        at += size


def test_the_library_is_for_this_processor_and_needs_only_the_systems_own(built):
    machine, tree = built
    content = (tree / "libsparsr.dylib").read_bytes()
    assert struct.unpack_from("<II", content) == (0xFEEDFACF, CPU_TYPES[machine])
    loaded = [part for kind, part in commands_of(content) if kind == LOAD_DYLIB]
    names = [part[struct.unpack_from("<I", part, 8)[0] :].split(b"\0")[0] for part in loaded]
    assert names and all(name.startswith(b"/usr/lib/") for name in names)


def test_the_library_has_the_c_interface(built):
    content = (built[1] / "libsparsr.dylib").read_bytes()
    for name in (b"_sparsr_load", b"_sparsr_run_images", b"_sparsr_free", b"_RegisterCustomOps"):
        assert b"\0" + name + b"\0" in content


def test_the_runner_is_a_program_for_it(built):
    machine, tree = built
    magic, cpu, _, kind = struct.unpack_from("<4I", (tree / "sparsr_run").read_bytes())
    assert (magic, cpu, kind) == (0xFEEDFACF, CPU_TYPES[machine], 2)
