"""A camera, a stream or a film upscaled in a window while it goes on: frames are dropped rather than delayed.

One thread reads and keeps the newest frame alone, with the time it came; the other upscales it and shows it. A film is
read at its own pace, as a camera would give it. Needs OpenCV.
"""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sparsr.runtime.engines.failures import reason_of
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.samples import Samples
from sparsr.runtime.upscale.upscaler import PictureUpscaler

_WINDOW = "SparSR"
_RECENT = 100  # frames that the figures are of
_END_KEYS = (ord("q"), 27)
_DEFAULT_RATE = 25.0
_FIRST_FRAME = 10.0  # seconds to wait for
_WAIT = 0.5
_SCALE = 0.5
_STROKES = (((0, 0, 0), 3), ((80, 220, 80), 1))  # colour and thickness: green on black is read on anything


@dataclass(frozen=True)
class LiveReport:
    """How it went."""

    shown: int
    dropped: int
    rate: float
    """Frames shown in a second."""
    latency_p90: float
    """Seconds from a frame's coming to its being shown, which nine of ten frames did not exceed."""

    def __str__(self) -> str:
        """For example `120 frames shown, 30 dropped, 24.1 frames/s, p90 latency 41 ms`."""
        figures = f"{self.rate:.1f} frames/s, p90 latency {1000 * self.latency_p90:.0f} ms"
        return f"{self.shown} frames shown, {self.dropped} dropped, {figures}"


class Figures:
    """Frame rate and latency of the last frames."""

    def __init__(self) -> None:
        self._shown: deque[tuple[float, float]] = deque(maxlen=_RECENT)  # when, and how late

    def add(self, came: float, shown: float) -> None:
        """A frame that came and was shown at those times, in seconds."""
        self._shown.append((shown, shown - came))

    @property
    def rate(self) -> float:
        """Frames a second."""
        seconds = self._shown[-1][0] - self._shown[0][0] if self._shown else 0.0
        return (len(self._shown) - 1) / seconds if seconds > 0 else 0.0

    @property
    def latency_p90(self) -> float:
        """In seconds."""
        return float(np.percentile([late for _, late in self._shown], 90)) if self._shown else 0.0


class Newest:
    """Reads a source in a thread of its own; only the newest frame is kept."""

    def __init__(self, capture: Any, interval: float) -> None:
        self._capture, self._interval = capture, interval
        self._change = threading.Condition()
        self._frame: tuple[Samples, float] | None = None
        self.read = 0
        self._over = False
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def take(self, timeout: float) -> tuple[Samples, float] | None:
        """The newest frame and when it came; None if none came in time."""
        with self._change:
            self._change.wait_for(lambda: self._frame is not None or self._over, timeout)
            frame, self._frame = self._frame, None
            return frame

    @property
    def over(self) -> bool:
        """Whether the source has ended and its last frame is taken."""
        with self._change:
            return self._over and self._frame is None

    def stop(self) -> None:
        """End the thread."""
        with self._change:
            self._over = True
        self._thread.join(timeout=5)

    def _work(self) -> None:
        due = time.monotonic()
        while not self._over:
            good, frame = self._capture.read()
            with self._change:
                if not good:
                    self._over = True
                else:
                    self._frame, self.read = (frame, time.monotonic()), self.read + 1
                self._change.notify_all()
            due += self._interval
            time.sleep(max(0.0, due - time.monotonic()))


def show(source: str, upscaler: PictureUpscaler, seconds: float | None = None) -> LiveReport:
    """Show `source`, the number of a camera, a file or an address, until it ends, `seconds` are over, or a key ends it.

    Raises `SparsrError` if OpenCV is missing or has no windows, or the source gives no frames.
    """
    is_camera, is_file = re.fullmatch("[0-9]{1,4}", source) is not None, Path(source).is_file()
    if not (is_camera or is_file or "://" in source):
        problem = "is a folder, not a film" if Path(source).is_dir() else "does not exist"
        raise SparsrError(
            f"{source} {problem}", "name a film, a camera by its number, or an address such as rtsp://..."
        )
    cv2 = _import_opencv()
    capture = cv2.VideoCapture(int(source) if is_camera else source)
    if not capture.isOpened():
        what = f"there is no camera {source}" if is_camera else f"OpenCV cannot open {source}"
        raise SparsrError(what, "check it in a player" if is_file else "check that it is there and in no other use")
    rate = capture.get(cv2.CAP_PROP_FPS) or _DEFAULT_RATE
    newest, figures, shown = Newest(capture, 1 / rate if is_file else 0.0), Figures(), 0
    upscaler.order = "bgr"
    end = time.monotonic() + seconds if seconds is not None else float("inf")
    try:
        first = time.monotonic() + _FIRST_FRAME
        while not newest.over and time.monotonic() < min(end, end if shown else first):
            taken = newest.take(_WAIT)
            if taken is None:
                continue
            frame, came = taken
            result = np.ascontiguousarray(upscaler(frame))
            text = f"{figures.rate:.1f} frames/s  p90 {1000 * figures.latency_p90:.0f} ms"
            for colour, thickness in _STROKES:
                cv2.putText(result, text, (8, 20), cv2.FONT_HERSHEY_SIMPLEX, _SCALE, colour, thickness, cv2.LINE_AA)
            _show(cv2, result)
            figures.add(came, time.monotonic())
            shown += 1
            if cv2.waitKey(1) & 0xFF in _END_KEYS or cv2.getWindowProperty(_WINDOW, cv2.WND_PROP_VISIBLE) < 1:
                break
    finally:
        newest.stop()
        capture.release()
        if shown:
            cv2.destroyAllWindows()
    if not shown:
        raise SparsrError(f"{source} gives no frames", "check it in a player")
    return LiveReport(shown, newest.read - shown, figures.rate, figures.latency_p90)


def _show(cv2: Any, picture: Samples) -> None:
    try:
        cv2.imshow(_WINDOW, picture)
    except cv2.error as error:
        hint = "it needs a screen and the package opencv-python, not opencv-python-headless"
        raise SparsrError(f"OpenCV shows no window ({reason_of(error)})", hint) from error


def _import_opencv() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise SparsrError(
            f"this needs OpenCV, which does not import ({error})", "pip install 'sparsr[live]'"
        ) from error
    return cv2
