"""The engine for Windows: cross-built by mingw-w64, its C++ tests and sparsr_run on a picture under Wine."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from sparsr.export.writers.native import write_native
from sparsr.runtime.engines.native.build import SOURCES
from sparsr.runtime.engines.native.load import NativeModel
from tests.export import graphs

pytestmark = pytest.mark.slow
TESTS = Path(__file__).parent / "cpp"
DOCTEST = Path("/usr/include/doctest/doctest.h")
SETS = ("base", "avx2", "avx512")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    if not shutil.which("x86_64-w64-mingw32-g++-posix") or not shutil.which("cmake"):
        pytest.skip("needs cmake and mingw-w64 (apt install g++-mingw-w64-x86-64-posix)")
    if not shutil.which("wine"):
        pytest.skip("needs Wine (apt install wine)")
    if not DOCTEST.exists():
        pytest.skip("needs doctest (apt install doctest-dev)")
    tree = tmp_path_factory.mktemp("windows")
    # Without the other headers beside it, which are Linux's.
    shutil.copytree(DOCTEST.parent, tree / "include/doctest")
    (tree / "doctestConfig.cmake").write_text(
        "add_library(doctest::doctest INTERFACE IMPORTED)\n"
        f'set_target_properties(doctest::doctest PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "{tree}/include")\n'
    )
    options = [f"-DCMAKE_TOOLCHAIN_FILE={SOURCES}/windows.cmake", f"-DSPARSR_TESTS={TESTS}", f"-Ddoctest_DIR={tree}"]
    subprocess.run(["cmake", "-S", SOURCES, "-B", tree / "build", "-DSPARSR_TOOLS=ON", *options], check=True)
    subprocess.run(["cmake", "--build", tree / "build", "--parallel", "2"], check=True)
    return tree


def wine(tree, program, *arguments):
    environment = os.environ | {"WINEPREFIX": str(tree / "wine"), "WINEDEBUG": "-all", "SPARSR_PLAN": "estimate"}
    command = ["wine", tree / "build" / program, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)


def test_the_engines_own_tests(tree):
    result = wine(tree, "sparsr_tests.exe")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("name", SETS)
def test_a_picture_is_the_same_as_here(tree, name):
    rng = np.random.default_rng(0)
    sides = [("a", graphs.conv(rng, 3, 12, activation=graphs.RELU), ["image"]), ("b", graphs.conv(rng, 12, 3), ["a"])]
    content = write_native(graphs.chain("g", *sides), {})
    model = NativeModel(content, name)
    model.set_plan("estimate")
    image = rng.random((23, 45, 3), np.float32)
    expected = np.empty_like(image)
    model.run(image, expected)
    (tree / "model.safetensors").write_bytes(content)
    image.tofile(tree / "in")
    files = [tree / "model.safetensors", tree / "in", tree / "out"]
    result = wine(tree, "sparsr_run.exe", *files, "--size", "45x23", "--isa", name, "--threads", "2")
    assert result.returncode == 0, result.stderr
    np.testing.assert_array_equal(np.fromfile(tree / "out", np.float32).reshape(image.shape), expected)
