"""How far pruned networks drift in colour and sharpness from the dense one: `python docs/results/drift.py --help`.

For networks that were trained to look right, where PSNR to a photograph says little.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from numpy.typing import NDArray

from sparsr.runtime.media.images import list_images, read_image, write_image
from sparsr.train.data.bicubic import crop_to_multiple, downscale
from sparsr.train.importers.models import load_model
from sparsr.train.quality.evaluate import upscale
from sparsr.train.quality.metrics import psnr_rgb, rgb_to_y, ssim_rgb

Image = NDArray[np.uint8]
BLOCK = 16
"""Pixels; what is wider counts as colour, not as detail."""


def colour_drift(image: Image, reference: Image) -> float:
    """Mean distance of the means of blocks, colour by colour, in levels of 255."""
    height, width = (side // BLOCK * BLOCK for side in image.shape[:2])
    difference = (image.astype(np.float64) - reference)[:height, :width]
    blocks = difference.reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK, 3).mean((1, 3))
    return float(np.abs(blocks).mean())


def sharpness(image: Image) -> float:
    """Mean size of the Laplacian of luma, in levels of 255."""
    y = rgb_to_y(image)
    laplacian = 4 * y[1:-1, 1:-1] - y[:-2, 1:-1] - y[2:, 1:-1] - y[1:-1, :-2] - y[1:-1, 2:]
    return float(np.abs(laplacian).mean())


def main() -> None:
    """Print a row per pruned network; with --picture draw dense and pruned beside each other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dense", type=Path)
    parser.add_argument("pruned", type=Path, nargs="+")
    parser.add_argument("--test", type=Path, required=True, help="folder of images, which are shrunk to be inputs")
    parser.add_argument("--picture", type=Path, help="an input, to be drawn into --out")
    parser.add_argument("--crop", type=int, nargs=4, metavar=("X", "Y", "W", "H"), help="of it, in its pixels")
    parser.add_argument("--out", type=Path, help="the dense network's picture, then the pruned ones'")
    options = parser.parse_args()
    torch.set_num_threads(1)
    dense, *networks = [load_model(path)[0] for path in (options.dense, *options.pruned)]
    inputs = [downscale(crop_to_multiple(_read(path), dense.scale), dense.scale) for path in list_images(options.test)]
    wanted = [upscale(dense, image) for image in inputs]
    print("| | PSNR, dB | SSIM | colour drift, levels | sharpness |")
    for path, network in zip(options.pruned, networks, strict=True):
        got = [upscale(network, image) for image in inputs]
        pairs = list(zip(got, wanted, strict=True))
        psnr, ssim, drift = (fmean(f(a, b) for a, b in pairs) for f in (psnr_rgb, ssim_rgb, colour_drift))
        share = fmean(sharpness(a) / sharpness(b) for a, b in pairs)
        print(f"| {path} | {psnr:.2f} | {ssim:.4f} | {drift:.2f} | {100 * share:.1f} % |", flush=True)
    if options.picture:
        x, y, width, height = options.crop or (0, 0, *_read(options.picture).shape[1::-1])
        image = np.ascontiguousarray(_read(options.picture)[y : y + height, x : x + width])
        write_image(options.out, np.concatenate([upscale(network, image) for network in (dense, *networks)], axis=1))


def _read(path: Path) -> Image:
    return read_image(path).rgb


if __name__ == "__main__":
    main()
