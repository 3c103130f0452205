"""The command `sparsr prune`: training's pruning for every network that export can read."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx

from sparsr.export.lower.from_ncnn import ncnn_as_onnx
from sparsr.export.lower.ncnn_file import is_ncnn
from sparsr.export.lower.onnx_cut import WHOLE, Between, add_between
from sparsr.export.lower.onnx_file import is_onnx, open_onnx
from sparsr.export.lower.trainable import as_network
from sparsr.export.parity import stages
from sparsr.export.source import read_graph
from sparsr.runtime.command_line import CommandLine
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.files import sha256
from sparsr.train.importers.models import load_model
from sparsr.train.networks import SRNetwork
from sparsr.train.run.checkpoint import Card, card_for
from sparsr.train.run.prune_command import add_options, run_command

_TOLERANCE = 2e-5
"""Of full range: what the trainable network may differ by from the file in ONNX Runtime."""
_PROBE_SIDE = 24


def read_network(
    path: Path, scale: int | None = None, value_range: float | None = None, between: Between = WHOLE
) -> tuple[SRNetwork, Card]:
    """The network in `path`, ready for training, and its card: a checkpoint, an ONNX file or an ncnn model.

    `scale` is checked, and chooses from a checkpoint for several; `value_range`, 1 (if not given) or 255, is the
    largest value in the image of an ONNX or ncnn network; `between` names the tensors that the network in an ONNX file
    begins and ends with. Raises `SparsrError` for what cannot be read or trained.
    """
    if is_onnx(path):
        return _from_graph(open_onnx(path, between), path, scale, value_range)
    if between != WHOLE:
        raise SparsrError(f"{path} is no ONNX file", "--from and --to take tensors of those")
    if is_ncnn(path):
        return _from_graph(ncnn_as_onnx(path), path, scale, value_range)
    if value_range is not None:
        raise SparsrError(f"{path} is a checkpoint, whose range is known", "--range is for ONNX and ncnn files")
    return load_model(path, scale)


def _from_graph(
    model: onnx.ModelProto, path: Path, scale: int | None, value_range: float | None
) -> tuple[SRNetwork, Card]:
    read = read_graph(model, str(path), path.stem, scale, value_range)
    network = as_network(read.graph)
    side = read.graph.minimum_size + _PROBE_SIDE
    image = np.random.default_rng(0).uniform(0, 255, (1, 3, side, side + 3)).astype(np.float32)
    expected = read.run(image)
    error = float(np.abs(stages.torch_run(network, 255.0)(image) - expected).max()) / 255
    largest = max(1.0, float(np.abs(expected).max()) / 255)  # what random pixels make of some networks is far outside
    if error > _TOLERANCE * largest:
        raise SparsrError(
            f"{path}: made trainable the network differs by {error:.1e} of full range from the file",
            "prune the checkpoint it was exported from",
        )
    record = {"imported_from": path.name, "sha256": sha256(path), "value_range": f"0..{value_range or 1:g}"}
    return network, card_for(network, "imported", training=record)


def build_parser() -> argparse.ArgumentParser:
    """The command line of `sparsr prune`."""
    parser: argparse.ArgumentParser = CommandLine(
        prog="sparsr prune", description="Prune a trained network with pictures alone."
    )
    add_options(parser, "a checkpoint, ours or other authors', or an ONNX or ncnn file")
    parser.add_argument("--scale", type=int, metavar="S", help="which network of a checkpoint for several scales")
    parser.add_argument(
        "--range",
        type=float,
        choices=(1, 255),
        help="largest value in the image of an ONNX or ncnn network (default: 1)",
    )
    add_between(parser)
    return parser


def main() -> int:
    """Entry point of `sparsr prune`; returns the exit code."""
    arguments = build_parser().parse_args()
    between = Between(arguments.begin, arguments.end)
    return run_command(arguments, lambda path: read_network(path, arguments.scale, arguments.range, between))
