import os
import platform
import shutil
import subprocess
import sys

import pytest

from sparsr.bench.hide_avx512 import packages

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64" or not shutil.which("objdump"), reason="needs an x86-64 machine and objdump"
)

# AVX-512 F and VL, which must go, and AVX2, FMA and BMI1, which must stay; a real UD2 must still end the process.
SOURCE = """
#include <cpuid.h>
unsigned leaf7_ebx(void) { unsigned a, b, c, d; __cpuid_count(7, 0, a, b, c, d); return b; }
unsigned leaf1_ecx(void) { unsigned a, b, c, d; __cpuid_count(1, 0, a, b, c, d); return c; }
/* the two bytes inside a constant are no instruction */
unsigned constant(void) { return 0xa20fu; }
void trap(void) { __builtin_trap(); }
"""
PROBE = """
import ctypes, sys, probed
library = ctypes.CDLL(probed.__file__.replace("__init__.py", "libprobed.so"))
if "trap" in sys.argv: library.trap()
print(*[getattr(library, name)() & 0xffffffff for name in ("leaf7_ebx", "leaf1_ecx", "constant")])
"""
AVX512 = sum(1 << bit for bit in (16, 17, 21, 26, 27, 28, 30, 31))


@pytest.fixture
def probed(tmp_path, monkeypatch):
    """A package whose library asks the processor, and the masked environment for it."""
    package = tmp_path / "site" / "probed"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (tmp_path / "probed.c").write_text(SOURCE)
    subprocess.run(
        ["gcc", "-O1", "-shared", "-fPIC", "-o", package / "libprobed.so", tmp_path / "probed.c"], check=True
    )
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(packages._MODULES, "probed", ("probed",))
    return package, packages.environment("probed")


def ask(environment, *arguments):
    return subprocess.run(
        [sys.executable, "-c", PROBE, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_only_the_masked_features_go(probed):
    package, masked = probed
    plain = [int(word) for word in ask({"PYTHONPATH": str(package.parent)}).stdout.split()]
    hidden = [int(word) for word in ask(masked).stdout.split()]
    assert hidden[0] == plain[0] & ~AVX512
    assert hidden[1] & ~(1 << 27) == plain[1] & ~(1 << 27)  # OSXSAVE may differ between two readings
    assert hidden[2] == plain[2] == 0xA20F
    assert plain[0] & (1 << 5), "this test wants a processor with AVX2"


def test_a_real_trap_still_ends_the_process(probed):
    _, masked = probed
    assert ask(masked, "trap").returncode < 0


def test_the_installed_package_is_left_as_it_is(probed):
    package, masked = probed
    copy = packages.Path(masked["PYTHONPATH"]) / "probed" / "libprobed.so"
    assert packages._UD0 in copy.read_bytes()
    assert packages._CPUID in (package / "libprobed.so").read_bytes()
    assert packages._cpuid_offsets(copy, copy.read_bytes()) == []


def test_a_second_call_finds_the_copy(probed, monkeypatch):
    monkeypatch.setattr(packages, "_build", None)
    assert packages.environment("probed") == probed[1]


def test_the_native_engine_is_told():
    assert packages.environment("native") == {"SPARSR_ISA": "avx2"}
