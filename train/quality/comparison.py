"""Networks pruned in several ways beside each other: what they keep, layer by layer, and quality against work and time.

Quality comes from the checkpoints' cards (`eval --record`), times from `python -m bench run --json` on their bundles,
each called as its checkpoint.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.files import write_text
from sparsr.runtime.plot import Series, plot
from sparsr.train.networks import SRNetwork
from sparsr.train.networks.widths import convolutions
from sparsr.train.pruning.nm import can_be_sparse
from sparsr.train.quality.complexity import gmacs_720p
from sparsr.train.run import checkpoint
from sparsr.train.run.checkpoint import Card

_TITLES = {
    "dense": "dense",
    "sls": "SLS",
    "sls-time": "SLS, budget in time",
    "one_shot": "one-shot N:M",
    "sr_ste": "SR-STE",
    "l1": "L1 filter pruning",
}


@dataclass(frozen=True)
class Entry:
    """One network of the comparison."""

    name: str
    method: str
    """As in the card; `sls-time` for SLS with measured costs."""
    gmacs_720p: float
    """Multiply-adds (10^9) of the weights that are not zero, for a 1280x720 output."""
    psnr: dict[str, float]
    """dB by data set, of luma; at scale 1 of all colours."""
    n: dict[str, int]
    """Weights kept in a group of M inputs, by layer."""
    milliseconds: float | None
    """CPU time of the native engine for one image; null if it was not measured."""


def entry(path: Path, m: int, seconds: dict[str, float]) -> Entry:
    """What a checkpoint of ours brings to the comparison; `seconds` by the checkpoints' names."""
    network, card = checkpoint.load(path)
    psnr = {name: psnr_in(scores) for name, scores in card.metrics.items()}
    name = path.stem
    time = 1e3 * seconds[name] if name in seconds else None
    return Entry(name, _method(card), gmacs_720p(network, nonzero=True), psnr, kept_weights(network, m), time)


def psnr_in(scores: Mapping[str, float]) -> float:
    """PSNR of a card's metrics on one data set, whatever was compared."""
    return next(value for name, value in scores.items() if name.startswith("psnr_"))


def _method(card: Card) -> str:
    settings = (card.training.get("recipe") or {}).get("prune") or {}
    return "sls-time" if settings.get("costs") else card.method


def kept_weights(network: SRNetwork, m: int) -> dict[str, int]:
    """N by layer, in the network's order: the most weights other than zero in any group of `m` inputs."""
    found = {}
    for name, conv in convolutions(network).items():
        if can_be_sparse(conv, m):
            groups = conv.weight.detach().split(m, dim=1)
            found[name] = max(int(group.count_nonzero(1).max()) for group in groups)
    return found


def read_times(path: Path) -> dict[str, float]:
    """CPU seconds (least of all rounds) of the native engine by bundle, from a file of `python -m bench run --json`.

    Raises `SparsrError` for another file.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
        return {row["bundle"]: float(row["cpu"]["minimum"]) for row in rows if row["engine"] == "native" and row["cpu"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SparsrError(
            f"{path} holds no measurements ({error})", "python -m bench run --json writes them"
        ) from error


def drawings(entries: list[Entry], data: str) -> dict[str, str]:
    """The plots as SVG, by file name: N by layer (SLS, Fig. 6), PSNR on `data` against work, and against time."""
    quality = f"PSNR on {data}, dB"
    learned = [Series(one.name, [*enumerate(one.n.values(), 1)]) for one in entries if one.method.startswith("sls")]
    by_work = _curves([(one, one.gmacs_720p) for one in entries], data)
    by_time = _curves([(one, one.milliseconds) for one in entries if one.milliseconds], data)
    wanted = {
        "layers.svg": ("Weights kept by layer", "layer", "N of each group", learned),
        "work.svg": ("Quality against work", "10^9 multiply-adds for 1280x720", quality, by_work),
        "time.svg": ("Quality against time", "CPU milliseconds in the native engine", quality, by_time),
    }
    return {
        name: plot(title, x, y, lines, logarithmic=name != "layers.svg")
        for name, (title, x, y, lines) in wanted.items()
        if lines
    }


def _curves(points: list[tuple[Entry, float]], data: str) -> list[Series]:
    """A line per method, from the cheapest network to the dearest."""
    return [
        Series(title, sorted((x, one.psnr[data]) for one, x in points if one.method == method and data in one.psnr))
        for method, title in _TITLES.items()
        if any(one.method == method and data in one.psnr for one, _ in points)
    ]


def table(entries: list[Entry]) -> str:
    """The figures as a Markdown table, sorted as given."""
    sets = list(dict.fromkeys(name for one in entries for name in one.psnr))
    lines = [f"| network | GMACs | ms | {' | '.join(sets)} |", "|---|" + "---|" * (len(sets) + 2)]
    for one in entries:
        time = f"{one.milliseconds:.1f}" if one.milliseconds else "-"
        values = [f"{one.psnr[name]:.3f}" if name in one.psnr else "-" for name in sets]
        lines.append(f"| {one.name} | {one.gmacs_720p:.2f} | {time} | {' | '.join(values)} |")
    return "\n".join(lines)


def add_command(commands: Any) -> None:
    """Add `compare` to the subparsers of `python -m train`."""
    parser = commands.add_parser("compare", help="pruned networks beside each other: figures and plots")
    parser.add_argument("models", nargs="*", type=Path, metavar="MODEL", help="checkpoints with scores in their cards")
    parser.add_argument("--times", type=Path, metavar="JSON", help="what `python -m bench run --json` wrote")
    parser.add_argument("--from", type=Path, metavar="JSON", dest="earlier", help="draw from an earlier comparison")
    parser.add_argument("--data", default="B100", help="data set of the plots (default: %(default)s)")
    parser.add_argument("--m", type=int, default=32, help="weights per group (default: %(default)s)")
    parser.add_argument("--out", required=True, type=Path, help="folder for comparison.json and the plots")
    parser.set_defaults(action=_run_command)


def _run_command(arguments: argparse.Namespace) -> None:
    times = read_times(arguments.times) if arguments.times else {}
    entries = read(arguments.earlier) if arguments.earlier else []
    entries += [entry(path, arguments.m, times) for path in arguments.models]
    if not entries:
        raise SparsrError("there is nothing to compare", "give checkpoints, or --from an earlier comparison")
    arguments.out.mkdir(parents=True, exist_ok=True)
    write_text(arguments.out / "comparison.json", json.dumps([asdict(one) for one in entries]) + "\n")
    for name, drawing in drawings(entries, arguments.data).items():
        write_text(arguments.out / name, drawing)
    print(table(entries))


def read(path: Path) -> list[Entry]:
    """An earlier comparison. Raises `SparsrError` for another file."""
    try:
        return [Entry(**raw) for raw in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError) as error:
        raise SparsrError(f"{path} is not a comparison ({error})", "`compare` writes them") from error
