"""Short trainings of which only the PSNR is asked: those of `sparsr prune --method search`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.files import write_text
from sparsr.train.run import state
from sparsr.train.run.loop import train
from sparsr.train.run.prepare import prepare
from sparsr.train.run.recipe import Recipe

TRIALS = "trial"
"""The folder of those that are not finished."""


class Trials:
    """Trains by recipes and remembers what came of it in `search.json`; a run that was killed goes on where it was."""

    def __init__(self, out: Path, recipe: Callable[[str, int], Recipe], device: str) -> None:
        """`recipe`: of a name and a number of steps. Raises `SparsrError` for a `search.json` that cannot be read."""
        self.out, self.recipe, self.device = out, recipe, device
        self.record = out / "search.json"
        self.known: dict[str, float] = {}
        if self.record.exists():
            try:
                self.known = {key: float(psnr) for key, psnr in json.loads(self.record.read_text("utf-8")).items()}
            except (OSError, ValueError, AttributeError, TypeError) as error:
                raise SparsrError(f"{self.record} cannot be read ({error})", "choose another --out") from error

    def __call__(self, name: str, steps: int) -> float:
        """PSNR in dB on the held-out pictures after a training of `steps`, which is done only once."""
        key = f"{name}_{steps}"
        if key not in self.known:
            print(f"trying {name} for {steps} steps", flush=True)
            self.known[key] = self._train(key, self.recipe(name, steps))
        return self.known[key]

    def _train(self, key: str, recipe: Recipe) -> float:
        """The training leaves nothing but its PSNR."""
        folder = self.out / TRIALS / key
        recipe = replace(
            recipe,
            data=replace(recipe.data, cache=str(self.out / "cache")),
            train=replace(recipe.train, validate_every=recipe.train.steps),
        )
        with prepare(recipe, folder, (folder / state.STATE_NAME).exists(), self.device) as run:
            train(run)
            run.team.wait()  # for the process that writes
            psnr = float(state.read(folder)["position"]["best"])
            run.team.wait()  # for those that read
            if run.team.leads:
                write_text(self.record, json.dumps(self.known | {key: psnr}) + "\n")
                shutil.rmtree(folder)
        return psnr
