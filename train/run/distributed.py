"""One process or many: started by `torchrun`, the same loop runs on all of them through PyTorch's own engine."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from sparsr.runtime.errors import SparsrError


@dataclass(frozen=True)
class Team:
    """The processes of this run and this one's place among them."""

    rank: int
    world: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0

    def wrap(self, network: nn.Module) -> nn.Module:
        """`network` with gradients averaged over all processes in its backward pass."""
        if self.world == 1:
            return network
        ids = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(network, device_ids=ids)

    def wait(self) -> None:
        """Until every process is here."""
        if self.world > 1:
            dist.barrier()


@contextmanager
def team(device: str) -> Iterator[Team]:
    """Join the processes `torchrun` started, or be one alone. `device`: auto, cpu or cuda."""
    if device not in ("auto", "cpu", "cuda"):
        raise SparsrError(f"there is no device {device!r}", "auto, cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise SparsrError("no CUDA device is usable here", "--device cpu")
    kind = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Team(0, 1, torch.device(kind))
        return
    local = torch.device(kind, int(os.environ["LOCAL_RANK"])) if kind == "cuda" else torch.device(kind)
    if kind == "cuda":
        torch.cuda.set_device(local)
    dist.init_process_group("nccl" if kind == "cuda" else "gloo")
    try:
        yield Team(dist.get_rank(), world, local)
        dist.barrier()  # a process that leaves while another still talks to it would bring both down
    finally:
        # The wrapped network holds the process group in reference cycles; a group that outlives its destruction
        # aborts the process at exit, when its threads are still running.
        gc.collect()
        dist.destroy_process_group()
