"""A small bundle with a native file, and the multiply-adds it takes."""

from pathlib import Path

from sparsr.export.writers.bundle import ModelFile
from sparsr.export.writers.native import write_native
from sparsr.runtime.model.bundle import Bundle
from tests.bench.bench_bundles import graph, write_tiny_bundle

CHANNELS = 8


def write_native_bundle(folder: Path, width: int, height: int) -> tuple[Bundle, int]:
    """The bundle, and the products of its two 3x3 convolutions for an image of that size."""
    model = ModelFile("native", "NHWC", write_native(graph(CHANNELS), {}), ("CONV",))
    bundle = write_tiny_bundle(folder, extra=(model,))
    return bundle, width * height * 9 * (3 * CHANNELS + CHANNELS * 12)
