"""The general models that come with SparSR, so that a picture can be upscaled without anything else at hand."""

from __future__ import annotations

from pathlib import Path

GENERAL = {scale: Path(__file__).parent / f"general_x{scale}" for scale in (2, 4)}
"""{scale: bundle for the native engine alone}: of `train/zoo`, for x2 ASSLN, for x4 SPAN with its authors' weights."""
