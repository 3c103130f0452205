"""What all tests share: where the benchmark data lies, and how the native engine chooses its kernels."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Kernels by constants: no test depends on how fast this machine is just now.
os.environ.setdefault("SPARSR_PLAN", "estimate")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of benchmark images and official checkpoints; users do not have it."""
    folder = Path(os.environ.get("SPARSR_DATA", ROOT / "../shared/data")).resolve()
    if not (folder / "reference_metrics.json").is_file():
        pytest.skip("benchmark data not found; set SPARSR_DATA to its folder")
    return folder
