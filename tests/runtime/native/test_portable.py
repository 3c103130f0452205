"""The engine with -DSPARSR_PORTABLE: nothing but C++17, whatever the compiler and the processor."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest

from sparsr.export.ir import reference
from sparsr.export.writers.native import write_native
from sparsr.runtime.engines.native.build import SOURCES
from tests.export import graphs
from tests.runtime.native.native_models import share_places

pytestmark = pytest.mark.slow
EXTENSION = re.compile(r"__builtin_(?!offsetof)|__attribute__|\b__?asm|\basm\b|__fp16|arm_neon|immintrin")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    tree = tmp_path_factory.mktemp("portable")
    options = ["-DSPARSR_PORTABLE=ON", "-DSPARSR_TOOLS=ON", "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON"]
    made = subprocess.run(["cmake", "-S", SOURCES, "-B", tree, *options], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return tree


@pytest.fixture(scope="module")
def runner(tree):
    command = ["cmake", "--build", tree, "--parallel", "2", "--target", "sparsr_run"]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout[-3000:] + built.stderr
    return tree / "sparsr_run"


def own_lines(command):
    """What the compiler sees of the project's own files: lines after the preprocessor."""
    arguments = [part for part in shlex.split(command["command"]) if part not in ("-c", "-Werror")]
    arguments[arguments.index("-o") : arguments.index("-o") + 2] = ["-E"]
    text = subprocess.run(arguments, capture_output=True, text=True, check=True, cwd=command["directory"]).stdout
    ours = False
    for line in text.splitlines():
        if mark := re.match(r'# \d+ "(.*?)"', line):
            ours = Path(mark[1]).is_relative_to(SOURCES) and not mark[1].endswith("system/posix.cpp")
        elif ours:
            yield line


def test_the_engine_is_written_in_cpp17_alone(tree):
    commands = json.loads((tree / "compile_commands.json").read_text())
    engine = {c["file"]: c for c in commands if "/tools/" not in c["file"]}  # once for all sets of kernels
    assert len(engine) > 60
    for command in engine.values():
        found = [line for line in own_lines(command) if EXTENSION.search(line)]
        assert not found, command["file"]


@pytest.mark.parametrize("kernel", ["dense", "sparse", "shared", "winograd", "plain"])
def test_every_kernel_computes_what_the_reference_does(runner, tmp_path, kernel):
    rng = np.random.default_rng(0)
    middle = graphs.conv(rng, 24, 24, activation=graphs.RELU)
    if kernel in ("sparse", "shared"):
        middle.weight[:] = 0.05 * share_places(rng, 24, 24, 4, 4 if kernel == "shared" else 1)
    graph = graphs.chain("portable", graphs.conv(rng, 3, 24), middle, graphs.conv(rng, 24, 3))
    image = graphs.random_image(graph, 19, 61)
    (tmp_path / "model").write_bytes(write_native(graph, {}))
    (tmp_path / "plan").write_text(json.dumps({"operations": [{"layer": "n1", "kernel": kernel}]}))
    (tmp_path / "in").write_bytes(image[0].transpose(1, 2, 0).astype("<f4").tobytes())
    command = [runner, *(tmp_path / name for name in ("model", "in", "out")), "--size", "61x19"]
    isa = ["--isa", "plain"] if kernel == "plain" else []
    environment = {"SPARSR_PLAN": str(tmp_path / "plan")}
    result = subprocess.run([*command, *isa], capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    kernels = {operation["layer"]: operation["kernel"] for operation in json.loads(result.stdout)["plan"]["operations"]}
    assert kernels["n1"] == kernel
    expected = reference.run(graph, image)[0].transpose(1, 2, 0)
    np.testing.assert_allclose(np.fromfile(tmp_path / "out", "<f4").reshape(expected.shape), expected, atol=2e-5)
