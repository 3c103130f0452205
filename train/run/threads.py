"""The option --threads of commands that compute in torch."""

from __future__ import annotations

import argparse
from typing import Any

import torch

from sparsr.runtime.engines.registry import MAX_THREADS


class _Threads(argparse.Action):
    """torch is told at once: whatever the command does next, it does on so many threads."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: Any = None) -> None:
        if not 1 <= values <= MAX_THREADS:
            raise argparse.ArgumentError(self, f"{values} threads are not possible, 1 to {MAX_THREADS} are")
        torch.set_num_threads(values)


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Add the option."""
    parser.add_argument(
        "--threads", type=int, action=_Threads, default=argparse.SUPPRESS, help="CPU threads (default: torch's choice)"
    )
