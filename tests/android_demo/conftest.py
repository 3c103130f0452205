from __future__ import annotations

import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path += [str(TESTS / "export"), str(TESTS / "runtime" / "native")]  # graphs, arm64
