"""PyTorch on a GPU: eager, compiled, or as a recorded CUDA graph; timed by the device's own events."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch

from sparsr.bench.gpu.contract import Mode, Precision
from sparsr.bench.gpu.torch_network import TorchNetwork
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.samples import FloatArray

_TYPES = {"float32": torch.float32, "tf32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_WARM_UP = 3  # runs before a graph is recorded, as PyTorch's documentation asks for


class TorchRun:
    """One network on one device. Each new size of image is compiled or recorded anew."""

    def __init__(self, path: Path, mode: Mode, precision: Precision, channels_last: bool, device: str = "cuda") -> None:
        """Raises `SparsrError` if there is no such device, or it cannot run the network."""
        if device == "cuda" and not torch.cuda.is_available():
            raise SparsrError("PyTorch sees no CUDA device", "this needs an NVIDIA GPU and a build of torch for CUDA")
        if mode == "graph" and device != "cuda":
            raise SparsrError("only CUDA devices record graphs", "use the mode eager")
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
        torch.backends.cudnn.benchmark = True
        self.seconds, self._device, self._mode, self._type = 0.0, device, mode, _TYPES[precision]
        self._format = torch.channels_last if channels_last else torch.contiguous_format
        network = TorchNetwork(path).to(device).to(self._type).eval()
        for name, tensor in network.named_buffers():
            if tensor.ndim == 4:
                network.register_buffer(name, tensor.contiguous(memory_format=self._format))
        self._network = torch.compile(network) if mode == "compiled" else network
        self._graph: torch.cuda.CUDAGraph | None = None
        self._input, self._result = torch.empty(0), torch.empty(0)

    @property
    def peak_bytes(self) -> int | None:
        """The most the device's memory held of this process; None where the device does not tell."""
        return torch.cuda.max_memory_allocated() if self._device == "cuda" else None

    @torch.inference_mode()
    def __call__(self, image: FloatArray) -> FloatArray:
        """[1, 3, h, w] -> [1, 3, s*h, s*w], both in the host's memory; `seconds` are the network's alone."""
        sent = torch.from_numpy(image).to(self._device).to(self._type).contiguous(memory_format=self._format)
        if sent.shape != self._input.shape:
            self._prepare(sent)
        self._input.copy_(sent)
        if self._device == "cuda":
            begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            begin.record()
            self._step()
            end.record()
            torch.cuda.synchronize()
            self.seconds = begin.elapsed_time(end) / 1000
        else:
            start = time.perf_counter()
            self._step()
            self.seconds = time.perf_counter() - start
        return np.ascontiguousarray(self._result.float().cpu().numpy())

    def _prepare(self, image: torch.Tensor) -> None:
        self._input, self._graph = image.clone(memory_format=torch.preserve_format), None
        if self._mode != "graph":
            return
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP):
                self._result = self._network(self._input)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._result = self._network(self._input)
        self._graph = graph

    def _step(self) -> None:
        if self._graph:
            self._graph.replay()
        else:
            self._result = self._network(self._input)
