"""Training the estimator of adaptive inference on the errors its candidates really make."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor, nn

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.media.images import list_images, read_image
from sparsr.runtime.upscale.adaptive.estimator import FLOOR, KERNELS, LUMA, SPREAD, STRIDE
from sparsr.runtime.upscale.adaptive.layout import FLAT
from sparsr.train.data.bicubic import crop_to_multiple, downscale
from sparsr.train.data.folders import Pair, same_size_pairs
from sparsr.train.quality.metrics import rgb_to_y

ByteArray = NDArray[np.uint8]
Upscale = Callable[[ByteArray], ByteArray]
Report = Callable[[str], None]
MAX_IMAGES = 300
MAX_SIDE = 256
"""Larger LR images are cut to their middle."""
_WIDTHS = (16, 24, 32)
STEPS, _BATCH, _RATE = 3000, 128, 3e-3
_SAMPLE = 2000  # patches that deviations are taken of
_HOLDOUT = 10  # every tenth image is kept back to see how good the estimates are
_SMALLEST_SPREAD, _HIGHEST_LOGARITHM, _LONGEST_GRADIENT = 0.01, 5.0, 1.0
_WORST_RATIO = 2.0  # what flat patches would add beyond says nothing


@dataclass(frozen=True)
class ErrorMaps:
    """One training image and what every candidate makes of it."""

    luma: NDArray[np.float32]
    """[h, w] of the LR image, 0..255."""
    errors: NDArray[np.float32]
    """[n, h, w]: mean squared luma error over the output pixels of every LR pixel."""


class EstimatorNetwork(nn.Module):
    """The torch twin of `sparsr.runtime.upscale.adaptive.estimator.Estimator`, whose docstring describes it."""

    def __init__(self, candidates: int, widths: tuple[int, int, int] = _WIDTHS) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, widths[0], KERNELS[0], STRIDE)
        self.conv2 = nn.Conv2d(widths[0], widths[1], KERNELS[1], STRIDE)
        self.dense1 = nn.Linear(widths[1], widths[2])
        self.dense2 = nn.Linear(widths[2], candidates)

    def forward(self, luma: Tensor) -> Tensor:
        """[patches, p, p] of 0..255 -> logarithm of the squared errors [patches, candidates]."""
        x = (luma - luma.mean((1, 2), keepdim=True))[:, None] / SPREAD
        x = torch.relu(self.conv2(torch.relu(self.conv1(x))))
        x = torch.log(x.mean((2, 3)) + FLOOR)
        return self.dense2(torch.relu(self.dense1(x)))


def error_maps(folders: Sequence[Path], candidates: Sequence[Upscale], scale: int, report: Report) -> list[ErrorMaps]:
    """Errors of all candidates on the HR images of the folders (searched recursively), at most `MAX_IMAGES` of them.

    At scale 1 on the pairs there. Raises `SparsrError` if there are none, or the pictures of a pair differ in size.
    """
    pairs = [pair for folder in folders for pair in _pairs(folder, scale)]
    chosen = [pairs[i] for i in np.linspace(0, len(pairs) - 1, min(len(pairs), MAX_IMAGES)).astype(int)]
    maps = []
    for count, pair in enumerate(chosen, 1):
        hr = _middle(crop_to_multiple(read_image(pair.hr).rgb, scale), scale * MAX_SIDE)
        lr = _middle(read_image(pair.lr).rgb, MAX_SIDE) if pair.lr else downscale(hr, scale) if hr.size else hr
        if pair.lr and lr.shape != hr.shape:
            raise SparsrError(f"{pair.lr} and {pair.hr} have different sizes, which is no pair", "leave them out")
        if min(hr.shape[:2]) >= scale:
            maps.append(_error_map(lr, hr, candidates, scale))
        if count % 100 == 0 or count == len(chosen):
            report(f"errors of the candidates: {count} of {len(chosen)} images")
    return maps


def _pairs(folder: Path, scale: int) -> list[Pair]:
    return same_size_pairs(folder) if scale == 1 else [Pair(path) for path in list_images(folder, recursive=True)]


def _error_map(lr: ByteArray, hr: ByteArray, candidates: Sequence[Upscale], scale: int) -> ErrorMaps:
    truth = rgb_to_y(hr)
    height, width = lr.shape[:2]
    errors = [
        ((rgb_to_y(candidate(lr)) - truth) ** 2).reshape(height, scale, width, scale).mean((1, 3))
        for candidate in candidates
    ]
    return ErrorMaps(np.dot(lr.astype(np.float32), LUMA), np.array(errors, np.float32))


def _middle(image: ByteArray, side: int) -> ByteArray:
    top, left = (max(0, length - side) // 2 for length in image.shape[:2])
    return image[top : top + side, left : left + side]


def train_estimator(
    maps: Sequence[ErrorMaps], patch: int, report: Report, steps: int = STEPS, seed: int = 1
) -> tuple[EstimatorNetwork, dict[str, Any]]:
    """The trained network, and how well it estimates on images kept back.

    Loss: squared differences of log f_n, and Huber's of what every candidate gains over the next cheaper one, as a part
    of f_n; each in units of its own deviation, so that small gains are learnt, or else left at their mean. Raises
    `SparsrError` if too few images are as large as a patch.
    """
    large = [image for image in maps if min(image.luma.shape) >= patch]
    if len(large) < 2:
        raise SparsrError(f"{len(large)} of the images are as large as a patch, too few", "name folders with more")
    kept_back = large[:: min(_HOLDOUT, len(large))]
    training = [image for image in large if not any(image is other for other in kept_back)]
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    network = EstimatorNetwork(len(large[0].errors))
    _, sample = _batch(training, patch, _SAMPLE, random)
    spread = _gains(sample).std(0).clamp(min=_SMALLEST_SPREAD)
    with torch.no_grad():
        network.dense2.bias.copy_(sample.log().mean(0))  # a good start
    optimizer = torch.optim.Adam(network.parameters(), _RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(1, steps + 1):
        luma, errors = _batch(training, patch, _BATCH, random)
        loss = torch.stack(_losses(network(luma), errors, spread)).sum()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), _LONGEST_GRADIENT)
        optimizer.step()
        schedule.step()
        if step % 1000 == 0:
            report(f"estimator: step {step} of {steps}, loss {loss.item():.4f}")
    return network, {"images": len(training), "steps": steps, **_quality(network, kept_back, patch, spread)}


def _batch(images: Sequence[ErrorMaps], patch: int, count: int, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Random patches, flipped and transposed: luma [count, p, p] and mean squared errors [count, n]."""
    luma, errors = [], []
    for image in (images[i] for i in random.integers(len(images), size=count)):
        top, left = (random.integers(length - patch + 1) for length in image.luma.shape)
        cut = np.s_[top : top + patch, left : left + patch]
        turned = image.luma[cut][:: random.choice((-1, 1)), :: random.choice((-1, 1))]
        luma.append(turned.T if random.random() < 0.5 else turned)
        errors.append(image.errors[:, *cut].mean((1, 2)))
    return torch.from_numpy(np.stack(luma)), torch.from_numpy(np.stack(errors)).clamp(min=FLAT)


