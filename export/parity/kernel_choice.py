"""Which kernels of the native engine round little enough: measured at export, written into the program.

Kernels for one layer differ in speed and in rounding: Winograd's products round more than a convolution's own. What
that does to the result depends on the network, so it is measured, against a float64 evaluation, with the quickest
kernels everywhere. If the largest error exceeds the budget, the layers that contribute most are left to exact kernels,
as few as are needed. The engine then takes the fastest of those that a layer may run on, on whichever machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from sparsr.export.ir.graph import DeployGraph
from sparsr.export.ir.layer import Values
from sparsr.export.writers.native import write_native
from sparsr.runtime.engines.native.load import NativeModel
from sparsr.runtime.samples import FloatArray

BUDGET = 2e-5
"""Largest error of the result that a choice of kernels may cause, as a share of the value range."""
EXACT = ("dense", "sparse", "shared")
"""Kernels that add up a convolution's own products."""
_QUICK = "winograd"


@dataclass(frozen=True)
class KernelChoice:
    """The layers of the program that are left to some kernels, and the largest error then, by the value range."""

    error: float
    kernels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def choose(graph: DeployGraph, image: FloatArray, exact: Values, budget: float = BUDGET) -> KernelChoice:
    """For the program of `graph`; `exact` is what the network makes of `image`, both [1, channels, height, width].

    The image should be wide enough for every kernel: 97 pixels are.
    """
    trial = _Trial(graph, image, exact)
    layers = trial.layers()
    error = trial.error(set())
    if error <= budget or not layers:
        return KernelChoice(error)
    alone = {layer: trial.error({other for other in layers if other != layer}) for layer in layers}
    worst_first = sorted(layers, key=lambda layer: -alone[layer])
    low, high = 0, len(layers)  # so many are left to exact kernels: too few, and enough or all there are
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if trial.error(set(worst_first[:middle])) <= budget else (middle, high)
    kept = worst_first[:high]
    return KernelChoice(trial.error(set(kept)), dict.fromkeys(_parts(kept), EXACT))


class _Trial:
    """The program on one image with its kernels as told."""

    def __init__(self, graph: DeployGraph, image: FloatArray, exact: Values) -> None:
        self._model = NativeModel(write_native(graph, {}))
        self._pixels = np.ascontiguousarray(image[0].transpose(1, 2, 0), np.float32)
        self._exact, self._range = exact[0].transpose(1, 2, 0), graph.value_range
        self._names: Sequence[str] = []

    def layers(self) -> list[str]:
        """Those that the quick kernel can run."""
        self._run(dict.fromkeys(self._all(), _QUICK))
        return [entry["layer"] for entry in self._model.plan()["operations"] if entry["kernel"] == _QUICK]

    def error(self, left_exact: set[str]) -> float:
        """Largest error by the value range, with exact kernels in these layers and the quick one in the others."""
        result = self._run({name: EXACT[0] if name in left_exact else _QUICK for name in self._all()})
        return float(np.abs(result - self._exact).max()) / self._range

    def _all(self) -> Sequence[str]:
        if not self._names:
            self._model.prepare(*self._pixels.shape[:2])
            self._names = [entry["layer"] for entry in self._model.plan()["operations"]]
        return self._names

    def _run(self, kernels: Mapping[str, str]) -> Values:
        pins = [{"layer": layer, "kernel": kernel} for layer, kernel in kernels.items()]
        self._model.set_plan(json.dumps({"operations": pins}))
        result = np.empty(self._exact.shape, np.float32)
        self._model.run(self._pixels, result)
        return result.astype(np.float64)


def _parts(layers: Sequence[str]) -> list[str]:
    """The layers of the program: the engine joins some and calls them `first+second`."""
    return [part for layer in layers for part in layer.split("+")]
