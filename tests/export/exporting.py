"""The command line of the exporter, and checkpoints to give it."""

from __future__ import annotations

import sys

from sparsr.export import cli
from sparsr.runtime.errors import run_cli
from sparsr.train.run.checkpoint import card_for, save


def store(network, path):
    save(path, network, card_for(network, "assl", training={"data": "T91"}))
    return path


def export(*arguments, capsys):
    """(exit code, stdout, stderr) of the command line."""
    sys.argv = ["export", *map(str, arguments)]
    code = run_cli(cli.main)
    captured = capsys.readouterr()
    return code, captured.out, captured.err
