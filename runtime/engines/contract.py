"""What engines are to the rest of the runtime: they state their memory and hand out rows.

An `ImageEngine` is what an inference package offers: a whole float image in, a whole one out. A `RowEngine` is what the
upscaler works with: samples of pictures in, strips of rows out. `whole_image.WholeImage` makes one of the other.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Literal, NamedTuple, Protocol, Self, get_args

import numpy as np
from numpy.typing import NDArray

from sparsr.runtime.model.card import BundleCard
from sparsr.runtime.samples import FloatArray, Samples

ByteArray = NDArray[np.uint8]
Precision = Literal["fp32", "fp16"]
"""What an engine computes in. fp16 is the native engine's only, for networks without masked blocks: activations and
sums in half precision, on an arm64 processor with FEAT_FP16 (ARMv8.2, such as Cortex-A55 and A76). It takes half of the
memory, and its results have a PSNR of at least 60 dB against those of fp32. It is for N:M networks: they execute half
of the instructions, but wide dense 3x3 layers more than in fp32, where they have Winograd's method."""
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
STRIP_BYTES = 2 * 2**20
"""Of a strip, unless one row has more."""
STRIPS_ALIVE = 3
"""The strip being filled, the one that waits, and the one its reader works on."""


class MaskCount(NamedTuple):
    """What a masked block computed in full."""

    layer: str
    important: int
    """Pixels."""
    pixels: int
    """All of them."""


class Engine(Protocol):
    """A loaded model. Calls must not overlap."""

    name: str
    version: str
    """Version of the package."""
    threads: int

    def run(self, image: FloatArray) -> FloatArray:
        """The model's output for one float32 image in the file's layout, batch dimension included.

        Inputs may change their height and width from call to call; an unchanged size is faster.
        """


class ImageEngine(Engine, Protocol):
    """An engine of an inference package: feature maps exist whole."""

    def feature_bytes(self, card: BundleCard) -> float:
        """What its feature maps take per input pixel, from above, in bytes."""


class RowEngine(Engine, Protocol):
    """An engine that hands out the rows of its result as they come."""

    columns: int
    """Images of any width are computed as if it were a whole multiple of so many pixels."""

    def memory(self, height: int, width: int) -> int:
        """Bytes that `rows` takes at most for a picture of that size, its strips included, the picture not."""

    def rows(self, picture: Samples, strip_bytes: int = STRIP_BYTES) -> Generator[Samples, None, None]:
        """Samples [h, w, 3] in any memory order -> strips from top to bottom, each of their type [rows, s*w, 3].

        Strips have about `strip_bytes` or a single row; each is the caller's own. Closing the generator ends the work:
        who leaves early closes it, because an interrupt while Python throws one away is lost. Raises `SparsrError` if
        the engine fails.
        """

    def follow(self, size: tuple[int, int] | None) -> None:
        """Compute windows of a picture of that (height, width) so that they get its values, as far as the engine can.

        None: every picture by itself.
        """

    def count_masks(self) -> dict[str, MaskCount]:
        """From now on add up what the masks of each layer hold important, in the dictionary returned.

        Engines that share the model add to the same one. Raises `SparsrError` if the engine cannot tell.
        """

    def share(self, threads: int) -> Self:
        """Another one of the same model, which may run at the same time."""


def strip_height(row_bytes: int, height: int, strip_bytes: int) -> int:
    """Rows of a strip of a result of `height` rows."""
    return max(1, min(height, strip_bytes // row_bytes))
