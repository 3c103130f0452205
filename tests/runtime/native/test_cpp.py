"""The engine's own tests in C++ (tests/runtime/native/cpp), built with the checks of debug builds, a test each."""

import shutil
import subprocess
from pathlib import Path

import pytest

from sparsr.runtime.engines.native.build import SOURCES

TESTS = Path(__file__).parent / "cpp"


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    if not shutil.which("cmake"):
        pytest.skip("needs cmake and a C++ compiler")
    tree = tmp_path_factory.mktemp("cpp")
    options = [f"-DSPARSR_TESTS={TESTS}", "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_CXX_FLAGS=-O0 -g0 -D_GLIBCXX_ASSERTIONS"]
    made = subprocess.run(["cmake", "-S", SOURCES, "-B", tree, *options], capture_output=True, text=True)
    if "doctestConfig.cmake" in made.stderr:
        pytest.skip("needs doctest (apt install doctest-dev)")
    assert made.returncode == 0, made.stderr
    built = subprocess.run(
        ["cmake", "--build", tree, "--target", "sparsr_tests", "--parallel", "2"], capture_output=True, text=True
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return tree / "sparsr_tests"


def names():
    lines = (line for path in sorted(TESTS.glob("*.cpp")) for line in path.read_text().splitlines())
    return [line.split('"')[1] for line in lines if line.startswith("TEST_CASE(")]


@pytest.mark.parametrize("name", names())
def test_case(program, name):
    command = [program, f"--test-case={name.replace(',', '*')}", "--no-version"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout
    assert "1 passed" in result.stdout
