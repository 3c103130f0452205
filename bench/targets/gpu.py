"""`gpu`: this machine's NVIDIA GPU. Processor time is the device's own, by its events."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

from sparsr.bench.gpu.names import GPU_ENGINES
from sparsr.bench.targets.cpu import Cpu
from sparsr.bench.targets.machine import Machine, describe
from sparsr.runtime.errors import SparsrError

_PROBE = """
import torch
if not torch.cuda.is_available():
    raise SystemExit("PyTorch sees no CUDA device")
device = torch.cuda.get_device_properties(0)
print(device.name, device.total_memory, f"{device.major}.{device.minor}", torch.version.cuda, sep="\\n")
"""
_HINT = "this target needs an NVIDIA GPU and a build of torch for CUDA (pip install 'sparsr[gpu]')"


class Gpu(Cpu):
    """The first GPU that PyTorch sees."""

    engines = tuple(GPU_ENGINES)

    def __init__(self, address: str = "") -> None:
        if address:
            raise SparsrError(f"there is no target gpu:{address}", "this machine's GPU is called gpu")
        super().__init__()
        self.name = "gpu"

    def probe(self) -> Machine:
        """The device. Raises `SparsrError` where there is none; torch is imported in a process of its own."""
        done = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True, check=False)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["it cannot be asked"]
            raise SparsrError(f"there is no GPU here: {lines[-1]}", _HINT)
        name, memory, capability, cuda = done.stdout.splitlines()
        facts = {"compute capability": capability, "CUDA": cuda}
        machine = describe(("torch", "onnxruntime-gpu", "numpy"))
        return replace(machine, name=name, memory=int(memory), facts=facts)
