"""What a run tells: a JSON-lines log, progress with the time left, TensorBoard if asked for."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.files import write_text
from sparsr.train.run.recipe import TrainSettings

LOG_NAME = "log.jsonl"
_FIRST_STEPS = 10
"""After so many it is told how long the rest will take: long before the first line of the log."""


def _tensorboard(folder: Path, enabled: bool) -> Any:
    if not enabled:
        return None
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise SparsrError(
            "train.tensorboard is on, but TensorBoard is not installed", "pip install tensorboard"
        ) from error
    return SummaryWriter(str(folder / "tensorboard"))


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"


class RunLog:
    """Log of one run; only the leading process writes."""

    def __init__(self, out: Path, done: int, total: int, settings: TrainSettings, leads: bool) -> None:
        self._path = out / LOG_NAME
        self._total, self._settings, self._leads = total, settings, leads
        self._start, self._first = time.monotonic(), done
        self._loss = self._penalty = torch.zeros(())  # stay on the device until they are printed
        self._count = 0
        self._board = _tensorboard(out, settings.tensorboard) if leads else None
        if leads:
            self._drop_after(done)

    def _drop_after(self, done: int) -> None:
        """Lines of steps that a resumed run repeats are removed."""
        lines = self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []
        kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= done]
        write_text(self._path, "".join(line + "\n" for line in kept))

    def step(self, total: int, phase: str, loss: Tensor, penalty: Tensor, rate: float) -> None:
        """Note one step; a line is written every `log_every`."""
        if not self._leads:
            return
        self._loss = loss.detach() + self._loss.to(loss.device)
        self._penalty = penalty.detach() + self._penalty.to(penalty.device)
        self._count += 1
        if total - self._first == _FIRST_STEPS < self._settings.log_every and total < self._total:
            print(
                f"about {_clock(self._left(total))} for {self._total - total} steps, by the first {_FIRST_STEPS}",
                flush=True,
            )
        if total % self._settings.log_every:
            return
        loss_mean, penalty_mean = float(self._loss) / self._count, float(self._penalty) / self._count
        self._loss, self._penalty, self._count = torch.zeros(()), torch.zeros(()), 0
        if not math.isfinite(loss_mean):
            raise SparsrError(f"the loss is {loss_mean} at step {total}", "lower train.lr or prune.lr, or use float32")
        clock = _clock(self._left(total))
        print(f"{phase:9s} {total:>7d}/{self._total}  loss {loss_mean:7.3f}  lr {rate:.1e}  {clock} left", flush=True)
        self._write(
            {"step": total, "phase": phase, "loss": round(loss_mean, 5), "penalty": round(penalty_mean, 5), "lr": rate}
        )

    def _left(self, total: int) -> float:
        """Seconds that the rest takes, by what this process has done."""
        return (time.monotonic() - self._start) / (total - self._first) * (self._total - total)

    def validation(self, total: int, phase: str, measure: str, psnr: float) -> None:
        """Note a measurement on the held-out images in dB; `measure` is psnr_y or psnr_rgb."""
        if math.isnan(psnr):
            return
        print(f"{phase:9s} {total:>7d}/{self._total}  held-out images {psnr:.3f} dB", flush=True)
        self._write({"step": total, "phase": phase, measure: round(psnr, 4)})

    def _write(self, entry: dict[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
        if self._board:
            for key in ("loss", "penalty", "lr", "psnr_y", "psnr_rgb"):
                if key in entry:
                    self._board.add_scalar(key, entry[key], entry["step"])

    def close(self) -> None:
        """Flush TensorBoard."""
        if self._board:
            self._board.close()
