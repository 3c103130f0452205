"""Pairs of a blurred and a sharp picture, made from sharp ones by the shake of a hand-held camera.

For training where no real pairs are at hand. The path of the shake is a random walk with inertia, the idea of Boracchi
and Foi (Modeling the Performance of Image Restoration from Motion Blur, TIP 2012); the whole picture shakes alike, and
values are averaged as they are stored, as GoPro's pairs were.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.media.images import list_images, read_image, write_image

_STEPS = 200  # of a path
_INERTIA = 0.98
_SMALLEST, _LARGEST = 3, 63  # extent of a path in pixels that can be asked for


def kernel(random: np.random.Generator, extent: float) -> NDArray[np.float32]:
    """A point's trace while the camera shakes: [k, k], k odd, sums to 1; the path is `extent` pixels across.

    Its centre of mass lies in the middle. Where the sharp picture lies to the blurred one is told by nothing in the
    latter: a network cannot learn what is shifted at random, and answers with a mean over the shifts, a blur.
    """
    heading = random.uniform(0, 2 * np.pi)
    speed = np.array([np.cos(heading), np.sin(heading)])
    pushes = random.normal(0, random.uniform(0.02, 0.25), (_STEPS, 2))
    places = np.empty((_STEPS, 2))
    place = np.zeros(2)
    for step, push in enumerate(pushes):
        speed = _INERTIA * speed + push
        place = place + speed
        places[step] = place
    places -= places.mean(0)
    places *= extent / max(np.ptp(places, axis=0).max(), 1e-9)
    radius = int(np.ceil(np.abs(places).max())) + 1
    trace = np.zeros((2 * radius + 1, 2 * radius + 1))
    whole = np.floor(places).astype(int)
    share = places - whole
    for dy in (0, 1):
        for dx in (0, 1):
            weight = np.abs(1 - dy - share[:, 0]) * np.abs(1 - dx - share[:, 1])
            np.add.at(trace, (whole[:, 0] + radius + dy, whole[:, 1] + radius + dx), weight)
    return (trace / trace.sum()).astype(np.float32)


def shaken(picture: NDArray[np.uint8], trace: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The picture, uint8 [h, w, 3], as if every point had left the trace; mirrored at the border, rounded."""
    pixels = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float()
    radius = len(trace) // 2
    weight = torch.from_numpy(trace).flip(0, 1)[None, None].repeat(3, 1, 1, 1)
    blurred = F.conv2d(F.pad(pixels, (radius,) * 4, mode="reflect"), weight, groups=3)
    return blurred[0].round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()


def make_pairs(pictures: Path, out: Path, largest: float, copies: int, seed: int) -> int:
    """Write `out`/blur and `out`/sharp from the folder `pictures`, searched recursively; how many pairs.

    Every picture is shaken `copies` times by up to `largest` pixels. Raises `SparsrError` for settings that are
    impossible and pictures that cannot be read.
    """
    if not _SMALLEST <= largest <= _LARGEST or copies < 1:
        raise SparsrError(
            f"{copies} copies shaken by {largest:g} pixels are not possible",
            f"from {_SMALLEST} to {_LARGEST} pixels, and one copy at least",
        )
    count = 0
    for path in list_images(pictures, recursive=True):
        sharp = read_image(path).rgb
        for _ in range(copies):
            random = np.random.default_rng([seed, count])
            trace = kernel(random, random.uniform(_SMALLEST, largest))
            if min(sharp.shape[:2]) <= len(trace) // 2:
                raise SparsrError(f"{path} is too small to be shaken by {largest:g} pixels", "leave it out")
            name = f"{count:05d}.png"
            write_image(out / "blur" / name, shaken(sharp, trace))
            write_image(out / "sharp" / name, sharp)
            count += 1
    return count


def add_command(commands: Any) -> None:
    """Add `shake` to the subparsers of `python -m train`."""
    parser = commands.add_parser("shake", help="pairs for deblurring, made from sharp pictures by camera shake")
    parser.add_argument("pictures", type=Path, help="folder of sharp pictures, searched recursively")
    parser.add_argument("--out", required=True, type=Path, help="folder that gets `blur` and `sharp`")
    parser.add_argument("--largest", type=float, default=21, metavar="PIXELS", help="how far it shakes (default 21)")
    parser.add_argument("--copies", type=int, default=1, help="pairs of every picture (default 1)")
    parser.add_argument("--seed", type=int, default=1)
    parser.set_defaults(action=_run)


def _run(arguments: argparse.Namespace) -> int:
    count = make_pairs(arguments.pictures, arguments.out, arguments.largest, arguments.copies, arguments.seed)
    print(f"{arguments.out}: {count} pairs")
    return 0
