"""Results that wait for others: in memory while they are small, else in a temporary file."""

from __future__ import annotations

import tempfile
from types import TracebackType
from typing import Self

import numpy as np

from sparsr.runtime.samples import Samples

_IN_MEMORY = 2**20  # bytes


class Waiting:
    """Rows of one width and number of channels, written from top to bottom and read where one likes.

    The file lies in the folder for temporary files (TMPDIR) and is gone after leaving the context.
    """

    def __init__(self, width: int, channels: int, dtype: np.dtype) -> None:
        self._shape, self._dtype = (width, channels), dtype
        self._row_bytes = width * channels * dtype.itemsize
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed by the context

    def write(self, strip: Samples) -> None:
        """Append rows: [rows, width, channels]."""
        self._file.write(np.ascontiguousarray(strip).data)

    def read(self, row: int, count: int) -> Samples:
        """Rows `row` <= y < `row` + `count`: [count, width, channels]."""
        self._file.seek(row * self._row_bytes)
        content = self._file.read(count * self._row_bytes)
        return np.frombuffer(content, self._dtype).reshape(count, *self._shape)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
