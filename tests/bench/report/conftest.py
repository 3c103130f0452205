import numpy as np
import pytest
from PIL import Image

from sparsr.bench.report.pictures import Pictures
from tests.bench.bench_bundles import write_tiny_bundle


@pytest.fixture
def pictures():
    """A picture of noise, enlarged by bicubic but for a part that a network changed."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    bicubic = np.asarray(Image.fromarray(small).resize((80, 60), Image.Resampling.BICUBIC))
    after = bicubic.copy()
    after[41:50, 61:70] ^= 0x80
    return Pictures(small, bicubic, after, None, 2)


@pytest.fixture
def pruned(tmp_path):
    """The folder of a bundle called pruned."""
    write_tiny_bundle(tmp_path / "pruned", "assl")
    return tmp_path / "pruned"
