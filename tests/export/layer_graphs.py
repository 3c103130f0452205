"""A small graph for every layer kind, and for every case that a writer or an engine treats differently."""

from __future__ import annotations

import numpy as np

from sparsr.export.ir import layers as L
from sparsr.export.writers.native import unknown_layer
from tests.export.graphs import (
    CLIP,
    ELU,
    GELU,
    GELU_TANH,
    HARDSWISH,
    LEAKY,
    MISH,
    RELU,
    SIGMOID,
    SILU,
    TANH,
    chain,
    conv,
    masked_graph,
    norm,
    prelu,
)


def layer_graphs(seed=0):
    """At least one graph per layer kind and per case a writer treats differently, by name."""
    rng = np.random.default_rng(seed)
    graphs = [
        graph for kinds in (_activations, _convolutions, _arithmetic, _sizes, _enlargements) for graph in kinds(rng)
    ]
    return {graph.name: graph for graph in graphs}


def _activations(rng):
    """Every activation by itself, after a convolution and after a sum."""
    return [
        chain("relu", L.Activation("relu")),
        chain("leaky", LEAKY),
        chain("sigmoid", SIGMOID),
        chain("conv_relu", conv(rng, 3, 5, activation=RELU)),
        chain("conv_leaky", conv(rng, 3, 5, activation=LEAKY)),
        chain("conv_sigmoid", conv(rng, 3, 5, activation=SIGMOID)),
        chain("silu", SILU),
        chain("prelu", prelu(rng, 3)),
        chain("tanh", TANH),
        chain("gelu", GELU),
        chain("gelu_tanh", GELU_TANH),
        chain("mish", MISH),
        chain("hardswish", HARDSWISH),
        chain("conv_gelu", conv(rng, 3, 5, activation=GELU)),
        chain("conv_mish", conv(rng, 3, 5, activation=MISH)),
        chain("add_hardswish", conv(rng, 3, 3), (L.Add(HARDSWISH), ["n0", "image"])),
        chain("clip", CLIP),
        chain("elu", ELU),
        chain("softsign", L.Activation("softsign")),
        chain("softplus_log", L.Activation("softplus"), L.Activation("log")),
        chain("exp_sqrt", L.Activation("exp"), L.Activation("sqrt")),
        chain("exp_reciprocal", L.Activation("exp"), L.Activation("reciprocal")),
        chain("sine_cosine", L.Activation("sin"), L.Activation("cos")),
        chain("steps", conv(rng, 3, 3), *(L.Activation(f) for f in ("floor", "sign"))),
        chain("round", L.ChannelAffine(*np.float32([[7] * 3, [-2] * 3])), L.Activation("round")),
        chain("ceil", L.ChannelAffine(*np.float32([[7] * 3, [-2] * 3])), L.Activation("ceil")),
        chain("conv_elu", conv(rng, 3, 5, activation=ELU)),
        chain("conv_silu", conv(rng, 3, 5, activation=SILU)),
        chain("conv_prelu", conv(rng, 3, 5, activation=prelu(rng, 5))),
        chain("conv_clip", conv(rng, 3, 5, activation=CLIP)),
        chain("add_prelu", conv(rng, 3, 3), (L.Add(prelu(rng, 3)), ["n0", "image"])),
        chain("add_relu", conv(rng, 3, 3), (L.Add(RELU), ["n0", "image"])),
        chain("add_leaky", conv(rng, 3, 3), (L.Add(LEAKY), ["n0", "image"])),
    ]


