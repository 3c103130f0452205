"""All layer kinds by name: what graphs are made of. A kind's whole meaning is in its file of `operators/`."""

from __future__ import annotations

from sparsr.export.ir.layer import BoolArray, Layer, Shape
from sparsr.export.ir.operators.activation import Activation
from sparsr.export.ir.operators.arithmetic import Add, ChannelAffine, Mul
from sparsr.export.ir.operators.borders import Crop, PadEdge, PadReflect
from sparsr.export.ir.operators.channels import Concat, SliceChannels
from sparsr.export.ir.operators.conv import Conv
from sparsr.export.ir.operators.enlarging import DepthToSpace, Nearest
from sparsr.export.ir.operators.global_pooling import GlobalMax, GlobalMean, GlobalStd
from sparsr.export.ir.operators.line_pooling import LineMax, LineMean
from sparsr.export.ir.operators.masked_block import MaskedBlock
from sparsr.export.ir.operators.normalisation import ChannelNorm, InstanceNorm
from sparsr.export.ir.operators.parts import Join, Part
from sparsr.export.ir.operators.pooling import AvgPool, MaxPool
from sparsr.export.ir.operators.sizes import CropLike, PadToEven, PadToMultiple, ResizeLike
from sparsr.export.ir.operators.softmax import ChannelSoftmax

KINDS: tuple[type[Layer], ...] = (
    Activation,
    Add,
    AvgPool,
    ChannelAffine,
    ChannelNorm,
    ChannelSoftmax,
    Concat,
    Conv,
    Crop,
    CropLike,
    DepthToSpace,
    GlobalMax,
    GlobalMean,
    GlobalStd,
    InstanceNorm,
    Join,
    LineMax,
    LineMean,
    MaskedBlock,
    MaxPool,
    Mul,
    Nearest,
    PadEdge,
    PadReflect,
    PadToEven,
    PadToMultiple,
    Part,
    ResizeLike,
    SliceChannels,
)

__all__ = [
    "KINDS",
    "Activation",
    "Add",
    "AvgPool",
    "BoolArray",
    "ChannelAffine",
    "ChannelNorm",
    "ChannelSoftmax",
    "Concat",
    "Conv",
    "Crop",
    "CropLike",
    "DepthToSpace",
    "GlobalMax",
    "GlobalMean",
    "GlobalStd",
    "InstanceNorm",
    "Join",
    "Layer",
    "LineMax",
    "LineMean",
    "MaskedBlock",
    "MaxPool",
    "Mul",
    "Nearest",
    "PadEdge",
    "PadReflect",
    "PadToEven",
    "PadToMultiple",
    "Part",
    "ResizeLike",
    "Shape",
    "SliceChannels",
]
