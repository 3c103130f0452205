"""Files that are either whole or not there: written aside, flushed to disk, then renamed."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import socket
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sparsr.runtime.errors import SparsrError

_TEMPORARY = re.compile(r"\.sparsr-([0-9a-f]{8})-(\d{1,9})-[0-9a-f]{8}\.tmp(\.\w+)?", re.ASCII)


def _fsync(path: Path) -> None:
    """Windows flushes what is open for writing, which folders never are."""
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is synced and renamed to `path`, else removed.

    The temporary name keeps the suffix, because encoders choose their format by it, and nothing else of the name, which
    may be as long as names can be. A link stays a link: what it names is replaced. Raises `SparsrError` for what is no
    file, such as a device: root would replace it for all the system; and where nothing may be written. What the system
    says while it is written (a full disk, which has no name) is said of `path`.
    """
    target = Path(path)
    target = target.resolve() if target.is_symlink() else target
    if target.exists() and not (target.is_file() or target.is_dir()):
        raise SparsrError(f"{path} is a device or a pipe, not a file that can be replaced", "name a file")
    check_writable(target.parent, path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(_temporary_name(target.suffix))
    try:
        yield temporary
        _fsync(temporary)
        temporary.replace(target)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(temporary)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def remove_stale(folder: str | Path) -> list[Path]:
    """Remove what `atomic_file` of a process on this machine left in a folder when it was killed; the files removed."""
    removed = []
    for path in Path(folder).iterdir() if Path(folder).is_dir() else ():
        match = _TEMPORARY.fullmatch(path.name)
        if match and match[1] == _host() and not _is_running(int(match[2])):
            path.unlink(missing_ok=True)
            removed.append(path)
    return removed


def _temporary_name(suffix: str) -> str:
    """Tells who writes it: the machine and the process."""
    suffix = suffix if re.fullmatch(r"\.\w{1,12}", suffix, re.ASCII) else ""
    return f".sparsr-{_host()}-{os.getpid()}-{secrets.token_hex(4)}.tmp{suffix}"


def _host() -> str:
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"


def _is_running(process: int) -> bool:
    if os.name == "nt":  # where the call below would press Ctrl-C
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write `data` to `path` atomically."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` (UTF-8) to `path` atomically."""
    write_bytes(path, text.encode())


def check_folder(path: Path, marker: str) -> None:
    """Raise `SparsrError` for a folder that `atomic_folder` could not write: known before there is anything to."""
    if path.exists() and not (path.is_dir() and (not any(path.iterdir()) or (path / marker).is_file())):
        raise SparsrError(
            f"{path} exists and is not a folder this command made (it has no {marker})",
            "name a new folder, or remove that one first",
        )
    check_writable(path.parent, path)


def check_writable(folder: Path, path: str | Path) -> None:
    """Raise `SparsrError` where `path` cannot be made in `folder`, or in the first one above it that exists."""
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    if not there.is_dir():
        raise SparsrError(f"{path} cannot be written: {there} is a file", "name a folder that is not below a file")
    if not os.access(there, os.W_OK | os.X_OK):
        raise SparsrError(f"{path} cannot be written: {there} is read-only", "name another folder")


@contextmanager
def atomic_folder(path: str | Path, marker: str) -> Iterator[Path]:
    """Yield an empty temporary folder beside `path`; on success it takes the place of `path`.

    An existing folder is replaced only if it is empty or holds the file `marker`, so that a mistyped output
    never deletes somebody's pictures. Raises `SparsrError` otherwise, before any work is done.
    """
    target = Path(path)
    check_folder(target, marker)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent))
    temporary.chmod(0o755)
    try:
        yield temporary
        for file in temporary.rglob("*"):
            _fsync(file)
        if target.exists():
            shutil.rmtree(target)
        temporary.replace(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sha256(path: str | Path) -> str:
    """SHA-256 of a file's bytes as 64 hex digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
