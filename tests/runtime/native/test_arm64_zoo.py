"""Every trained network that comes with SparSR, on emulated arm64 processors, beside this machine's engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from native_models import native_run

from sparsr.export.lower.from_torch import lower
from sparsr.export.passes import optimise
from sparsr.export.writers.native import write_native
from sparsr.runtime.engines.native.load import NativeModel
from sparsr.runtime.media.images import read_image
from sparsr.train.importers.models import load_model
from tests.runtime.native import arm64

ROOT = Path(__file__).parents[3]
ZOO = sorted(path.stem for path in (ROOT / "train/zoo").glob("*.safetensors"))
PHOTO = ROOT / "bench/demo/photo.png"


def differences(name, processor, threads):
    """Of every value, in 8-bit levels, for a piece of a photograph that is no multiple of any vector."""
    graph = optimise(lower(load_model(ROOT / "train/zoo" / f"{name}.safetensors")[0], name))[0]
    content = write_native(graph, {})
    pixels = read_image(PHOTO).rgb[60:83, 100:127]
    image = pixels.transpose(2, 0, 1)[None] * np.float32(graph.value_range / 255)
    expected = native_run(NativeModel(content), image)
    emulated = arm64.EmulatedModel(content, threads=threads, emulator=("-cpu", processor))
    return np.abs(emulated.run(image) - expected) * (255 / graph.value_range)


def assert_equal(name, processor, threads):
    """Sums come in another order; a pixel whose masks are decided by the last digit may go the other way."""
    differing = differences(name, processor, threads) > 0.02
    assert differing.mean() <= (0.01 if "smsr" in name else 0), differing.mean()


@pytest.mark.parametrize("name", ["rfdn64_x4_sls_16", "smsr_x2"])
def test_on_a_cortex_a76(name):
    assert_equal(name, "cortex-a76", 1)


@pytest.mark.slow
@pytest.mark.parametrize("processor", ["cortex-a53", "cortex-a76", "max"])
@pytest.mark.parametrize("name", ZOO)
def test_all_on_every_processor_by_two_threads(name, processor):
    assert_equal(name, processor, 2)
