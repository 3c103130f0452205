"""Bundles as users of Python on arm64 run them: in the published builds of ONNX Runtime and LiteRT, emulated."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from sparsr import Upscaler
from sparsr.export.exporter import export_model
from sparsr.runtime.media.images import read_image
from tests.runtime.native import arm64_python

ROOT = Path(__file__).parents[3]
ENGINES = ("native", "ort", "ort+sparsr", "litert", "litert+sparsr")
PROGRAM = """
import sys, numpy as np
from sparsr import Upscaler
bundle, picture, out, *engines = sys.argv[1:]
for engine in engines:
    np.save(f"{out}/{engine}.npy", Upscaler(bundle, engine=engine, threads=2)(np.load(picture)))
"""


@pytest.mark.slow
@pytest.mark.parametrize("processor", ["cortex-a53", "cortex-a76", "max"])
@pytest.mark.parametrize("name", ["rfdn64_x4_sls_16", "assln_x4", "smsr_x2"])
def test_every_engine_gives_this_machines_picture(tmp_path, name, processor):
    root, bundle = tmp_path / "root", tmp_path / "bundle"
    root.mkdir()
    command = arm64_python.python(root, processor)
    export_model(ROOT / f"train/zoo/{name}.safetensors", bundle, report=lambda _: None)
    pixels = np.ascontiguousarray(read_image(ROOT / "bench/demo/photo.png").rgb[60:83, 100:127])
    np.save(tmp_path / "in.npy", pixels)
    arguments = [*command, "-c", PROGRAM, bundle, tmp_path / "in.npy", tmp_path, *ENGINES]
    result = subprocess.run(arguments, capture_output=True, text=True, timeout=1200, check=False)
    assert result.returncode == 0, result.stderr
    expected = Upscaler(bundle, engine="native")(pixels).astype(int)
    for engine in ENGINES:
        differing = np.abs(np.load(tmp_path / f"{engine}.npy").astype(int) - expected)
        # A pixel whose masks are decided by the last digit may go the other way.
        assert (differing > 1).mean() <= (0.01 if "smsr" in name else 0), engine
        assert (differing > 0).mean() <= (0.02 if "smsr" in name else 1e-3), engine
