"""Exports that cannot end well: one sentence, a hint, and nothing left behind."""

from __future__ import annotations

import errno
import pickle
from pathlib import Path

import pytest

from sparsr.export import cli as cli
from tests.export.exporting import export, store
from tests.small_networks import small

pytestmark = pytest.mark.usefixtures("small_images")


def refused(tmp_path, capsys, *arguments):
    """stderr of a command that must end with code 2, one sentence and a hint, and leave the folder as it was."""
    before = sorted(path for path in tmp_path.rglob("*"))
    code, _, stderr = export(*arguments, capsys=capsys)
    assert code == 2
    lines = [line for line in stderr.splitlines() if "INFO" not in line]
    assert len(lines) == 2 and lines[0].startswith("error: ") and lines[1].startswith("hint: ")
    assert sorted(path for path in tmp_path.rglob("*")) == before
    return lines[0]


def test_without_an_output_there_is_a_hint(tmp_path, checkpoint, capsys):
    assert "no output folder" in refused(tmp_path, capsys, checkpoint)


def test_a_missing_model_is_named(tmp_path, capsys):
    assert "nowhere.pth" in refused(tmp_path, capsys, tmp_path / "nowhere.pth", "--out", tmp_path / "bundle")


@pytest.mark.parametrize("content", [b"", b"\x80\x04junk", b"PK\x03\x04", b"not a model at all" * 9])
def test_files_that_are_no_models_are_refused(tmp_path, capsys, content):
    (tmp_path / "odd.pth").write_bytes(content)
    assert "odd.pth" in refused(tmp_path, capsys, tmp_path / "odd.pth", "--out", tmp_path / "bundle")


def test_a_truncated_checkpoint_is_refused(tmp_path, checkpoint, capsys):
    checkpoint.write_bytes(checkpoint.read_bytes()[:-100])
    assert "pruned" in refused(tmp_path, capsys, checkpoint, "--out", tmp_path / "bundle")


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("executed"),))


def test_a_hostile_pickle_does_not_run(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bomb.pth").write_bytes(pickle.dumps({"head.weight": Bomb()}))
    refused(tmp_path, capsys, tmp_path / "bomb.pth", "--out", tmp_path / "bundle")
    assert not (tmp_path / "executed").exists()


def test_unknown_formats_are_refused(tmp_path, checkpoint, capsys):
    out = ("--out", tmp_path / "bundle", "--format")
    assert "'onxx'" in refused(tmp_path, capsys, checkpoint, *out, "onxx")
    assert "no format" in refused(tmp_path, capsys, checkpoint, *out, ",")


def test_foreign_folders_are_left_alone(tmp_path, checkpoint, capsys):
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "beach.jpg").write_bytes(b"dear")
    assert "holiday exists" in refused(tmp_path, capsys, checkpoint, "--out", tmp_path / "holiday")


def test_a_model_inside_the_output_is_not_deleted(tmp_path, capsys):
    folder = tmp_path / "bundle"
    folder.mkdir()
    model = store(small("ledsr", 2), folder / "card.safetensors")
    assert "lies in" in refused(tmp_path, capsys, model, "--out", folder)


def test_an_output_below_a_file_is_refused(tmp_path, checkpoint, capsys):
    assert "is a file" in refused(tmp_path, capsys, checkpoint, "--out", checkpoint / "bundle")


def test_a_bad_output_is_refused_before_the_model_is_read(tmp_path, capsys):
    (tmp_path / "odd.pth").write_bytes(b"not a model")
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "beach.jpg").write_bytes(b"dear")
    assert "holiday exists" in refused(tmp_path, capsys, tmp_path / "odd.pth", "--out", tmp_path / "holiday")


def test_a_full_disk_leaves_nothing(tmp_path, checkpoint, capsys, monkeypatch):
    write = Path.write_bytes

    def full(self, data):
        if self.name == "model.tflite":
            write(self, data[:100])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    assert "No space left" in refused(tmp_path, capsys, checkpoint, "--out", tmp_path / "bundle")


@pytest.mark.parametrize("content", [None, b"", b"no picture"])
def test_pictures_that_cannot_be_read_are_refused(tmp_path, checkpoint, capsys, content):
    picture = tmp_path / "photo.png"
    if content is not None:
        picture.write_bytes(content)
    message = refused(tmp_path, capsys, checkpoint, "--out", tmp_path / "bundle", "--verify", picture)
    assert "photo.png" in message


def test_the_wrong_scale_is_refused(tmp_path, checkpoint, capsys):
    assert "x2" in refused(tmp_path, capsys, checkpoint, "--out", tmp_path / "bundle", "--scale", "3")
