"""The engine for Windows under Wine: its C++ tests, sparsr_run on a picture, the library as Python loads it."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from sparsr.export.writers.native import write_native
from sparsr.runtime.engines.native.build import SOURCES
from sparsr.runtime.engines.native.load import NativeModel
from tests.export import graphs
from tests.runtime.native import wine

pytestmark = pytest.mark.slow
TESTS = Path(__file__).parent / "cpp"
DOCTEST = Path("/usr/include/doctest/doctest.h")
SETS = ("base", "avx2", "avx512")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    wine.skip_without_tools()
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


def small_model():
    rng = np.random.default_rng(0)
    sides = [("a", graphs.conv(rng, 3, 12, activation=graphs.RELU), ["image"]), ("b", graphs.conv(rng, 12, 3), ["a"])]
    return write_native(graphs.chain("g", *sides), {}), rng.random((23, 45, 3), np.float32)


def result_here(content, image, name=None):
    model = NativeModel(content, name)
    model.set_plan("estimate")
    expected = np.empty_like(image)
    model.run(image, expected)
    return expected


def test_the_engines_own_tests(tree):
    result = wine.run(tree, tree / "build/sparsr_tests.exe")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("name", SETS)
def test_a_picture_is_the_same_as_here(tree, name):
    content, image = small_model()
    (tree / "model.safetensors").write_bytes(content)
    image.tofile(tree / "in")
    files = [tree / "model.safetensors", tree / "in", tree / "out"]
    program = tree / "build/sparsr_run.exe"
    result = wine.run(tree, program, *files, "--size", "45x23", "--isa", name, "--threads", "2")
    assert result.returncode == 0, result.stderr
    expected = result_here(content, image, name)
    np.testing.assert_array_equal(np.fromfile(tree / "out", np.float32).reshape(image.shape), expected)


def test_python_would_find_all_it_calls_in_the_library(tree):
    content, image = small_model()
    library = tree / "build/libsparsr.dll"
    assert wine.libraries_needed(library) <= {"kernel32.dll", "msvcrt.dll"}
    result = wine.run_library(tree, library, content, image)
    np.testing.assert_array_equal(result.reshape(image.shape), result_here(content, image))
