"""What the native engine refuses: bad images, damaged models, too little memory, no compiler."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sparsr.export.lower.from_torch import lower
from sparsr.export.passes import optimise
from sparsr.export.writers.native import write_native
from sparsr.runtime.engines.native import build as builder
from sparsr.runtime.engines.native.load import NativeModel
from sparsr.runtime.errors import SparsrError
from tests.export import graphs
from tests.runtime.native.native_models import native_run
from tests.small_networks import small


def test_bad_images_and_limits_are_refused():
    graph = graphs.chain("valid", graphs.conv(np.random.default_rng(0), 3, 4, padding=(0, 0, 0, 0)), minimum_size=3)
    content = write_native(graph, {})
    with pytest.raises(SparsrError, match="smaller than the 3 pixels"):
        NativeModel(content).output_shape(2, 8)
    with pytest.raises(SparsrError, match="too large"):
        NativeModel(content).output_shape(1 << 21, 8)
    with pytest.raises(SparsrError, match="more than the 1000 bytes"):
        native_run(NativeModel(content, max_bytes=1000), graphs.random_image(graph, 9, 9))
    with pytest.raises(SparsrError, match="instruction set"):
        NativeModel(content, "sse9")


@pytest.mark.parametrize("architecture", ["rfdn", "smsr"])
@pytest.mark.parametrize("part", ["header", "anywhere"])
def test_damaged_models_are_refused_or_run(part, architecture):
    graph = optimise(lower(small(architecture, 2), architecture))[0]
    content = write_native(graph, {})
    header = 8 + int.from_bytes(content[:8], "little")
    rng = np.random.default_rng(7)
    refused = 0
    for _ in range(int(os.environ.get("SPARSR_MUTATIONS", "400"))):
        damaged = bytearray(content)
        for _ in range(rng.integers(1, 4)):
            place = rng.integers(0, header if part == "header" else len(content))
            if rng.random() < 0.5:
                damaged[place] = rng.integers(0, 256)
            else:
                damaged[place] = rng.choice(list(b'0123456789,:[]{}"-'))
        if rng.random() < 0.1:
            del damaged[rng.integers(0, len(damaged)) :]
        try:
            model = NativeModel(bytes(damaged), max_bytes=1 << 26, threads=int(rng.integers(1, 4)))
            shape = model.output_shape(16, 19)
            if np.prod(shape) < 1e7:
                image = np.zeros((16, 19, model.info.input_channels), np.float32)
                model.run(image, np.empty(shape, np.float32))
        except SparsrError:
            refused += 1
    assert refused > 0


STARVED = """
import resource, sys
sys.path[:0] = {paths!r}
import numpy as np
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.engines.native.load import NativeModel
content = open({model!r}, "rb").read()
NativeModel(content)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
outcomes = set()
for extra in range(0, 40 << 20, 1 << 18):
    resource.setrlimit(resource.RLIMIT_AS, (used + extra, resource.RLIM_INFINITY))
    try:
        model = NativeModel(content)
        model.run(np.zeros((32, 90, 3), np.float32), np.empty((64, 180, 3), np.float32))
        outcomes.add("done")
    except (SparsrError, MemoryError) as error:
        outcomes.add("refused")
assert outcomes == {{"done", "refused"}}, outcomes
"""


@pytest.mark.parametrize("bound", ["many", "0", "-5", "7k"])
def test_a_bound_that_is_no_number_is_refused(monkeypatch, bound):
    monkeypatch.setenv("SPARSR_MAX_BYTES", bound)
    with pytest.raises(SparsrError, match=f"SPARSR_MAX_BYTES is {bound}"):
        NativeModel(write_native(graphs.small_network(), {}))


@pytest.mark.skipif(sys.platform != "linux", reason="counts pages by /proc")
def test_too_little_memory_is_an_error(tmp_path):
    graph = optimise(lower(small("edsr", 2), "edsr"))[0]
    (tmp_path / "model").write_bytes(write_native(graph, {}))
    code = STARVED.format(paths=[str(Path(__file__).parents[3])], model=str(tmp_path / "model"))
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr


def test_without_a_compiler_the_hint_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.delenv(builder.PREBUILT, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SparsrError) as caught:
        builder.library_path()
    assert "cmake" in caught.value.hint
