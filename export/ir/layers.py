"""The layer kinds a deployed network is made of: the agreement between the exporter and everything that runs.

Every layer maps NCHW float32 tensors to one NCHW float32 tensor. The meaning of each kind is defined by the
reference executor (`export/reference.py`); here stand only its parameters and the shape it produces.
Shapes are (channels, height, width); the batch dimension is left out because no layer touches it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, int, int]
FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Layer:
    """Base of all layer kinds."""

    def output_shape(self, *inputs: Shape) -> Shape:
        """Shape produced from the inputs' shapes; by default that of the first input."""
        return inputs[0]

    @property
    def kind(self) -> str:
        """Name of the layer kind, as written into programs and error messages."""
        return type(self).__name__


@dataclass(frozen=True, eq=False)
class Activation(Layer):
    """Element-wise function. `slope` is the factor for negative values of `leaky_relu`."""

    function: Literal["relu", "leaky_relu", "sigmoid"]
    slope: float = 0.0


@dataclass(frozen=True, eq=False)
class Conv(Layer):
    """Cross-correlation with zero padding, then bias, then an optional fused activation.

    weight: [out, in / groups, kernel height, kernel width]; bias: [out].
    padding: zeros added (top, left, bottom, right).
    """

    weight: FloatArray
    bias: FloatArray
    stride: int = 1
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    groups: int = 1
    activation: Activation | None = None

    def output_shape(self, *inputs: Shape) -> Shape:
        """(out, ...) with the usual floor rule per side."""
        _, height, width = inputs[0]
        top, left, bottom, right = self.padding
        kernel_h, kernel_w = self.weight.shape[2:]
        return (
            self.weight.shape[0],
            (height + top + bottom - kernel_h) // self.stride + 1,
            (width + left + right - kernel_w) // self.stride + 1,
        )


@dataclass(frozen=True, eq=False)
class ChannelAffine(Layer):
    """Per channel: factor * x + offset. factor and offset: [channels]."""

    factor: FloatArray
    offset: FloatArray


@dataclass(frozen=True, eq=False)
class Add(Layer):
    """Sum of two tensors of the same shape, then an optional fused activation."""

    activation: Activation | None = None


@dataclass(frozen=True, eq=False)
class Mul(Layer):
    """Product of two tensors; the second may be (channels, 1, 1) and is then spread over all pixels."""


@dataclass(frozen=True, eq=False)
class Concat(Layer):
    """Inputs one after the other along the channels."""

    def output_shape(self, *inputs: Shape) -> Shape:
        """Channels add up."""
        return (sum(shape[0] for shape in inputs), *inputs[0][1:])


@dataclass(frozen=True, eq=False)
class SliceChannels(Layer):
    """Channels start <= c < stop."""

    start: int
    stop: int

    def output_shape(self, *inputs: Shape) -> Shape:
        """(stop - start, height, width)."""
        return (self.stop - self.start, *inputs[0][1:])


@dataclass(frozen=True, eq=False)
class GlobalMean(Layer):
    """Mean over all pixels of each channel -> (channels, 1, 1)."""

    def output_shape(self, *inputs: Shape) -> Shape:
        """One pixel."""
        return (inputs[0][0], 1, 1)


@dataclass(frozen=True, eq=False)
class GlobalStd(GlobalMean):
    """Population standard deviation (divided by n) over all pixels of each channel -> (channels, 1, 1)."""


@dataclass(frozen=True, eq=False)
class MaxPool(Layer):
    """Largest value of each kernel x kernel window, no padding."""

    kernel: int
    stride: int

    def output_shape(self, *inputs: Shape) -> Shape:
        """Floor rule per side."""
        channels, height, width = inputs[0]
        return (channels, (height - self.kernel) // self.stride + 1, (width - self.kernel) // self.stride + 1)


@dataclass(frozen=True, eq=False)
class AvgPool(MaxPool):
    """Mean of each kernel x kernel window, no padding."""


@dataclass(frozen=True, eq=False)
class MaskedBlock(Layer):
    """SMSR's sparse-mask block: 3x3 convolutions that compute each pixel and channel only where masks ask for it.

    Inputs are features and logits (unimportant, important), as large as the features; a pixel is important where the
    second logit is larger, and nowhere without logits. Layer l computes its dense channels everywhere, from nothing but
    the dense channels of the layer before where the pixel is not important; its other channels are 0 there. A ReLU
    follows. All layers' results side by side go through one 1x1 convolution.

    weights: per layer [channels, channels, 3, 3], no bias; dense: bool [layers, channels];
    fuse_weight: [out, layers * channels]; fuse_bias: [out].
    """

    weights: tuple[FloatArray, ...]
    dense: BoolArray
    fuse_weight: FloatArray
    fuse_bias: FloatArray

    def output_shape(self, *inputs: Shape) -> Shape:
        """(out, height, width)."""
        return (len(self.fuse_bias), *inputs[0][1:])


@dataclass(frozen=True, eq=False)
class PadToEven(Layer):
    """The last row or column once more where the height or width is odd."""

    def output_shape(self, *inputs: Shape) -> Shape:
        """Height and width rounded up to even numbers."""
        channels, height, width = inputs[0]
        return (channels, height + height % 2, width + width % 2)


@dataclass(frozen=True, eq=False)
class CropLike(Layer):
    """Top left part of the first input, as large as the second."""

    def output_shape(self, *inputs: Shape) -> Shape:
        """Channels of the first input, size of the second."""
        return (inputs[0][0], *inputs[1][1:])


@dataclass(frozen=True, eq=False)
class ResizeLike(Layer):
    """First input resized bilinearly (half-pixel centres, no antialiasing) to the size of the second."""

    def output_shape(self, *inputs: Shape) -> Shape:
        """Channels of the first input, size of the second."""
        return (inputs[0][0], *inputs[1][1:])


@dataclass(frozen=True, eq=False)
class PadEdge(Layer):
    """`amount` pixels added on every side by repeating the border pixel."""

    amount: int

    def output_shape(self, *inputs: Shape) -> Shape:
        """Both sides grow."""
        channels, height, width = inputs[0]
        return (channels, height + 2 * self.amount, width + 2 * self.amount)


@dataclass(frozen=True, eq=False)
class DepthToSpace(Layer):
    """Pixel shuffle in CRD order: input channel c*r*r + dy*r + dx -> output channel c at sub-pixel (dy, dx)."""

    block: int

    def output_shape(self, *inputs: Shape) -> Shape:
        """(channels / r^2, r * height, r * width)."""
        channels, height, width = inputs[0]
        return (channels // self.block**2, height * self.block, width * self.block)
