"""What an inference package raises, in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sparsr.runtime.errors import SparsrError


@contextmanager
def failures_told(engine: str, shape: tuple[int, ...]) -> Iterator[None]:
    """Turn what a package raises while it runs a model on an input of `shape` into `SparsrError`."""
    try:
        yield
    except Exception as error:  # packages raise what they like
        raise SparsrError(
            f"{engine} cannot run the model on an input of shape {'x'.join(map(str, shape))}: {error}",
            "try smaller tiles (--tile), more memory, or another engine (--engine)",
        ) from error
