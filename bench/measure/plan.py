"""What is to be measured, and how; and what of it cannot be carried out."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sparsr.bench.measure.engines import ENGINES
from sparsr.bench.targets.contract import Target
from sparsr.bench.targets.cores import check_cores
from sparsr.bench.targets.cpu import Cpu
from sparsr.bench.targets.machine import available_cpus
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.model.bundle import Bundle
from sparsr.runtime.model.card import BundleCard
from sparsr.runtime.nearest import meant


@dataclass(frozen=True)
class Subject:
    """A bundle to measure."""

    id: str
    bundle: Bundle
    engines: tuple[str, ...] = ()
    """Engines to measure it in; empty: those of the plan."""
    threads: int = 0
    """0: those of the plan."""

    @property
    def card(self) -> BundleCard:
        """The bundle's card."""
        return self.bundle.card


@dataclass(frozen=True)
class Plan:
    """What to measure and how."""

    subjects: tuple[Subject, ...]
    engines: tuple[str, ...]
    width: int
    """Input pixels."""
    height: int
    threads: int
    rounds: int
    baseline: str | None = None
    """Id of the dense bundle all others are compared with; None: found by architecture and scale."""
    max_seconds: float = float("inf")
    """No new round is begun after this time, once there are three."""
    image: NDArray[np.uint8] | None = None
    """The input, uint8 [h, w, 3] of any size, repeated or cut to the plan's; None: noise."""
    hide: bool = False
    """Hide AVX-512 and AMX from every engine."""
    timeout: float = 300.0
    """Seconds a worker may take for one answer; loading, converting and the first run are one."""
    target: Target = field(default_factory=Cpu)
    """Where; it is cleaned up after the measurement."""
    cores: str = "all"
    """Which cores to use: `all`, `fastest`, `slowest`, or numbers like `0,4-7`."""
    cool_down: float = 0.0
    """Seconds of rest after warming up, before the first round."""
    sustained: float = 0.0
    """Seconds to run the first row without a pause, after the rounds."""

    @property
    def away(self) -> bool:
        """Whether the target is another machine, whose outputs nothing there can judge."""
        return self.target.name not in ("cpu", "gpu")

    def check(self) -> None:
        """Raises `SparsrError` if it cannot be carried out."""
        named = [*self.engines, *(engine for subject in self.subjects for engine in subject.engines)]
        unknown = [name for name in named if name not in ENGINES]
        if unknown:
            raise SparsrError(f"there is no engine {unknown[0]!r}", meant(unknown[0], ENGINES))
        absent = [name for name in named if name not in self.target.engines]
        if absent:
            hint = f"there are {', '.join(self.target.engines)}"
            raise SparsrError(f"the target {self.target.name} has no engine {absent[0]}", hint)
        if self.baseline is not None and self.baseline not in {subject.id for subject in self.subjects}:
            raise SparsrError(f"the baseline {self.baseline} is not among the measured bundles")
        check_cores(self.cores)
        if self.hide and self.target.name != "cpu":
            raise SparsrError(f"AVX-512 cannot be hidden on the target {self.target.name}", "leave out --hide")
        cpus = available_cpus()
        if self.threads < 1 or (self.target.name == "cpu" and self.threads > (len(cpus) or self.threads)):
            raise SparsrError(f"{self.threads} threads do not fit the {len(cpus)} CPUs of this process")
        for subject in self.subjects:
            if min(self.width, self.height) < subject.card.minimum_size:
                side = subject.card.minimum_size
                raise SparsrError(f"{subject.id} takes images from {side}x{side}, not {self.width}x{self.height}")

    def input_image(self, value_range: float) -> NDArray[np.float32]:
        """float32 [height, width, 3]: the same 8-bit image for all, in the network's range. Noise, unless the plan has
        one: the speed of most networks depends on the size alone."""
        height, width = self.height, self.width
        if self.image is None:
            levels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        else:
            missing = [
                (0, max(0, wanted - given)) for wanted, given in zip((height, width), self.image.shape, strict=False)
            ]
            levels = np.pad(self.image, [*missing, (0, 0)], "symmetric")[:height, :width]
        return (levels * (value_range / 255)).astype(np.float32)
