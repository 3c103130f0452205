"""What every layer of a network costs in the native engine with N weights per group: SLS's budget in time (ours)."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from sparsr.runtime.engines.native.costs import layer_cost
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.files import write_text
from sparsr.train.importers.models import load_model
from sparsr.train.networks import SRNetwork
from sparsr.train.networks.base import ColourMap
from sparsr.train.networks.widths import convolutions
from sparsr.train.pruning.nm import GROUP_SIZES, can_be_sparse


@dataclass(frozen=True)
class Layer:
    """A convolution and the size of its result."""

    inputs: int
    outputs: int
    side: int
    """Taps in each direction."""
    stride: int
    height: int
    width: int


def sparse_layers(network: SRNetwork, m: int, height: int, width: int) -> dict[str, Layer]:
    """The layers that SLS prunes with groups of `m`, by name, for an input of `height` x `width` pixels.

    Raises `SparsrError` for an M that is not supported or fits no layer.
    """
    if m not in GROUP_SIZES:
        raise SparsrError(f"M is {m}", f"it can be {', '.join(map(str, GROUP_SIZES))}")
    chosen = {name for name, conv in convolutions(network).items() if can_be_sparse(conv, m)}
    found = {name: layer for name, layer in layers_of(network, height, width).items() if name in chosen}
    if not found:
        raise SparsrError(f"no convolution of the network has {m} input channels", "choose a smaller M")
    return found


def layers_of(network: SRNetwork, height: int, width: int) -> dict[str, Layer]:
    """Every convolution that learns by name, for an input of `height` x `width` pixels."""
    found: dict[str, Layer] = {}

    def note(conv: torch.nn.Conv2d, _: object, output: torch.Tensor, name: str) -> None:
        found[name] = Layer(conv.in_channels, conv.out_channels, conv.kernel_size[0], conv.stride[0], *output.shape[2:])

    convs = {name: conv for name, conv in convolutions(network).items() if not isinstance(conv, ColourMap)}
    hooks = [conv.register_forward_hook(partial(note, name=name)) for name, conv in convs.items()]
    with torch.inference_mode():
        network(torch.zeros(1, 3, height, width))
    for hook in hooks:
        hook.remove()
    return found


def measure_layers(layers: dict[str, Layer], m: int, report: Callable[[str], None]) -> dict[str, list[float]]:
    """CPU seconds of one thread for each layer with N = 0, 1, ..., m weights per group, on the cheapest kernel.

    N = 0 counts as free. Layers of one shape are measured once. Raises `SparsrError` if the native engine cannot be
    built or has no fast kernel for a layer.
    """
    rows: dict[tuple[int, ...], list[float]] = {}
    for layer in layers.values():
        shape = _shape(layer)
        if shape not in rows:
            sparse = [seconds_of(layer, (n, m)) for n in range(1, m)]
            rows[shape] = [0.0, *sparse, seconds_of(layer, None)]
            report(
                f"{layer.inputs} -> {layer.outputs} channels, {layer.side}x{layer.side}, {layer.width} pixels wide: "
                f"{1e6 * rows[shape][1]:.1f} us a row with 1:{m}, {1e6 * rows[shape][-1]:.1f} dense"
            )
    return {name: [seconds * layer.height for seconds in rows[_shape(layer)]] for name, layer in layers.items()}


def seconds_of(layer: Layer, sparsity: tuple[int, int] | None) -> float:
    """CPU seconds of one thread for a row of the layer's result, with N of M weights or all, on the cheapest kernel."""
    width, stride = layer.width, layer.stride
    return layer_cost(layer.inputs, layer.outputs, layer.side, sparsity, width, stride=stride).seconds


def _shape(layer: Layer) -> tuple[int, ...]:
    return layer.inputs, layer.outputs, layer.side, layer.stride, layer.width


def add_command(commands: Any) -> None:
    """Add `costs` to the subparsers of `python -m train`."""
    parser = commands.add_parser("costs", help="measure what N:M is worth in every layer, for prune.costs of SLS")
    parser.add_argument("model", help="a checkpoint of the network to prune")
    parser.add_argument("--size", type=_size, default=(160, 90), metavar="WxH", help="input pixels (default 160x90)")
    parser.add_argument("--m", type=int, default=32, help="weights per group (default: %(default)s)")
    parser.add_argument("--out", required=True, type=Path, help="JSON file to write")
    parser.set_defaults(action=_run_command)


def _run_command(arguments: argparse.Namespace) -> None:
    width, height = arguments.size
    network, _ = load_model(arguments.model)
    layers = sparse_layers(network, arguments.m, height, width)
    seconds = measure_layers(layers, arguments.m, lambda line: print(line, flush=True))
    record = {"m": arguments.m, "width": width, "height": height, "layers": seconds}
    write_text(arguments.out, json.dumps(record) + "\n")


def _size(text: str) -> tuple[int, int]:
    width, cross, height = text.lower().partition("x")
    if not (cross and width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size like 320x180")
    return int(width), int(height)