def _losses(estimates: Tensor, errors: Tensor, spread: Tensor) -> tuple[Tensor, Tensor]:
    """Of the cheapest candidate's logarithm, and of all gains."""
    cheapest = (estimates[:, -1] - errors[:, -1].log()).square().mean()
    ratios = (estimates - estimates[:, -1:]).clamp(max=_HIGHEST_LOGARITHM).exp()
    difference = nn.functional.smooth_l1_loss(ratios.diff(dim=1) / spread, _gains(errors) / spread, reduction="none")
    return cheapest, difference.mean()


def _gains(errors: Tensor) -> Tensor:
    """What every candidate gains over the next cheaper one, as a part of the cheapest's error: [patches, n - 1]."""
    return (errors / errors[:, -1:]).clamp(max=_WORST_RATIO).diff(dim=1)


def _quality(network: EstimatorNetwork, images: Sequence[ErrorMaps], patch: int, spread: Tensor) -> dict[str, Any]:
    """Share of the loss saved against the best constant estimates, on patches of images the network has not seen."""
    luma, errors = _batch(images, patch, _SAMPLE, np.random.default_rng(0))
    constant = errors.log().mean(0).expand_as(errors)
    with torch.inference_mode():
        found, without = (_losses(estimates, errors, spread) for estimates in (network(luma), constant))
    names = ("explained_log_error", "explained_gains")
    return {name: round(1 - float(f / w), 3) for name, f, w in zip(names, found, without, strict=True)}


def write_estimator(network: EstimatorNetwork, about: dict[str, str]) -> bytes:
    """The network as the safetensors file that `Estimator.read` reads."""
    return save({name: tensor.detach().contiguous() for name, tensor in network.state_dict().items()}, about)
