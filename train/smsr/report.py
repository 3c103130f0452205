"""Mask pictures and sparsity tables of a folder of images: `sparsr train eval --masks`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.files import write_text
from sparsr.runtime.media.images import write_image
from sparsr.train.networks import SRNetwork
from sparsr.train.networks.smsr import mask_blocks
from sparsr.train.networks.sparse_masks import SparseMaskBlock, spatial_mask
from sparsr.train.quality.complexity import gmacs_720p
from sparsr.train.smsr.statistics import (
    MaskStatistics,
    mean_statistics,
    published_formula_gmacs,
    statistics,
    true_decomposition_gmacs,
)

_BLUE = (0, 16, 80)
_GAP = 4  # white pixels between two pictures of a strip


class MaskReport:
    """Collects what the masks do to one image after the other and writes it into a folder. See `mask_report`."""

    def __init__(self, network: SRNetwork, folder: Path) -> None:
        self._network, self._folder = network, folder
        self._blocks = mask_blocks(network)
        self._images: dict[str, MaskStatistics] = {}
        # Of the last forward pass:
        self._image = torch.zeros(0)
        self._masks = {block: torch.zeros(0) for block in self._blocks}

    @property
    def masks(self) -> list[Tensor]:
        """Spatial masks of the last image enlarged: bool [h, w], one per masked block."""
        return list(self._masks.values())

    def see_image(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """Hook before the network: keep the first image of the batch."""
        self._image = inputs[0][0].cpu()

    def see_mask(self, block: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """Hook before a masked block: keep the first image's spatial mask."""
        features, *logits = inputs
        assert isinstance(block, SparseMaskBlock)
        nowhere = torch.zeros_like(features[0, 0], dtype=torch.bool)  # without logits no pixel is important
        self._masks[block] = (spatial_mask(logits[0])[0, 0] if logits else nowhere).cpu()

    def add(self, name: str) -> None:
        """Note the masks of the image just enlarged, and write its picture."""
        self._images[name] = statistics(self._network, self.masks)
        image = (self._image * (255 / self._network.value_range)).permute(1, 2, 0).numpy()
        write_image(self._folder / f"{Path(name).stem}_masks.png", strip(image, self.masks))

    def finish(self) -> str:
        """Write `masks.json`; returns the table."""
        mean = mean_statistics(list(self._images.values()))
        record = {
            "dense_channels": [block.dense_channels().sum(1).tolist() for block in self._blocks],
            "images": {name: found.to_json() for name, found in self._images.items()},
            "mean": mean.to_json(),
            "gmacs_720p": self._gmacs(mean),
        }
        write_text(self._folder / "masks.json", json.dumps(record, indent=2) + "\n")
        return table(self._images | {f"mean of {len(self._images)}": mean}, self._gmacs(mean))

    def _gmacs(self, mean: MaskStatistics) -> dict[str, Any]:
        return {
            "dense": gmacs_720p(self._network),
            "published_formula": published_formula_gmacs(self._network, mean.mean_sparsity),
            "true_decomposition": true_decomposition_gmacs(self._network, mean.active),
        }


@contextmanager
def mask_report(network: SRNetwork, folder: Path) -> Iterator[MaskReport]:
    """Within the block, `add` may follow every forward pass of `network`; after it comes `finish`.

    Raises `SparsrError` for a network without masks.
    """
    if not mask_blocks(network):
        raise SparsrError(f"this {network.architecture} has no sparse masks", "leave out --masks")
    folder.mkdir(parents=True, exist_ok=True)
    report = MaskReport(network, folder)
    with ExitStack() as stack:
        stack.enter_context(network.register_forward_pre_hook(report.see_image))
        for block in mask_blocks(network):
            stack.enter_context(block.register_forward_pre_hook(report.see_mask))
        yield report


def strip(image: NDArray[Any], masks: list[Tensor]) -> NDArray[np.uint8]:
    """The image, then once per mask with its unimportant pixels in dark blue, from left to right.

    image: [h, w, 3] in 0..255; masks: bool [h, w].
    """
    dark = image.mean(2, keepdims=True) / 4 + _BLUE
    pictures = [image, *(np.where(mask.numpy()[:, :, None], image, dark) for mask in masks)]
    gap = np.full((len(image), _GAP, 3), 255)
    joined = np.concatenate([part for picture in pictures for part in (gap, picture)][1:], axis=1)
    return joined.round().astype(np.uint8)


def table(rows: dict[str, MaskStatistics], gmacs: dict[str, float]) -> str:
    """Important pixels per module and mean sparsity, an image per row; multiply-adds below."""
    width = max(map(len, [*rows, "image"]))
    modules = "".join(f"{module:7d}" for module in range(1, len(next(iter(rows.values())).active) + 1))
    lines = [f"{'':{width}s}  sparsity  share of important pixels in module", f"{'image':{width}s}          {modules}"]
    for name, found in rows.items():
        shares = "".join(f"{share:7.3f}" for share in found.active)
        lines.append(f"{name:{width}s}  {found.mean_sparsity:8.3f}{shares}")
    counts = ", ".join(f"{name.replace('_', ' ')} {value:.1f}" for name, value in gmacs.items())
    return "\n".join([*lines, f"GMACs at 720p: {counts}"])
