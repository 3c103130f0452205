"""Shared fixtures: where the benchmark data lies, and threads that fit a small machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent
torch.set_num_threads(2)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of benchmark images and official checkpoints; users do not have it."""
    folder = Path(os.environ.get("SPARSR_DATA", ROOT / "../shared/data")).resolve()
    if not (folder / "reference_metrics.json").is_file():
        pytest.skip("benchmark data not found; set SPARSR_DATA to its folder")
    return folder
