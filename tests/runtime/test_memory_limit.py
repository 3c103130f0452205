"""`--max-memory` as a process keeps it: by the largest resident size the system has seen."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_bundles import write_small_bundle

ROOT = Path(__file__).resolve().parents[2]
HELD = "import sys, sparsr.runtime.cli.main; print(sys.modules['sparsr'].Upscaler(sys.argv[1], 'native', 1).held)"
COMMAND = """
import sys
from sparsr.runtime.cli.main import main
from sparsr.runtime.upscale.upscaler import Upscaler
found, tiling = [], Upscaler.tiling
Upscaler.tiling = lambda *arguments: found.append(tiling(*arguments)) or found[-1]
assert main(sys.argv[1:]) == 0
print(found[-1].from_file, len(found[-1].columns))
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.fixture(scope="module")
def wide_bundle(tmp_path_factory):
    """A network whose maps are what takes memory."""
    return write_small_bundle(tmp_path_factory.mktemp("wide") / "ledsr2", channels=64, blocks=8)


@pytest.fixture(scope="module")
def held(wide_bundle):
    """Bytes of a process that has opened it, which differ by the versions of Python, numpy and their libraries."""
    command = [sys.executable, "-c", HELD, wide_bundle.path]
    return int(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
def test_the_command_stays_within_a_tight_limit(wide_bundle, held, tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 256, (30, 60, 3), np.uint8)
    Image.fromarray(noise).resize((1500, 240)).save(tmp_path / "in.jpg")
    limit = held + (115 if suffix == "webp" else 40) * 2**20
    options = ["--model", wide_bundle.path, "--engine", "native", "--threads", "1", "--max-memory", str(limit)]
    command = [sys.executable, "-c", COMMAND, "upscale", tmp_path / "in.jpg", tmp_path / f"out.{suffix}", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *_, tiles, peak = done.stdout.splitlines()
    assert int(peak) * 1024 <= limit
    from_file, columns = tiles.split()
    if suffix != "webp":  # which has room for the whole picture here
        assert from_file == "True" and 2 <= int(columns) <= 8, "wide columns, not small windows"
