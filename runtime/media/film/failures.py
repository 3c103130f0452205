"""Whose failure FFmpeg's exceptions are: that of the film that is read, or that of what is written."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sparsr.runtime.errors import SparsrError

# Not EIO, which demuxers say of files that break off.
_OF_THE_SYSTEM = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EACCES, errno.EROFS)


@contextmanager
def of_source(av: Any, source: Path) -> Iterator[None]:
    """What FFmpeg raises while `source` is read becomes a `SparsrError`, and what the system says an OSError."""
    try:
        yield
    except av.FFmpegError as error:
        _raise_of_system(error, source)
        raise SparsrError(f"{source} is damaged or not a video ({error.strerror})", "copy or save it again") from error


@contextmanager
def of_output(av: Any, target: Path, what: str, hint: str) -> Iterator[None]:
    """The same while `target` is written. what: who refuses what, the end of the sentence."""
    try:
        yield
    except av.FFmpegError as error:
        _raise_of_system(error, target)
        raise SparsrError(f"{target} cannot be written: {what} ({error.strerror})", hint) from error


def _raise_of_system(error: Any, path: Path) -> None:
    if error.errno == errno.ENOMEM:
        raise MemoryError from error
    if error.errno in _OF_THE_SYSTEM:
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
