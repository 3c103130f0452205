"""The state file of a run."""

import errno
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from sparsr.train.run import state


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told_as_such(monkeypatch):
    @contextmanager
    def full(_):
        yield Path("/dev/full")

    monkeypatch.setattr(state, "atomic_file", full)
    with pytest.raises(OSError, match="No space left") as caught:
        state.write(Path("out"), {"weights": torch.zeros(10_000)})
    assert caught.value.errno == errno.ENOSPC
