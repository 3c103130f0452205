"""Command line: `sparsr export MODEL --out BUNDLE`, and `sparsr export list | adaptive`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sparsr.export.adaptive.commands import COMMANDS
from sparsr.export.exporter import DEFAULT_FORMATS, FORMATS, export_model
from sparsr.export.lower.onnx_cut import Between, add_between
from sparsr.export.parity.proof import read_statement
from sparsr.runtime.command_line import CommandLine
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.model.card import BundleCard
from sparsr.train.importers.readings import assumption
from sparsr.train.networks import ARCHITECTURES

_OFFICIAL = "other authors' weights of them (.pth, .pt, .safetensors, .pb), recognised by the names of the tensors"


def _list() -> None:
    print("networks")
    for name, entry in sorted(ARCHITECTURES.items()):
        scales = " ".join(f"x{scale}" for scale in entry.scales)
        print(f"  {name:12s} {scales:9s} {entry.summary}")
    print("checkpoints")
    print("  SparSR's own (.safetensors), dense or pruned, of every network above")
    print(f"  {_OFFICIAL}")
    print("  any feed-forward image network as ONNX (.onnx), chains and Compact as ncnn (.param and .bin);")
    print("  docs/any-network.md says what can be expressed")
    print("formats")
    for name, kind in FORMATS.items():
        print(f"  {name:12s} {kind.summary}")


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser: argparse.ArgumentParser = CommandLine(
        prog="sparsr export",
        description="Turn a checkpoint into a bundle: model files, a card, and proof that they compute the same.",
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="a checkpoint, an ONNX or ncnn file, or `list`, `adaptive` (with --help)",
    )
    parser.add_argument("--out", type=Path, metavar="BUNDLE", help="folder to write")
    parser.add_argument("--scale", type=int, metavar="S", help="which network of a checkpoint for several scales")
    parser.add_argument(
        "--assume",
        action="append",
        default=[],
        type=assumption,
        metavar="NAME=VALUE",
        help="decide what other authors' checkpoint leaves open and a test image cannot tell",
    )
    parser.add_argument(
        "--range",
        type=float,
        choices=(1, 255),
        help="largest value in the image of an ONNX or ncnn network (default: 1)",
    )
    add_between(parser)
    known = ",".join(DEFAULT_FORMATS)
    parser.add_argument("--format", default=known, help="model files to write (default: %(default)s)")
    parser.add_argument(
        "--sparsity",
        default="",
        metavar="N:M[,LAYER=N:M]",
        help="keep the N largest of every M weights, without training; single layers by name pattern, or LAYER=dense",
    )
    parser.add_argument(
        "--verify",
        type=read_statement,
        nargs="+",
        default=[],
        metavar="IMAGE",
        help="pictures for the parity certificate; IMAGE=OUTPUT: what the network is known to make of it; "
        "LOW=HIGH@DB: pictures or folders of them, and the PSNR it is known for",
    )
    parser.add_argument("--name", help="the network's name in the bundle (default: from MODEL)")
    parser.add_argument("--explain", action="store_true", help="say what every pass did, and why others did not apply")
    return parser


def _print_summary(out: Path, card: BundleCard) -> None:
    tiles = (
        "whole image only" if card.receptive_radius is None else f"exact tiles with {card.receptive_radius} px around"
    )
    print(f"{out}: {card.name}, {card.architecture} x{card.scale}, {card.method}")
    print(f"  {card.parameters:,} parameters, {card.work}, {tiles}")
    for file in card.files:
        print(f"  {file.name:19s} {file.bytes / 1e6:6.2f} MB  {', '.join(file.operators)}")
    print(f"  parity: largest difference {max(entry.max_abs for entry in card.parity):.1e} of the value range")


def _list_of(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def main() -> None:
    """Entry point."""
    if sys.argv[1:2] and sys.argv[1] in COMMANDS:
        return COMMANDS[sys.argv[1]](sys.argv[2:])
    arguments = build_parser().parse_args()
    if arguments.model == "list":
        return _list()
    if arguments.out is None:
        raise SparsrError(f"no output folder given for {arguments.model}", "add --out BUNDLE")
    card = export_model(
        Path(arguments.model),
        arguments.out,
        scale=arguments.scale,
        value_range=arguments.range,
        assume=dict(arguments.assume),
        between=Between(arguments.begin, arguments.end),
        explain=arguments.explain,
        formats=_list_of(arguments.format),
        sparsity=_list_of(arguments.sparsity),
        verify=arguments.verify,
        name=arguments.name,
        report=lambda line: print(line, flush=True),
    )
    return _print_summary(arguments.out, card)
