"""Training data: folders of images, decoded once, kept as bytes on the training device, cut into patches.

What a step sees depends on nothing but (seed, step, place in the batch). So a resumed run goes on exactly,
and several processes together see exactly what one would.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.files import atomic_file
from sparsr.runtime.media.images import MAX_PIXELS, list_images, read_image
from sparsr.train.data.bicubic import crop_to_multiple, downscale
from sparsr.train.data.folders import Pair, same_size_pairs, without_lr

Report = Callable[[str], None]
IntArray = NDArray[np.int64]
_CACHE_FORMAT = 1
_REPORT_EVERY = 100


def report_to_stderr(text: str) -> None:
    """One line of progress for people."""
    print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class _Images:
    """All images as rows of RGB bytes, one image after the other."""

    lr: Tensor
    """uint8 [pixels of all LR images, 3]."""
    hr: Tensor
    """uint8 [pixels of all HR images, 3]; none if the images are inputs."""
    sizes: Tensor
    """int64 [images, 2]: height and width of every LR image, on the CPU."""


class PatchData:
    """Random LR/HR patches from folders of HR images, searched recursively.

    HR is cropped to multiples of `scale`; LR is made from it by MATLAB's bicubic. At scale 1 the folders hold pairs
    (`same_size_pairs`): LR is the input, HR the target. With `unlabelled` the images are LR themselves and there is no
    HR. `patch` is a patch's side in LR pixels. `holdout` images, spread evenly over the
    sorted list, are kept out of the patches: see `validation`. `cache` is a folder for the decoded images; files that
    change on disk are decoded again. `data_range` takes the images from the first to the second number of every
    folder, counted from 1. Images that cannot be used, LR images among HR ones too, are named through `report`. Raises
    `SparsrError` if none is left.
    """

    def __init__(
        self,
        folders: Sequence[str | Path],
        scale: int,
        patch: int,
        device: torch.device,
        cache: Path | None = None,
        holdout: int = 0,
        max_pixels: int = MAX_PIXELS,
        report: Report = report_to_stderr,
        unlabelled: bool = False,
        data_range: tuple[int, int] | None = None,
    ) -> None:
        self.scale, self.patch, self.device, self.unlabelled = scale, patch, device, unlabelled
        own = None if unlabelled else scale
        pairs = [pair for folder in folders for pair in _chosen(Path(folder), own, data_range, report)]
        images = _load(pairs, None if unlabelled else scale, cache, max_pixels, report)
        self._lr, self._hr = images.lr.to(device), images.hr.to(device)
        self._sizes = images.sizes.numpy()
        areas = self._sizes.prod(1)
        self._starts = np.concatenate([[0], np.cumsum(areas)])
        self._held_out = _spread(len(areas), holdout)
        positions = (self._sizes - patch + 1).clip(min=0).prod(1)
        if small := int((positions == 0).sum()):
            side = patch * (1 if unlabelled else scale)
            report(f"{small} of {len(areas)} images are smaller than a patch ({side} px), not used")
        positions[self._held_out] = 0
        self._ends = np.cumsum(positions)
        if not len(positions) or not self._ends[-1]:
            raise SparsrError(
                f"no training image is large enough for a patch of {patch * scale} pixels",
                "give larger images, or a smaller patch (data.patch, --patch)",
            )

    @property
    def images(self) -> int:
        """Number of images patches are cut from."""
        return int(np.count_nonzero(np.diff(self._ends, prepend=0)))

    @property
    def validation(self) -> list[tuple[Tensor, Tensor | None]]:
        """The held-out images, whole: (LR, HR), uint8 [3, h, w] and [3, s*h, s*w] on the training device.

        HR is None for unlabelled images.
        """
        return [self._pair(index) for index in self._held_out]

    def batch(self, seed: int, step: int, size: int, rank: int = 0, world: int = 1) -> tuple[Tensor, Tensor | None]:
        """This process's share of the batch of `size` patches: LR [n, 3, p, p] and HR [n, 3, s*p, s*p].

        n = size / world. HR is None for unlabelled images. float32 on the training device, values 0..255. Every patch
        position of every image is equally likely; flips and transposition with probability 1/2 each. `seed` and `step`
        are not negative.
        """
        if size % world:
            raise SparsrError(f"{world} processes cannot share a batch of {size} evenly", "change data.batch")
        share = size // world
        random = np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, 0, step])).random((size, 4))
        random = random[rank * share : (rank + 1) * share]
        position = (random[:, 0] * self._ends[-1]).astype(np.int64)
        image = np.searchsorted(self._ends, position, side="right")
        row, column = np.divmod(
            position - np.where(image > 0, self._ends[image - 1], 0), self._sizes[image, 1] - self.patch + 1
        )
        flips = random[:, 1:] < 0.5
        lr = self._cut(self._lr, 1, image, row, column, flips)
        return lr, None if self.unlabelled else self._cut(self._hr, self.scale, image, row, column, flips)

    def _cut(
        self, pixels: Tensor, scale: int, image: IntArray, row: IntArray, column: IntArray, flips: NDArray[np.bool_]
    ) -> Tensor:
        """Cut, flip and transpose all patches at once: float32 [n, 3, scale*patch, scale*patch].

        row, column: the patch's first in LR pixels; flips [n, 3]: vertical, horizontal, transposed. Pixel (i, j) of
        a patch lies at origin + i * down + j * right, so that flips and transposition are just other steps.
        """
        side, width = self.patch * scale, self._sizes[image, 1] * scale
        top, left = row * scale + flips[:, 0] * (side - 1), column * scale + flips[:, 1] * (side - 1)
        origin = self._starts[image] * scale**2 + top * width + left
        vertical, horizontal = np.where(flips[:, 0], -width, width), np.where(flips[:, 1], -1, 1)
        down, right = np.where(flips[:, 2], (horizontal, vertical), (vertical, horizontal))
        plan = torch.from_numpy(np.stack([origin, down, right]).astype(np.int64)).to(self.device)
        ramp = torch.arange(side, device=self.device)
        index = (plan[0, :, None] + plan[1, :, None] * ramp)[:, :, None] + (plan[2, :, None] * ramp)[:, None]
        cut = pixels.index_select(0, index.flatten()).reshape(*index.shape, 3)
        return cut.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)

    def _pair(self, index: int) -> tuple[Tensor, Tensor | None]:
        return self._whole(self._lr, index, 1), None if self.unlabelled else self._whole(self._hr, index, self.scale)

    def _whole(self, pixels: Tensor, index: int, scale: int) -> Tensor:
        """Picture `index`, uint8 [3, h, w]."""
        height, width = self._sizes[index]
        start, area = self._starts[index] * scale**2, height * width * scale**2
        return pixels[start : start + area].reshape(height * scale, width * scale, 3).permute(2, 0, 1).contiguous()


def _chosen(folder: Path, scale: int | None, data_range: tuple[int, int] | None, report: Report) -> list[Pair]:
    """The images of a folder, searched recursively, that are trained on; without a scale they are inputs."""
    if scale == 1:
        pairs = same_size_pairs(folder)
    else:
        paths = list_images(folder, recursive=True)
        paths, misplaced = without_lr(paths, folder) if scale else (paths, [])
        if misplaced:
            report(f"left out: {len(misplaced)} LR images among the HR ones, the first is {misplaced[0]}")
        pairs = [Pair(path) for path in paths]
    if data_range is None:
        return pairs
    first, last = data_range
    if last > len(pairs):
        raise SparsrError(f"{folder} has {len(pairs)} images, not {last}", "change data.data_range")
    return pairs[first - 1 : last]


def _spread(count: int, chosen: int) -> list[int]:
    """`chosen` of `count` indices at even distances. Raises `SparsrError` if that leaves none."""
    if chosen and chosen >= count:
        raise SparsrError(
            f"{count} images can be used, and {chosen} of them would be held out", "give more, or lower data.holdout"
        )
    return [(2 * i + 1) * count // (2 * chosen) for i in range(chosen)]


def _load(pairs: Sequence[Pair], scale: int | None, cache: Path | None, max_pixels: int, report: Report) -> _Images:
    """The images from the cache if it is whole and current, else decoded; without a scale they are inputs."""
    if cache is None:
        return _decode(pairs, scale, max_pixels, report)
    paths = [path for pair in pairs for path in (pair.hr, pair.lr) if path]
    files = [[str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns] for path in paths]
    names = json.dumps([name for name, _, _ in files])
    file = cache / f"{f'x{scale}' if scale else 'inputs'}-{hashlib.sha256(names.encode()).hexdigest()[:12]}.safetensors"
    key = hashlib.sha256(json.dumps([_CACHE_FORMAT, scale, max_pixels, files]).encode()).hexdigest()
    images = _read_cache(file, key)
    if images is None:
        images = _decode(pairs, scale, max_pixels, report)
        try:
            with atomic_file(file) as temporary:
                save_file(vars(images), temporary, {"key": key})
        except (SafetensorError, SparsrError, OSError) as error:  # only the next start is slower
            report(f"the decoded images could not be kept in {file} ({error})")
    return images


def _read_cache(file: Path, key: str) -> _Images | None:
    """The cached images; None if there is no such file, it is damaged, or was made of other images."""
    try:
        with safe_open(file, framework="pt") as stored:
            if (stored.metadata() or {}).get("key") != key:
                return None
            return _Images(*(stored.get_tensor(name) for name in ("lr", "hr", "sizes")))
    except (SafetensorError, OSError):
        return None


def _decode(pairs: Sequence[Pair], scale: int | None, max_pixels: int, report: Report) -> _Images:
    """Decode all images and make their LR; those that cannot be used are reported and left out."""
    lr: list[Tensor] = []
    hr: list[Tensor] = []
    sizes: list[tuple[int, ...]] = []
    for count, pair in enumerate(pairs, 1):
        if count % _REPORT_EVERY == 0 or count == len(pairs):
            report(f"decoding images: {count}/{len(pairs)}")
        try:
            small, whole = _images_of(pair, scale, max_pixels)
        except SparsrError as error:
            report(f"left out: {error}")
            continue
        sizes.append(small.shape[:2])
        lr.append(_rows(small))
        hr.append(_rows(whole))
    if not sizes:
        raise SparsrError("none of the training images can be used", "the lines above say why")
    return _Images(torch.cat(lr), torch.cat(hr), torch.tensor(sizes))


def _images_of(pair: Pair, scale: int | None, max_pixels: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(LR, HR) of a pair; HR has no rows if the image is an input. Raises `SparsrError` if it cannot be used."""
    whole = crop_to_multiple(read_image(pair.hr, max_pixels).rgb, scale or 1)
    if whole.size == 0:
        raise SparsrError(f"{pair.hr} is smaller than {scale} pixels")
    if pair.lr:
        small = read_image(pair.lr, max_pixels).rgb
        if small.shape != whole.shape:
            sizes = " and ".join(f"{image.shape[1]}x{image.shape[0]}" for image in (small, whole))
            raise SparsrError(f"{pair.lr} and {pair.hr} have {sizes} pixels, which is no pair")
        return small, whole
    return (downscale(whole, scale), whole) if scale else (whole, whole[:0])


def _rows(image: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image).reshape(-1, 3))
