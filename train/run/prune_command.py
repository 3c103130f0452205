"""The command line of pruning: what an order can say."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sparsr.runtime.command_line import positive
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.sparsity import SHARED
from sparsr.train.importers.models import load_model
from sparsr.train.pruning import budget as budgets
from sparsr.train.pruning import time_budget
from sparsr.train.run.prune import LEAST_STEPS, METHODS, Order, Reader, prune
from sparsr.train.run.threads import add_threads

_METHOD = "default: sls, N:M with N learned per layer; search: widths and shared patterns within a budget of time"


def add_command(commands: Any) -> None:
    """Add `prune` to the subparsers of `python -m train`."""
    add_options(commands.add_parser("prune", help="prune a trained network with pictures alone, by self-distillation"))


def add_options(parser: argparse.ArgumentParser, network: str = "a checkpoint, ours or other authors'") -> None:
    """Everything that an order can say; network: what it may name as one."""
    parser.add_argument("network", type=Path, help=network)
    parser.add_argument("--data", required=True, type=Path, metavar="PICTURES", help="folder of pictures, no labels")
    parser.add_argument(
        "--budget",
        required=True,
        help="share of the multiply-adds to keep: 1/4, 0.25 or 25%%; "
        "or what the convolutions may take of a thread of this machine: 12ms@320x180, not for --method nm",
    )
    parser.add_argument(
        "--costs",
        type=Path,
        metavar="TABLE",
        help="the budget is time by this table of `sparsr train costs`; for --method sls",
    )
    parser.add_argument("--method", choices=METHODS, default="sls", help=_METHOD)
    parser.add_argument("--out", required=True, type=Path, help="folder for the result, log and state")
    parser.add_argument("--shared", type=int, choices=SHARED, default=1, help="filters that share one pattern of N:M")
    parser.add_argument("--inputs", action="store_true", help="the pictures are network inputs: do not shrink them")
    parser.add_argument(
        "--hr", type=float, default=0.0, metavar="SHARE", help="share of the loss against the pictures themselves"
    )
    parser.add_argument(
        "--perceptual",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="share of the loss by structure and detail, for GANs' generators: 0.2",
    )
    parser.add_argument(
        "--steps",
        type=int,
        default=Order.steps,
        help=f"training steps (default {Order.steps}); {LEAST_STEPS} for a quick trial",
    )
    parser.add_argument("--patch", type=positive, default=Order.patch, help="side of a training patch in input pixels")
    parser.add_argument("--batch", type=positive, default=Order.batch, help="patches per step")
    parser.add_argument(
        "--precision",
        choices=("float32", "bfloat16"),
        default=Order.precision,
        help="bfloat16 is faster where the processor has it (avx512_bf16, CUDA)",
    )
    parser.add_argument("--seed", type=int, default=Order.seed, help="of what patches a step sees")
    parser.add_argument("--resume", action="store_true", help="continue where the run in --out was stopped")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    add_threads(parser)
    parser.set_defaults(action=run_command)


def run_command(arguments: argparse.Namespace, read: Reader = load_model) -> int:
    """Do what the options say; `read` opens the network. Returns the exit code, raises `SparsrError` for bad ones."""
    if arguments.steps < LEAST_STEPS:
        raise SparsrError(
            f"after {arguments.steps} steps a network is damaged, not pruned",
            f"give --steps {LEAST_STEPS} or more; quality still grows after 6000",
        )
    if not 0 <= arguments.hr <= 1 or (arguments.hr and arguments.inputs):
        raise SparsrError(f"--hr {arguments.hr:g} is impossible here", "a share from 0 to 1, and not with --inputs")
    if arguments.costs and arguments.method != "sls":
        raise SparsrError(f"--method {arguments.method} knows no costs", "leave out --costs, or use --method sls")
    time = time_budget.parse(arguments.budget)
    if time and (arguments.method == "nm" or arguments.costs):
        raise SparsrError(
            "a budget of time is for --method sls, channels and search, without --costs", "or give a share, such as 1/4"
        )
    if arguments.method == "search" and (not time or arguments.shared > 1):
        raise SparsrError(
            "--method search needs a budget of time, and finds what filters share itself",
            "for example --budget 12ms@320x180, without --shared",
        )
    if not arguments.data.is_dir():
        state = "is a file" if arguments.data.exists() else "does not exist"
        raise SparsrError(f"--data {arguments.data} {state}", "name a folder of pictures")
    if arguments.out.resolve().is_relative_to(arguments.data.resolve()):
        raise SparsrError(f"--out {arguments.out} lies among the pictures of --data", "name a folder elsewhere")
    if arguments.resume and not arguments.out.is_dir():
        raise SparsrError(f"there is nothing to resume in {arguments.out}", "leave out --resume to start the run")
    order = Order(
        0.0 if time else budgets.parse(arguments.budget),
        arguments.method,
        arguments.data,
        arguments.inputs,
        str(arguments.costs.resolve()) if arguments.costs else "",
        arguments.shared,
        arguments.hr,
        arguments.perceptual,
        arguments.steps,
        arguments.patch,
        arguments.batch,
        arguments.precision,
        time,
        seed=arguments.seed,
    )
    print(f"done: {prune(arguments.network, order, arguments.out, arguments.resume, arguments.device, read)}")
    return 0
