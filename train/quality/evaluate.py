"""Quality of a network: by the super-resolution protocol LR is made from HR and luma compared; networks of scale 1
(deblurring, denoising) are given pairs, and all colours are compared. One forward pass."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.media.images import MAX_PIXELS, read_image
from sparsr.train.data import bicubic
from sparsr.train.data.folders import Pair, pairs
from sparsr.train.networks import SRNetwork
from sparsr.train.quality.further import Metric
from sparsr.train.quality.metrics import psnr_rgb, psnr_y, ssim_rgb, ssim_y
from sparsr.train.run import checkpoint

ByteArray = NDArray[np.uint8]
Colours = Literal["y", "rgb"]
Upscale = Callable[[ByteArray], ByteArray]
"""uint8 RGB [h, w, 3] -> [s*h, s*w, 3]."""


@dataclass(frozen=True)
class Score:
    """Quality of one image, or the mean over several."""

    psnr: float
    """dB."""
    ssim: float
    colours: Colours = "y"
    """What was compared: luma, or red, green and blue."""
    further: Mapping[str, float] = field(default_factory=dict)
    """By the metrics asked for besides; NaN where a picture is too small for one."""

    def to_json(self) -> dict[str, float | None]:
        """{"psnr_y", "ssim_y"} or {"psnr_rgb", "ssim_rgb"}, and further ones; what is no number is null."""
        values = {f"psnr_{self.colours}": self.psnr, f"ssim_{self.colours}": self.ssim, **self.further}
        return {name: value if math.isfinite(value) else None for name, value in values.items()}


Report = Callable[[str, Score], None]
"""Called with an image's name and score as soon as it is measured."""


@dataclass(frozen=True)
class Evaluation:
    """Scores by image name."""

    images: dict[str, Score]
    left_out: dict[str, str] = field(default_factory=dict)
    """Why images were left out, by name."""

    @property
    def mean(self) -> Score:
        """Mean of the per-image values, as papers report it."""
        scores = list(self.images.values())
        further = {name: fmean(score.further[name] for score in scores) for name in scores[0].further}
        psnr, ssim = fmean(score.psnr for score in scores), fmean(score.ssim for score in scores)
        return Score(psnr, ssim, scores[0].colours, further)

    def to_json(self) -> dict[str, Any]:
        """{"mean": `Score.to_json`, "images": {name: ...}, "left_out": {name: why}}."""
        images = {name: score.to_json() for name, score in self.images.items()}
        return {"mean": self.mean.to_json(), "images": images, "left_out": self.left_out}


def evaluate(
    network: SRNetwork, folder: str | Path, scale: int, report: Report | None = None, max_pixels: int = MAX_PIXELS
) -> Evaluation:
    """Scores of `network`, on the device it is on, for a folder of HR images (cropped to multiples of `scale`).

    Every image is upscaled whole. Raises `SparsrError` if the network has another scale, or for images that cannot
    be read or are too small.
    """
    if network.scale != scale:
        raise SparsrError(f"the network enlarges x{network.scale}, not x{scale}", "use its own scale")
    return measure(partial(upscale, network), folder, scale, report, max_pixels)


def measure(
    upscaler: Upscale, folder: str | Path, scale: int, report: Report | None = None, max_pixels: int = MAX_PIXELS
) -> Evaluation:
    """As `evaluate`, for anything that enlarges images."""
    return measure_pairs(upscaler, pairs(Path(folder), None, scale), scale, report, max_pixels=max_pixels)


def measure_pairs(
    upscaler: Upscale,
    images: Sequence[Pair],
    scale: int,
    report: Report | None = None,
    refused: Callable[[str], None] | None = None,
    max_pixels: int = MAX_PIXELS,
    metrics: Mapping[str, Metric] | None = None,
) -> Evaluation:
    """As `measure`, by further `metrics` too, for images whose LR may be given.

    `refused` is told of those that cannot be measured, and the rest goes on; without it they raise `SparsrError`, and
    so does a folder of nothing else.
    """
    scores, left_out = {}, {}
    for pair in images:
        try:
            score = _score(upscaler, pair, scale, max_pixels, metrics or {})
        except SparsrError as error:
            text = str(error)
            text = text if text.startswith(str(pair.hr)) else f"{pair.hr}: {text}"
            if refused is None:
                raise SparsrError(text, error.hint or "leave it out of the folder") from error
            left_out[pair.hr.name] = text
            refused(text)
            continue
        scores[pair.hr.name] = score
        if report:
            report(pair.hr.name, score)
    if not scores:
        raise SparsrError(f"none of {len(left_out)} images could be measured", "the lines above say why")
    return Evaluation(scores, left_out)


