"""How far the pictures of pruned networks drift from the dense one's: `python docs/results/drift.py --help`.

For generators that were trained to look right, for which no HR is the measure.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from numpy.typing import NDArray

from sparsr.runtime.media.images import list_images, read_image, write_image
from sparsr.train.importers.models import load_model
from sparsr.train.quality.evaluate import upscale
from sparsr.train.quality.metrics import psnr_rgb, rgb_to_y, ssim_rgb

Picture = NDArray[np.uint8]
_AREA = 32
_CROP = 160  # input pixels, of the middle


def colour(pruned: Picture, dense: Picture) -> float:
    """Root mean square, in levels of 255, of differences between means over 32x32 pixels: colours without detail."""
    rows, columns = (side // _AREA for side in dense.shape[:2])
    difference = (pruned.astype(np.float64) - dense)[: rows * _AREA, : columns * _AREA]
    means = difference.reshape(rows, _AREA, columns, _AREA, 3).mean((1, 3))
    return float(np.sqrt(np.mean(means**2)))


def sharpness(pruned: Picture, dense: Picture) -> float:
    """Energy of the luma's Laplacian, as a share of the dense network's: below 1 is blurred."""
    energies = []
    for y in (rgb_to_y(pruned), rgb_to_y(dense)):
        laplacian = y[:-2, 1:-1] + y[2:, 1:-1] + y[1:-1, :-2] + y[1:-1, 2:] - 4 * y[1:-1, 1:-1]
        energies.append(float(np.mean(laplacian**2)))
    return energies[0] / energies[1]


MEASURES = {"PSNR, dB": psnr_rgb, "SSIM": ssim_rgb, "colour": colour, "sharpness": sharpness}


def main() -> None:
    """Print the table, and write a picture of the middle of the first image by every network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dense", type=Path)
    parser.add_argument("pruned", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, required=True, help="folder of pictures, network inputs as they are")
    parser.add_argument("--picture", type=Path, help="PNG: the dense network's, then those of the others")
    options = parser.parse_args()
    torch.set_num_threads(1)
    inputs = [read_image(path).rgb for path in list_images(options.data)]
    dense, *others = ([upscale(load_model(path)[0], lr) for lr in inputs] for path in [options.dense, *options.pruned])
    print("| | " + " | ".join(MEASURES) + " |", "|---" * (len(MEASURES) + 1) + "|", sep="\n")
    for path, pictures in zip(options.pruned, others, strict=True):
        both = list(zip(pictures, dense, strict=True))
        means = (fmean(measure(one, other) for one, other in both) for measure in MEASURES.values())
        print(f"| {path} | " + " | ".join(f"{mean:.4g}" for mean in means) + " |")
    if options.picture:
        scale = dense[0].shape[0] // inputs[0].shape[0]
        top, left = ((side - min(side, _CROP)) // 2 * scale for side in inputs[0].shape[:2])
        crops = [group[0][top : top + _CROP * scale, left : left + _CROP * scale] for group in (dense, *others)]
        write_image(options.picture, np.concatenate(crops, axis=1))


if __name__ == "__main__":
    main()
