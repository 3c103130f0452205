"""CPU time of a 64-channel 3x3 layer by kernel and pattern: python docs/results/speed_kernels.py [INSTRUCTION_SET]."""

from __future__ import annotations

import json
import sys
import time

import numpy as np
from safetensors.numpy import save

from sparsr.runtime.engines.native.load import NativeModel

CHANNELS, LAYERS, HEIGHT, WIDTH, M, ROUNDS = 64, 24, 60, 320, 32, 8
VARIANTS = ((1, "sparse"), (2, "shared"), (4, "shared"), (4, "winograd"))


def chain(n: int, shared: int, kernel: str, instruction_set: str | None) -> NativeModel:
    """Layers with n of every 32 weights, the places shared by so many outputs, all on one kernel."""
    rng = np.random.default_rng(0)
    layers, tensors = [], {}
    for i in range(LAYERS):
        weight = np.zeros((CHANNELS, CHANNELS, 3, 3), np.float32)
        for output in range(0, CHANNELS, shared):
            for tap in range(9):
                for group in range(0, CHANNELS, M):
                    kept = group + rng.permutation(M)[:n]
                    weight[output : output + shared, kept, tap // 3, tap % 3] = rng.normal(0, 0.1, (shared, n))
        tensors |= {f"w{i}": weight, f"b{i}": np.zeros(CHANNELS, np.float32)}
        layers.append(
            {"kind": "Conv", "name": f"n{i}", "inputs": [i], "stride": 1, "groups": 1, "padding": [1] * 4}
            | {"weight": f"w{i}", "bias": f"b{i}", "activation": {"function": "relu"}}
        )
    program = {"input_channels": CHANNELS, "scale": 1, "minimum_size": 1, "value_range": 1.0}
    content = save(tensors, {"sparsr.program": json.dumps(program | {"layers": layers, "output": LAYERS})})
    model = NativeModel(content, instruction_set)
    model.set_plan(json.dumps({"operations": [{"layer": f"n{i}", "kernel": kernel} for i in range(LAYERS)]}))
    return model


def main() -> None:
    """Print milliseconds a layer: the least of rounds that take turns."""
    instruction_set = sys.argv[1] if len(sys.argv) > 1 else None
    image = np.random.default_rng(1).normal(size=(HEIGHT, WIDTH, CHANNELS)).astype(np.float32)
    result = np.empty_like(image)
    for n in (8, 4, 2):
        models = {variant: chain(n, *variant, instruction_set) for variant in VARIANTS}
        least = dict.fromkeys(models, float("inf"))
        for _ in range(ROUNDS):
            for variant, model in models.items():
                begin = time.process_time()
                model.run(image, result)
                least[variant] = min(least[variant], time.process_time() - begin)
        print(f"{n}:{M}", {f"V={v} {k}": round(1e3 * seconds / LAYERS, 2) for (v, k), seconds in least.items()})


if __name__ == "__main__":
    main()
