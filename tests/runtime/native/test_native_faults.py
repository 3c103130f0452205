"""No allocation of the native engine may fail without an error, or leave anything behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sparsr.export.writers.native import write_native
from sparsr.runtime.engines.native import build as builder
from tests.export import graphs

SOURCE = Path(__file__).with_name("native_faults.cpp")


@pytest.mark.skipif(sys.platform != "linux", reason="the program replaces functions of glibc")
@pytest.mark.skipif(bool(os.environ.get(builder.PREBUILT)), reason="sanitizers replace the same functions")
def test_every_failing_allocation_is_an_error_and_leaves_nothing(tmp_path):
    library = builder.library_path()
    program, model = tmp_path / "faults", tmp_path / "model"
    command = ["g++", "-std=c++17", "-O1", f"-I{builder.SOURCES}", SOURCE, library, f"-Wl,-rpath,{library.parent}"]
    subprocess.run([*command, "-ldl", "-pthread", "-o", program], check=True, timeout=120)
    model.write_bytes(write_native(graphs.small_network(value_range=255.0), {}))
    for plan in ("estimate", "measure"):
        environment = {**os.environ, "SPARSR_PLAN": plan, "XDG_CACHE_HOME": str(tmp_path)}
        result = subprocess.run([program, model], capture_output=True, text=True, check=False, env=environment)
        assert result.returncode == 0, result.stderr
        allocations = int(result.stdout.split()[0])
        assert allocations > 1000