def _convolutions(rng):
    """Convolutions of every kind of border, stride and grouping."""
    wide = conv(rng, 3, 12)
    return [
        chain("conv", conv(rng, 3, 5)),
        chain("conv_1x1", conv(rng, 3, 4, 1)),
        chain("conv_5x5", conv(rng, 3, 4, 5)),
        chain("conv_valid", conv(rng, 3, 4, padding=(0, 0, 0, 0)), minimum_size=3),
        chain("conv_lopsided", conv(rng, 3, 4, padding=(2, 0, 1, 3))),
        chain("conv_even", conv(rng, 3, 4, 2, padding=(0, 0, 1, 1))),
        chain("conv_stride", conv(rng, 3, 4, stride=2), minimum_size=1),
        chain("conv_stride_valid", conv(rng, 3, 4, stride=2, padding=(0, 0, 0, 0)), minimum_size=3),
        chain("conv_groups", wide, conv(rng, 12, 8, groups=4, activation=RELU)),
        chain("conv_depthwise", wide, conv(rng, 12, 12, groups=12, activation=RELU)),
        chain("conv_depthwise_wide", conv(rng, 3, 9, groups=3, activation=prelu(rng, 9))),
        chain("conv_depthwise_stride", conv(rng, 3, 6, groups=3, stride=2), minimum_size=1),
        chain("conv_groups_leaky", wide, conv(rng, 12, 8, groups=2, activation=LEAKY)),
    ]


def _arithmetic(rng):
    """What maps one pixel, or statistics of all of them."""
    affine = L.ChannelAffine(*(rng.normal(0, 1, (2, 3)).astype(np.float32)))
    shift = L.ChannelAffine(np.ones(3, np.float32), rng.normal(0, 1, 3).astype(np.float32))
    nothing = L.ChannelAffine(np.ones(3, np.float32), np.zeros(3, np.float32))
    return [
        chain("affine", affine),
        chain("shift", shift),
        chain("affine_nothing", nothing),
        chain("add", conv(rng, 3, 3), (L.Add(), ["n0", "image"])),
        chain("mul", conv(rng, 3, 3), (L.Mul(), ["image", "n0"])),
        chain("mul_broadcast", L.GlobalMean(), conv(rng, 3, 3, 1), (L.Mul(), ["image", "n1"])),
        chain("concat", conv(rng, 3, 4), (L.Concat(), ["image", "n0", "image"])),
        chain(
            "slice",
            conv(rng, 3, 7),
            L.SliceChannels(2, 6),
            ("tail", L.SliceChannels(1, 3), ["n0"]),
            (L.Concat(), ["n1", "tail"]),
        ),
        chain("mean", L.GlobalMean()),
        chain("std", L.GlobalStd()),
        chain("max", L.GlobalMax()),
        *(
            chain(
                f"lines_{axis}",
                ("features", conv(rng, 3, 5), ["image"]),
                L.LineMean(axis),
                conv(rng, 5, 5, 1),
                SIGMOID,
                ("spread", L.ResizeLike("nearest"), ["n3", "features"]),
                ("largest", L.LineMax(axis), ["features"]),
                ("largest spread", L.ResizeLike("nearest"), ["largest", "features"]),
                ("product", L.Mul(), ["spread", "largest spread"]),
                conv(rng, 5, 3),
            )
            for axis in (0, 1)
        ),
        chain(
            "squeeze",
            ("features", conv(rng, 3, 8), ["image"]),
            L.GlobalMean(),
            conv(rng, 8, 2, 1, activation=RELU),
            conv(rng, 2, 8, 1, activation=SIGMOID),
            (L.Mul(), ["features", "n3"]),
        ),
        chain("softmax", conv(rng, 3, 9), L.ChannelSoftmax(), conv(rng, 9, 3)),
        chain("channel_norm", conv(rng, 3, 9), norm(rng, L.ChannelNorm, 9)),
        chain("instance_norm", conv(rng, 3, 9), norm(rng, L.InstanceNorm, 9), conv(rng, 9, 3)),
        chain(
            "multiple",
            L.PadToMultiple(8, 4),
            conv(rng, 3, 5),
            conv(rng, 5, 3),
            (L.CropLike(7), ["n2", "image"]),
        ),
        chain(
            "parts",
            ("whole", L.PadToMultiple(6, 4), ["image"]),
            ("left", L.Part(1, 0, 2), ["whole"]),
            ("right", L.Part(1, 1, 2), ["whole"]),
            ("a", conv(rng, 3, 5), ["left"]),
            ("b", conv(rng, 3, 5), ["right"]),
            ("columns", L.Join(1), ["b", "a"]),
            ("top", L.Part(0, 0, 3), ["columns"]),
            ("middle", L.Part(0, 1, 3), ["columns"]),
            ("bottom", L.Part(0, 2, 3), ["columns"]),
            ("c", conv(rng, 5, 5), ["middle"]),
            ("rows", L.Join(0), ["top", "c", "bottom"]),
            ("d", conv(rng, 5, 3), ["rows"]),
            (L.CropLike(5), ["d", "image"]),
        ),
        masked_graph(rng, 6, [[0, 2, 5], [1], [], [3, 4]]),
    ]


