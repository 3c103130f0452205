"""What an inference package raises, in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sparsr.runtime.errors import SparsrError

_MOST_CHARACTERS = 500


def reason_of(error: Exception) -> str:
    """What a package says went wrong, in one line. OpenCV has it in a field of its own, behind places in its source."""
    text = " ".join(str(getattr(error, "err", "") or error).split())
    return text[:_MOST_CHARACTERS] or type(error).__name__


@contextmanager
def failures_told(engine: str, shape: tuple[int, ...]) -> Iterator[None]:
    """Turn what a package raises while it runs a model on an input of `shape` into `SparsrError`."""
    try:
        yield
    except Exception as error:  # packages raise what they like
        raise SparsrError(
            f"{engine} cannot run the model on an input of shape {'x'.join(map(str, shape))}: {reason_of(error)}",
            "try smaller tiles (--tile), more memory, or another engine (--engine)",
        ) from error
