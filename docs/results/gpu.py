"""Latency of checkpoints in PyTorch on a CUDA device, eager: `python docs/results/gpu.py NET... > gpu.json`.

Every network runs at batch 1 on one 320x180 picture in fp32, tf32, fp16 and bf16, contiguous and channels_last, timed
by device events after warming up; the peak is what the device allocates beside the weights and the input.
"""

from __future__ import annotations

import json
import sys
from itertools import pairwise

import torch

from sparsr.train.importers.models import load_model
from sparsr.train.quality.complexity import macs

HEIGHT, WIDTH = 180, 320
DTYPES = {"fp32": torch.float32, "tf32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
RUNS = 50


@torch.inference_mode()
def milliseconds(network: torch.nn.Module, picture: torch.Tensor) -> list[float]:
    """Of `RUNS` runs, sorted."""
    for _ in range(5):
        network(picture)
    marks = [torch.cuda.Event(enable_timing=True) for _ in range(RUNS + 1)]
    marks[0].record()
    for mark in marks[1:]:
        network(picture)
        mark.record()
    torch.cuda.synchronize()
    return sorted(a.elapsed_time(b) for a, b in pairwise(marks))


def main() -> None:
    """One JSON object on the standard output."""
    torch.backends.cudnn.benchmark = True
    results = []
    for path in sys.argv[1:]:
        network, card = load_model(path)
        cost = macs(network, HEIGHT, WIDTH), macs(network, HEIGHT, WIDTH, nonzero=True)
        picture = torch.rand(1, 3, HEIGHT, WIDTH) * network.value_range
        for name, dtype in DTYPES.items():
            torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = name == "tf32"
            for layout in (torch.contiguous_format, torch.channels_last):
                model = network.to("cuda", dtype, memory_format=layout)  # type: ignore[call-overload]
                x = picture.to("cuda", dtype).contiguous(memory_format=layout)
                times = milliseconds(model, x)
                torch.cuda.reset_peak_memory_stats()
                before = torch.cuda.memory_allocated()
                with torch.inference_mode():
                    model(x)
                results.append(
                    {
                        "network": f"{card.architecture} x{card.scale} {card.method} ({path})",
                        "dtype": name,
                        "channels_last": layout == torch.channels_last,
                        "median": round(times[RUNS // 2], 4),
                        "p90": round(times[RUNS * 9 // 10], 4),
                        "min": round(times[0], 4),
                        "peak_mib": round((torch.cuda.max_memory_allocated() - before) / 2**20, 1),
                        "gmacs": round(cost[0] / 1e9, 2),
                        "gmacs_nonzero": round(cost[1] / 1e9, 2),
                    }
                )
    device = {"device": torch.cuda.get_device_name(), "torch": torch.__version__, "unit": "ms"}
    print(json.dumps(device | {"input": [1, 3, HEIGHT, WIDTH], "results": results}, indent=1))


if __name__ == "__main__":
    main()
