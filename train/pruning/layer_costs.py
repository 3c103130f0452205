"""What every layer of a network costs in the native engine with N weights per group: SLS's budget in time (ours)."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from sparsr.runtime.engines.native.costs import layer_cost
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.files import write_text
from sparsr.runtime.sparsity import GROUP_SIZES, SHARED, Sparsity
from sparsr.train.importers.models import load_model
from sparsr.train.networks import SRNetwork
from sparsr.train.networks.base import ColourMap
from sparsr.train.networks.widths import convolutions
from sparsr.train.pruning.budget import group_size
from sparsr.train.pruning.nm import can_be_sparse


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


class Costs:
    """CPU seconds of one thread for a row of a convolution's result, on the cheapest kernel: measured when asked for.

    With a file they are the same for a run that goes on later, whatever the machine does meanwhile.
    """

    def __init__(self, path: Path | None = None) -> None:
        """`path`: where `save` keeps them. Raises `SparsrError` if it holds something else."""
        self.path = path
        self.rows: dict[str, float] = {}
        if path and path.exists():
            try:
                self.rows = {str(key): float(value) for key, value in json.loads(path.read_text("utf-8")).items()}
            except (OSError, ValueError, AttributeError, TypeError) as error:
                raise SparsrError(f"{path} holds no costs ({error})", "remove it: they are measured again") from error

    def row(self, layer: Layer, sparsity: Sparsity | None = None) -> float:
        """Seconds for a row of the layer's result with N of M weights, or all. Raises `SparsrError` as `layer_cost`."""
        key = f"{layer.inputs} {layer.outputs} {layer.side} {layer.stride} {layer.width} {sparsity or 'dense'}"
        if key not in self.rows:
            cost = layer_cost(layer.inputs, layer.outputs, layer.side, sparsity, layer.width, stride=layer.stride)
            self.rows[key] = cost.seconds
        return self.rows[key]

    def dense(self, layers: Iterable[Layer]) -> float:
        """Seconds for the whole results of layers with all their weights."""
        return sum(layer.height * self.row(layer) for layer in layers)

    def table(
        self, layers: dict[str, Layer], m: int, shared: int, report: Callable[[str], None] = lambda _: None
    ) -> dict[str, list[float]]:
        """Seconds for each layer's whole result with N = 0, 1, ..., m weights per group; N = 0 counts as free."""
        rows: dict[str, list[float]] = {}
        told = set()
        for name, layer in layers.items():
            sparse = [self.row(layer, Sparsity(n, m, shared)) for n in range(1, m)]
            rows[name] = [seconds * layer.height for seconds in (0.0, *sparse, self.row(layer))]
            shape = f"{layer.inputs} -> {layer.outputs} channels, {layer.side}x{layer.side}, {layer.width} pixels wide"
            if shape not in told:
                told.add(shape)
                first = Sparsity(1, m, shared)
                report(f"{shape}: {1e6 * sparse[0]:.1f} us a row with {first}, {1e6 * self.row(layer):.1f} dense")
        return rows

    def save(self) -> None:
        """Keep them in the file."""
        if self.path:
            write_text(self.path, json.dumps(self.rows, indent=0) + "\n")


def add_command(commands: Any) -> None:
    """Add `costs` to the subparsers of `python -m train`."""
    parser = commands.add_parser("costs", help="measure what N:M is worth in every layer, for prune.costs of SLS")
    parser.add_argument("model", help="a checkpoint of the network to prune")
    parser.add_argument("--size", type=_size, default=(160, 90), metavar="WxH", help="input pixels (default 160x90)")
    parser.add_argument("--shared", type=int, choices=SHARED, default=1, help="filters that share one pattern")
    parser.add_argument("--m", type=int, help="weights per group (default: as many as `sparsr prune` takes)")
    parser.add_argument("--out", required=True, type=Path, help="JSON file to write")
    parser.set_defaults(action=_run_command)


def _run_command(arguments: argparse.Namespace) -> None:
    width, height = arguments.size
    network, _ = load_model(arguments.model)
    m = group_size(network) if arguments.m is None else arguments.m
    layers = sparse_layers(network, m, height, width)
    seconds = Costs().table(layers, m, arguments.shared, lambda line: print(line, flush=True))
    record = {"m": m, "shared": arguments.shared, "width": width, "height": height, "layers": seconds}
    write_text(arguments.out, json.dumps(record) + "\n")


def _size(text: str) -> tuple[int, int]:
    width, cross, height = text.lower().partition("x")
    if not (cross and width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size like 320x180")
    return int(width), int(height)