def _score(upscaler: Upscale, pair: Pair, scale: int, max_pixels: int, metrics: Mapping[str, Metric]) -> Score:
    hr = bicubic.crop_to_multiple(read_image(pair.hr, max_pixels).rgb, scale)
    if pair.lr is None:
        lr = bicubic.downscale(hr, scale)
    else:
        lr = read_image(pair.lr, max_pixels).rgb
        if (lr.shape[0] * scale, lr.shape[1] * scale) != hr.shape[:2]:
            sizes = " and ".join(f"{image.shape[1]}x{image.shape[0]}" for image in (lr, hr))
            raise SparsrError(f"LR and HR have {sizes} pixels, not 1:{scale}", f"look at {pair.lr}")
    sr = upscaler(lr)
    return replace(compare(sr, hr, scale), further={name: metric(sr, hr) for name, metric in metrics.items()})


def colours_of(scale: int) -> Colours:
    """What is compared of networks of that scale, by the papers' protocols."""
    return "y" if scale > 1 else "rgb"


def compare(sr: ByteArray, hr: ByteArray, scale: int) -> Score:
    """The score of a network's result, uint8 RGB [h, w, 3] as `hr`, by the protocol of its scale."""
    if colours_of(scale) == "rgb":
        return Score(psnr_rgb(sr, hr), ssim_rgb(sr, hr), "rgb")
    return Score(psnr_y(sr, hr, scale), ssim_y(sr, hr, scale))


def psnr_of(sr: ByteArray, hr: ByteArray, scale: int) -> float:
    """Its PSNR alone."""
    return psnr_rgb(sr, hr) if colours_of(scale) == "rgb" else psnr_y(sr, hr, scale)


def upscale(network: SRNetwork, image: ByteArray, ensemble: bool = False) -> ByteArray:
    """uint8 RGB [h, w, 3] -> [s*h, s*w, 3], clipped and rounded, in one forward pass in float32.

    ensemble: the mean of eight passes over the flipped and transposed image instead, turned back and rounded once
    (EDSR's self-ensemble, section 3.4). Raises `SparsrError` for an image below the network's minimum size.
    """
    height, width = image.shape[:2]
    if min(height, width) < network.minimum_size:
        side = network.minimum_size
        raise SparsrError(f"{width}x{height} pixels are too few for {network.architecture}", f"it needs {side}x{side}")
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)
    with _exact_inference(network):
        output = _ensemble(network, pixels) if ensemble else _enlarged(network, pixels)
        return _rounded(output).permute(1, 2, 0).contiguous().cpu().numpy()


def validate(network: SRNetwork, pairs: Iterable[tuple[Tensor, Tensor]], device: torch.device) -> float:
    """Mean PSNR in dB over (LR, HR) pairs of uint8 [3, h, w] and [3, s*h, s*w] tensors.

    By the protocol of the network's scale. The network must be on `device`; it keeps its train or eval mode.
    """
    values = []
    with _exact_inference(network):
        for lr, hr in pairs:
            sr = _rounded(_enlarged(network, lr.to(device)))
            images = [image.permute(1, 2, 0).cpu().numpy() for image in (sr, hr)]
            values.append(psnr_of(images[0], images[1], network.scale))
    return fmean(values)


def record_score(path: Path, name: str, score: Score) -> None:
    """Write a score into the card of a checkpoint of ours, beside the others. Raises `SparsrError` for other files."""
    network, card = checkpoint.load(path)
    rounded = Score(round(score.psnr, 4), round(score.ssim, 5), score.colours)
    metrics = card.metrics | {name: rounded.to_json()}
    checkpoint.save(path, network, replace(card, metrics=metrics))


@contextmanager
def _exact_inference(network: SRNetwork) -> Iterator[None]:
    """Eval mode without gradients, and convolutions in full float32: TF32 would cost some thousandths of a dB."""
    training = network.training
    network.eval()
    try:
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            yield
    finally:
        network.train(training)


def _enlarged(network: SRNetwork, image: Tensor) -> Tensor:
    """[3, h, w] in 0..255 -> float32 [3, s*h, s*w] in units of 0..255, on the network's device."""
    unit = network.value_range / 255
    device = next(network.parameters()).device
    return network(image[None].to(device, torch.float32) * unit)[0] / unit


def _ensemble(network: SRNetwork, image: Tensor) -> Tensor:
    """As `_enlarged`, the mean over the eight symmetries of a square."""
    total = None
    for transposed, flips in itertools.product((False, True), ((), (1,), (2,), (1, 2))):
        turned = (image.transpose(1, 2) if transposed else image).flip(flips)
        back = _enlarged(network, turned.contiguous()).flip(flips)
        back = back.transpose(1, 2) if transposed else back
        total = back if total is None else total + back
    assert total is not None
    return total / 8


def _rounded(image: Tensor) -> Tensor:
    return image.clamp(0, 255).round().to(torch.uint8)
