"""What the masks of a network made it compute: they depend on the picture, and so does its speed."""

from __future__ import annotations

from pathlib import Path

from sparsr.runtime.engines.native.engine import NativeEngine
from sparsr.runtime.engines.native.load import Mask
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.upscale.adaptive.upscaler import AdaptiveUpscaler
from sparsr.runtime.upscale.upscaler import Upscaler


def count_masks(upscaler: Upscaler | AdaptiveUpscaler, bundle: Path) -> dict[str, Mask]:
    """Let the upscaler count from now on; the result fills while it works.

    Raises `SparsrError` if its engine is another one than ours, or its network has no masks.
    """
    if not isinstance(upscaler, Upscaler) or not isinstance(upscaler.engine, NativeEngine):
        raise SparsrError("only the native engine counts what masks hold important", "pass --engine native")
    if "MaskedBlock" not in upscaler.bundle.file("native").operators:
        raise SparsrError(f"the network in {bundle} has no masks", "leave out --masks")
    upscaler.engine.masks = {}
    return upscaler.engine.masks


def describe_masks(masks: dict[str, Mask]) -> str:
    """The share of important pixels of every masked block, a line each."""
    return "".join(
        f"{mask.layer}: {100 * mask.important / mask.pixels:.1f} % of the pixels computed in full\n"
        for mask in masks.values()
    )
