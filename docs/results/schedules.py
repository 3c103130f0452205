"""What `sparsr prune` loses by the length of its training: `python docs/results/schedules.py --help`.

The command refuses fewer than 1,000 steps; here they are the subject.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from sparsr.train.quality.evaluate import evaluate
from sparsr.train.run import checkpoint
from sparsr.train.run.prune import Order, prune


def main() -> None:
    """Prune once for every number of steps, unless that is there, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", type=Path, help="the trained dense network")
    parser.add_argument("--data", type=Path, required=True, help="folder of pictures")
    parser.add_argument("--budget", type=float, default=0.25)
    parser.add_argument("--steps", type=int, nargs="+", default=[250, 500, 1000, 2000])
    parser.add_argument("--batch", type=int, default=Order.batch)
    parser.add_argument("--patch", type=int, default=Order.patch)
    parser.add_argument("--test", type=Path, nargs="*", default=[], help="folders of HR images to measure on")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for steps in options.steps:
        order = Order(options.budget, "sls", options.data, steps=steps, patch=options.patch, batch=options.batch,
                      precision="bfloat16")  # fmt: skip
        out = options.out / str(steps)
        pruned = out / "pruned.safetensors"
        if not pruned.exists():
            prune(options.network, order, out, resume=out.exists())
        network, card = checkpoint.load(pruned)
        quality = {"to the dense network": card.training["pruned_from"]["psnr_to_dense"]}
        for folder in options.test:
            quality[str(folder)] = round(evaluate(network, folder, network.scale).mean.psnr, 4)
        (out / "quality.json").write_text(json.dumps(quality) + "\n")
        print(steps, quality, flush=True)


if __name__ == "__main__":
    main()
