"""Command line: `python -m train run | prune | init | import | eval | costs | shake | compare | list`."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from sparsr.runtime.command_line import CommandLine
from sparsr.runtime.errors import SparsrError
from sparsr.train.data import shake
from sparsr.train.importers.models import load_model
from sparsr.train.importers.readings import assumption
from sparsr.train.networks import ARCHITECTURES
from sparsr.train.pruning import layer_costs
from sparsr.train.quality import comparison, eval_command
from sparsr.train.run import checkpoint, prune_command, recipe
from sparsr.train.run.loop import train
from sparsr.train.run.prepare import first_network, prepare
from sparsr.train.run.threads import add_threads

ZOO = Path(__file__).parent / "zoo"
RECIPES = {
    "cpu": "what one CPU core can do in an hour",
    "paper": "the published schedules",
    "compare": "methods beside each other, at equal effort",
}
"""What the recipes of a folder are for; first those to begin with."""


def _run(arguments: argparse.Namespace) -> int:
    chosen = recipe.load(arguments.recipe, arguments.set)
    with prepare(chosen, arguments.out, arguments.resume, arguments.device) as run:
        train(run)
        if run.team.leads:
            print(f"done: {run.out / 'best.safetensors'}")
    return 0


def _init(arguments: argparse.Namespace) -> int:
    chosen = recipe.load(arguments.recipe, [*arguments.set, "network.start="])
    torch.manual_seed(chosen.seed)
    network = first_network(chosen)
    checkpoint.save(arguments.out, network, checkpoint.card_for(network, "dense", training={"steps": 0}))
    print(f"{arguments.out}: random weights, for measuring time and memory before training")
    return 0


def _import(arguments: argparse.Namespace) -> int:
    network, card = load_model(arguments.model, arguments.scale, dict(arguments.assume))
    checkpoint.save(arguments.out, network, card)
    options = ", ".join(f"{name} {value}" for name, value in card.options.items())
    print(f"{arguments.out}: {card.architecture} x{card.scale} ({options})")
    return 0


def _list(_: argparse.Namespace) -> int:
    if models := sorted(ZOO.glob("*.safetensors")):
        print("trained models, to export, to prune or to train on")
    for path in models:
        card = load_model(path)[1]
        quality = ", ".join(f"{name} {comparison.psnr_in(entry):.2f} dB" for name, entry in card.metrics.items())
        print(f"  {path.relative_to(ZOO.parent.parent)}  {card.method} x{card.scale}  {quality}")
    print("architectures")
    scales = {name: " ".join(f"x{scale}" for scale in entry.scales) for name, entry in ARCHITECTURES.items()}
    width = max(map(len, scales.values()))
    for name, entry in sorted(ARCHITECTURES.items()):
        print(f"  {name:12s} {scales[name]:{width}s} {entry.summary}")
    for folder, meaning in RECIPES.items():
        print(f"recipes/{folder}: {meaning}")
        for name in recipe.shipped():
            if name.startswith(f"{folder}/"):
                first = (recipe.RECIPES / f"{name}.toml").read_text(encoding="utf-8").splitlines()[0]
                print(f"  {name:24s} {first.lstrip('# ')}")
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser: argparse.ArgumentParser = CommandLine(
        prog="sparsr train", description="Train, prune and evaluate networks."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="train or prune by a recipe")
    run.add_argument("recipe", help="a TOML file, or the name of one that `list` shows")
    run.add_argument("--out", required=True, type=Path, help="folder for checkpoints, log and state")
    run.add_argument("--resume", action="store_true", help="continue where the run in --out was stopped")
    run.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override one recipe value")
    run.add_argument("--device", default="auto", help="auto, cpu or cuda (several: start with torchrun)")
    add_threads(run)
    run.set_defaults(action=_run)
    init = commands.add_parser("init", help="an untrained network, to measure time and memory before training")
    init.add_argument("recipe", help="the dense recipe that describes the network")
    init.add_argument("--out", required=True, type=Path, help="checkpoint to write (.safetensors)")
    init.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override one recipe value")
    init.set_defaults(action=_init)
    prune_command.add_command(commands)
    importing = commands.add_parser("import", help="an official checkpoint of other authors as one of ours")
    importing.add_argument("model", type=Path, help="their .pth, .pt, .safetensors or .pb file")
    importing.add_argument("--scale", type=int, help="needed for files that hold several scales")
    importing.add_argument(
        "--assume",
        action="append",
        default=[],
        type=assumption,
        metavar="NAME=VALUE",
        help="decide what the file leaves open and a test image cannot tell",
    )
    importing.add_argument("--out", required=True, type=Path, help="checkpoint to write (.safetensors)")
    importing.set_defaults(action=_import)
    eval_command.add_command(commands)
    layer_costs.add_command(commands)
    shake.add_command(commands)
    comparison.add_command(commands)
    listing = commands.add_parser("list", help="trained models, architectures and recipes")
    listing.set_defaults(action=_list)
    return parser


def main() -> int:
    """Entry point; returns the exit code."""
    arguments = build_parser().parse_args()
    if getattr(arguments, "resume", False) and not arguments.out.is_dir():
        raise SparsrError(f"there is nothing to resume in {arguments.out}", "leave out --resume to start the run")
    return int(arguments.action(arguments) or 0)