def _sizes(rng):
    """Layers that change or even out sizes."""
    return [
        chain("max_pool", L.MaxPool(3, 2), minimum_size=3),
        chain("avg_pool", L.AvgPool(2, 2), minimum_size=2),
        chain(
            "even",
            L.PadToEven(),
            conv(rng, 3, 5),
            L.AvgPool(2, 2),
            conv(rng, 5, 8, 2, padding=(0, 0, 1, 1)),
            L.DepthToSpace(2),
            (L.CropLike(), ["n4", "image"]),
        ),
        *(
            chain(
                f"resize_like_{mode}",
                conv(rng, 3, 3, stride=2, padding=(0, 0, 0, 0)),
                (L.ResizeLike(mode), ["n0", "image"]),
                minimum_size=3,
            )
            for mode in ("linear", "corners", "nearest")
        ),
        chain("pad_edge", L.PadEdge((2,) * 4)),
        chain("pad_edge_lopsided", L.PadEdge((1, 0, 2, 3)), conv(rng, 3, 3)),
        chain("pad_reflect", L.PadReflect((1, 2, 0, 1)), minimum_size=3),
        chain("pad_reflect_conv", conv(rng, 3, 4), L.PadReflect((2, 3, 2, 1)), conv(rng, 4, 3), minimum_size=4),
        chain("crop", L.Crop((1, 0, 2, 1), 3), minimum_size=4),
    ]


def _enlargements(rng):
    """Enlargements."""
    wide = conv(rng, 3, 12)
    return [
        chain("nearest", L.Nearest(2), scale=2),
        chain("nearest_3", conv(rng, 3, 5), L.Nearest(3), conv(rng, 5, 3), scale=3),
        chain("shuffle_prelu", conv(rng, 3, 12, activation=prelu(rng, 12)), L.DepthToSpace(2), scale=2),
        chain("shuffle_conv", conv(rng, 3, 12, activation=RELU), L.DepthToSpace(2), scale=2),
        chain("shuffle_3", conv(rng, 3, 27), L.DepthToSpace(3), scale=3),
        chain("shuffle_twice", wide, L.DepthToSpace(2), conv(rng, 3, 12), L.DepthToSpace(2), scale=4),
        chain("shuffle_grouped", wide, conv(rng, 12, 16, groups=2, activation=RELU), L.DepthToSpace(2), scale=2),
        chain(
            "shuffle_shared",
            wide,
            L.DepthToSpace(2),
            ("c", conv(rng, 12, 12), ["n0"]),
            ("d", L.DepthToSpace(2), ["c"]),
            (L.Add(), ["n1", "d"]),
            scale=2,
        ),
        chain(
            "shuffle_sum_prelu",
            wide,
            L.DepthToSpace(2),
            ("c", conv(rng, 3, 12), ["image"]),
            ("d", L.DepthToSpace(2), ["c"]),
            (L.Add(prelu(rng, 3)), ["n1", "d"]),
            scale=2,
        ),
        chain("shuffle_other", wide, LEAKY, L.DepthToSpace(2), scale=2),
        chain("shuffle_image", (L.Concat(), ["image"] * 4), L.DepthToSpace(2), scale=2),
    ]


def native_layer_graphs(seed=0):
    """Those the native engine can run."""
    return {name: graph for name, graph in layer_graphs(seed).items() if unknown_layer(graph) is None}
