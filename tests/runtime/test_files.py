"""Files that are either whole or not there."""

import os
import tempfile
from pathlib import Path

import pytest

from sparsr.runtime.engines.native import build
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.files import atomic_file, write_text
from sparsr.runtime.upscale.batch import Batch
from sparsr.runtime.upscale.upscaler import Upscaler


@pytest.fixture
def foreign_folder():
    """A folder that no account but root may write to; pytest's own lie where other accounts may not even look."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o555)
        yield Path(name)
        Path(name).chmod(0o755)


def refusal_for_others(act) -> str:
    """What `act` is refused with, as "sentence | hint", where the process is not root's."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.getuid() == 0:
                os.setuid(65534)
            act()
        except SparsrError as error:
            os.write(writing, f"{error} | {error.hint}".encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as told:
        return told.read()


def test_folders_of_others_are_named_with_the_file_that_was_asked_for(foreign_folder):
    for path in (foreign_folder / "photo.png", foreign_folder / "new" / "photo.png"):
        told = refusal_for_others(lambda path=path: write_text(path, "text"))
        assert told == f"{path} cannot be written: {foreign_folder} is read-only | name another folder"
    assert not list(foreign_folder.iterdir())


def test_a_batch_that_cannot_write_says_so_once(foreign_folder):
    batch = Batch(Upscaler(threads=1), max_pixels=1)
    told = refusal_for_others(lambda: batch.run(Path("/"), foreign_folder / "out"))
    assert told == f"{foreign_folder / 'out'} cannot be written: {foreign_folder} is read-only | name another folder"


def test_a_cache_of_others_is_told_as_such(foreign_folder, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(foreign_folder))
    monkeypatch.delenv(build.PREBUILT, raising=False)
    monkeypatch.setattr(build, "SHIPPED", foreign_folder)
    monkeypatch.setattr(build, "digest", lambda: "0" * 16)
    told = refusal_for_others(build.library_path)
    assert told.startswith("the native engine cannot be built") and str(foreign_folder) in told
    assert "XDG_CACHE_HOME" in told


def test_pipes_and_devices_are_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    for name in ("pipe", "link"):
        with pytest.raises(SparsrError, match="device or a pipe"):
            write_text(tmp_path / name, "text")
    assert (tmp_path / "pipe").is_fifo()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe"]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "file").write_text("before")
    (tmp_path / "link").symlink_to("file")
    write_text(tmp_path / "link", "after")
    assert (tmp_path / "file").read_text() == "after" and (tmp_path / "link").is_symlink()


def test_what_fails_leaves_what_was_there(tmp_path):
    (tmp_path / "file").write_text("before")
    with pytest.raises(KeyError), atomic_file(tmp_path / "file") as temporary:
        temporary.write_text("half")
        raise KeyError
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]
