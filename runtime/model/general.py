"""The general model that comes with SparSR, so that a picture can be upscaled without anything else at hand."""

from __future__ import annotations

from pathlib import Path

GENERAL_X2 = Path(__file__).parent / "general_x2"
"""Bundle of the ASSLN x2 of `train/zoo`, for the native engine alone: 48 channels, 0.69 million parameters."""
