"""A photo of 12 million pixels within 1 GiB, with a network of the usual size. Takes minutes."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_bundles import write_small_bundle

ROOT = Path(__file__).resolve().parents[2]

# The process tells its own peak: getrusage would tell that of the test's process, inherited when it was forked.
PEAK = """
import sys
from sparsr.runtime.cli.main import main
assert main(sys.argv[1:]) == 0
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("engine", "scale"), [("ort", 2), ("litert", 2), ("ort", 4)])
def test_a_photo_of_4000x3000_pixels(tmp_path, engine, scale):
    bundle = write_small_bundle(tmp_path / "bundle", "ledsr", scale, channels=48)
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((4000, 3000)).save(tmp_path / "photo.jpg", quality=95)
    arguments = ["upscale", tmp_path / "photo.jpg", tmp_path / "out.png", "--model", bundle.path, "--engine", engine]
    command = [sys.executable, "-c", PEAK, *map(str, arguments)]
    result = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    assert int(result.stdout.split()[-1]) * 1024 <= 2**30  # VmHWM is in KiB
    with Image.open(tmp_path / "out.png") as image:
        assert image.size == (4000 * scale, 3000 * scale)
