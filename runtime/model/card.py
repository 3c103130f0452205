"""The bundle's card: what a bundle holds and what is known about it. Stored as `card.json` in the bundle."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

SCHEMA = "sparsr-bundle/1"
ADAPTIVE_SCHEMA = "sparsr-adaptive/1"
CARD_NAME = "card.json"
ModelFormat = Literal["onnx", "tflite", "tflite-sparse", "native"]
"""`tflite-sparse` is TFLite with libsparsr's operator instead of builtin ones."""


@dataclass(frozen=True)
class BundleFile:
    """One model file of the bundle."""

    name: str
    """File name inside the bundle; never a path that leaves it."""
    format: ModelFormat
    layout: Literal["NCHW", "NHWC"]
    """Order of the input's and the output's dimensions; batch is always 1."""
    bytes: int
    sha256: str
    operators: tuple[str, ...]
    """Operator names the file uses, sorted."""


@dataclass(frozen=True)
class ParityEntry:
    """How well one hop of the export agrees with the torch network, over the images it was tried on."""

    hop: str
    """For example `torch -> graph` or `torch -> onnx (ort)`."""
    image: str
    """The images, for example `random 17x23, photo.png 96x80`."""
    max_abs: float
    """Largest absolute difference as a fraction of the full value range."""
    identical_8bit: float
    """Share (0..1) of 8-bit output values that are equal."""
    max_8bit: int
    """Largest difference of the 8-bit outputs, in levels."""
    values: int = 0
    """How many 8-bit values were compared."""
    flips: int = 0
    """Pixels of masks whose logits differ by rounding alone and that this hop decided otherwise than torch. The other
    figures compare it with torch given the same masks."""
    flip_margin: float = 0.0
    """The largest difference of such a pixel's two logits, as a share of the mask's largest logit."""
    max_abs_float64: float | None = None
    """The largest difference to an evaluation in float64, over the smaller images. The other figures hold what the
    author's own code rounds as well. None for networks with masks."""


@dataclass(frozen=True)
class MaskedWork:
    """10^9 multiply-adds for a 1280x720 output of a network whose work, and so its speed, depends on the image."""

    best: float
    """No pixel is important."""
    typical: float
    """Half of the pixels are."""
    worst: float
    """All are: what a time limit must be set by."""


@dataclass(frozen=True)
class BundleCard:
    """Everything a runtime, a benchmark or a person needs to know about a bundle.

    Model files take one float32 RGB image with values 0..`value_range` and return one, not clipped.
    """

    name: str
    architecture: str
    scale: int
    method: str
    """How the network was pruned: dense, assl, gassl, l1, ..."""
    value_range: float
    minimum_size: int
    """Smallest height and width in input pixels."""
    receptive_radius: int | None
    """Input pixels that one output pixel sees in each direction: the halo that makes tiling exact.
    None: some layer sees the whole image, tiles can only approximate it."""
    parameters: int
    gmacs_720p: float
    """Multiply-adds (10^9, convolution weights only) for a 1280x720 output."""
    peak_activation_bytes_per_pixel: int
    """Upper estimate of the bytes of live feature maps per input pixel when run layer by layer."""
    widths: dict[str, int]
    """Output channels of every convolution, in execution order."""
    files: tuple[BundleFile, ...]
    parity: tuple[ParityEntry, ...]
    training: dict[str, Any] = field(default_factory=dict)
    """The checkpoint's own record: data, recipe, steps, metrics, terms."""
    tools: dict[str, str] = field(default_factory=dict)
    """Versions of the packages that wrote the bundle."""
    nonzero: float = 1.0
    """Share (0..1) of the multiply-adds whose weight is not zero: N:M sparsity, or what happens to be zero."""
    masked: MaskedWork | None = None
    """For networks with masks."""
    kernels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Layers of the native program whose fastest kernels would round too much, and those they are left to."""
    proofs: tuple[str, ...] = ()
    """What the network was asked to show besides: outputs or figures that somebody else had stated."""
    task: str = ""
    """What the network is for: super_resolution, deblurring, denoising or restoration; empty in older bundles."""
    wrong_engines: dict[str, str] = field(default_factory=dict)
    """Engines that compute something else from a file here, which others run rightly; and what was seen."""
    schema: str = SCHEMA

    @property
    def work(self) -> str:
        """The multiply-adds as text."""
        dense = f"{self.gmacs_720p:.2f} GMACs for a 1280x720 output"
        if self.masked:
            return f"{self.masked.best:.2f} to {self.masked.worst:.2f}, by the image, of {dense}"
        return dense if self.nonzero > 0.999 else f"{self.gmacs_720p * self.nonzero:.2f} of {dense}, the rest zeros"

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary for `json.dumps`."""
        return dataclasses.asdict(self)
