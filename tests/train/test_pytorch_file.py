"""PyTorch's files, read without running them: hostile ones, bombs, damaged ones, and what plain ones hold."""

from __future__ import annotations

import collections
import io
import os
import pickle
import struct
import tracemalloc
import zipfile

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparsr.runtime.errors import SparsrError
from sparsr.train.importers.models import load_model
from sparsr.train.importers.pytorch_file import read_pytorch
from sparsr.train.networks.base import MeanShift
from sparsr.train.run import checkpoint
from sparsr.train.run.checkpoint import card_for
from tests.small_networks import assert_same_function, network_of

torch.set_num_threads(1)


def as_legacy(program):
    head = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
    return b"".join(pickle.dumps(part, 2) for part in head) + program + pickle.dumps([], 2)


def as_zip(program):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", program)
        archive.writestr("archive/version", "3\n")
    return buffer.getvalue()


class Attack:
    """Runs a command when it is unpickled."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("container", [as_legacy, as_zip, lambda program: program])
@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("wrap", [lambda attack: attack, lambda attack: {"state_dict": {"a": attack}, "arch": attack}])
def test_a_hostile_pickle_does_not_run(tmp_path, container, protocol, wrap):
    marker = tmp_path / "attacked"
    program = pickle.dumps(wrap(Attack(f"touch {marker}")), protocol)
    pickle.loads(program)
    assert marker.exists()  # the attack works ...
    marker.unlink()
    (tmp_path / "net.pt").write_bytes(container(program))
    with pytest.raises(SparsrError):
        load_model(tmp_path / "net.pt")
    assert not marker.exists()  # ... but not here


def test_a_hostile_object_beside_good_weights_is_ignored(tmp_path):
    network, marker = network_of(), tmp_path / "attacked"
    for zipped in (True, False):
        content = {"state_dict": network.state_dict(), "arch": Attack(f"touch {marker}")}
        torch.save(content, tmp_path / "net.pt", _use_new_zipfile_serialization=zipped)
        assert_same_function(tmp_path / "net.pt", network)
    assert not marker.exists()


GLOBALS = ["builtins eval", "builtins getattr", "posix system", "torch load", "torch.hub load", "numpy load"]


@pytest.mark.parametrize("name", GLOBALS)
def test_no_function_is_reachable(tmp_path, name):
    call = b"c" + name.replace(" ", "\n").encode() + b"\n(S'1+1'\ntR."
    (tmp_path / "net.pt").write_bytes(as_zip(b"\x80\x02}X\x01\x00\x00\x00a" + call[:-1] + b"s."))
    with pytest.raises(SparsrError, match="no state dict"):
        load_model(tmp_path / "net.pt")


def test_attributes_of_our_own_helpers_cannot_be_set(tmp_path):
    # BUILD with slot state would setattr on whatever find_class returns.
    program = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(N}X\x04\x00\x00\x00evilK\x01stb."
    (tmp_path / "net.pt").write_bytes(as_zip(program))
    with pytest.raises(SparsrError):
        load_model(tmp_path / "net.pt")
    from sparsr.train.importers import pytorch_file

    assert not hasattr(pytorch_file._rebuild_tensor, "evil")


def storage_program(elements, size, stride, offset=0):
    """{"head.0.weight": tensor} whose storage and shape are as declared."""

    class Storage:
        pass

    class Writer(pickle._Pickler):
        def persistent_id(self, value):
            return ("storage", torch.FloatStorage, "0", "cpu", elements) if isinstance(value, Storage) else None

        def reducer_override(self, value):
            return NotImplemented

    class Tensor:
        def __reduce__(self):
            arguments = (Storage(), offset, size, stride, False, collections.OrderedDict())
            return torch._utils._rebuild_tensor_v2, arguments

    buffer = io.BytesIO()
    Writer(buffer, 2).dump({"head.0.weight": Tensor()})
    return buffer.getvalue()


def zip_with_storage(program, data):
    buffer = io.BytesIO(as_zip(program))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("archive/data/0", data)
    return buffer.getvalue()


BOMBS = {
    "storage larger than its record": zip_with_storage(storage_program(1 << 34, (1 << 34,), (1,)), bytes(16)),
    "storage larger than the file": as_legacy(storage_program(1 << 34, (1 << 34,), (1,))).replace(
        pickle.dumps([], 2), pickle.dumps(["0"], 2)
    )
    + struct.pack("<q", 1 << 34),
    "tensor larger than its storage": zip_with_storage(storage_program(4, (1 << 17, 1 << 17), (0, 0)), bytes(16)),
    "tensor beyond its storage": zip_with_storage(storage_program(4, (4,), (1,), offset=2), bytes(16)),
    "negative stride": zip_with_storage(storage_program(4, (2,), (-1,)), bytes(16)),
    "bytearray of any size": as_zip(b"\x80\x05\x96" + struct.pack("<Q", 1 << 34) + b"."),
    "bytes of any size": as_zip(b"\x80\x05\x8e" + struct.pack("<Q", 1 << 34) + b"."),
    "frame of any size": as_zip(b"\x80\x05\x95" + struct.pack("<Q", 1 << 34) + b"."),
    "memo of any size": as_zip(b"\x80\x02Nr" + struct.pack("<I", 0xFFFFFFFF) + b"."),
}


def test_the_bombs_would_be_fine_if_they_told_the_truth(tmp_path):
    honest = storage_program(4, (2, 2), (2, 1))
    legacy = as_legacy(honest).replace(pickle.dumps([], 2), pickle.dumps(["0"], 2))
    data = struct.pack("<4f", 1, 2, 3, 4)
    for raw in (zip_with_storage(honest, data), legacy + struct.pack("<q", 4) + data):
        (tmp_path / "net.pt").write_bytes(raw)
        assert read_pytorch(tmp_path / "net.pt").tensors["head.0.weight"].tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_are_refused_without_memory(tmp_path, bomb):
    (tmp_path / "net.pt").write_bytes(BOMBS[bomb])
    tracemalloc.start()
    try:
        with pytest.raises(SparsrError):
            load_model(tmp_path / "net.pt")
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()


def test_compressed_zip_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "net.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", storage_program(1 << 20, (1 << 20,), (1,)))
        archive.writestr("archive/data/0", bytes(4 << 20))
    with pytest.raises(SparsrError, match="compressed"):
        load_model(tmp_path / "net.pt")


def test_many_tensors_over_the_same_data_are_refused(tmp_path):
    shared = torch.zeros(100_000)
    torch.save({f"{i}.weight": shared for i in range(50)}, tmp_path / "net.pt")
    with pytest.raises(SparsrError, match="more weights than it holds"):
        load_model(tmp_path / "net.pt")


@pytest.fixture(scope="module")
def whole_files():
    files = []
    for zipped in (True, False):
        buffer = io.BytesIO()
        torch.save(network_of(channels=2, blocks=1).state_dict(), buffer, _use_new_zipfile_serialization=zipped)
        files.append(buffer.getvalue())
    return files


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(zipped=st.booleans(), share=st.floats(0, 1), changes=st.lists(st.tuples(st.integers(0), st.integers(0, 255))))
def test_damaged_files_load_or_raise_our_error(tmp_path, whole_files, zipped, share, changes):
    data = bytearray(whole_files[zipped])
    for place, value in changes:
        data[place % len(data)] = value
    (tmp_path / "net.pt").write_bytes(data if changes else data[: int(share * (len(data) - 1))])
    try:
        load_model(tmp_path / "net.pt")
    except SparsrError:
        return
    assert changes  # a file cut short never loads


def test_plain_files_give_what_torch_gives(shared_data):
    for name in ("SMSR_x2_model_1000.pt", "IMDN_x2.pth", "CARN_M_x234.pth"):
        path = shared_data / "checkpoints" / name
        ours, theirs = read_pytorch(path).tensors, torch.load(path, map_location="cpu", weights_only=True)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_dtypes_and_views_are_read(tmp_path):
    base = torch.arange(24.0)
    content = {
        "half": base.half(),
        "brain": base.bfloat16(),
        "double": base.double(),
        "int": base.long(),
        "view": base[4:16].reshape(3, 4).T,
        "parameter": torch.nn.Parameter(base),
    }
    for zipped in (True, False):
        torch.save(content, tmp_path / "net.pt", _use_new_zipfile_serialization=zipped)
        found = read_pytorch(tmp_path / "net.pt").tensors
        assert found.keys() == content.keys()
        for key, tensor in content.items():
            assert found[key].dtype == tensor.dtype and torch.equal(found[key], tensor)


def test_our_own_checkpoint_damaged(tmp_path):
    network = network_of()
    path = tmp_path / "net.safetensors"
    checkpoint.save(path, network, card_for(network, "dense"))
    assert isinstance(load_model(path)[0].sub_mean, MeanShift)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(SparsrError, match=r"net\.safetensors"):
        load_model(path)


def test_our_own_checkpoint_whose_length_begins_like_a_pickle(tmp_path):
    network = network_of()
    path = tmp_path / "net.safetensors"
    for padding in range(0, 512, 8):
        checkpoint.save(path, network, card_for(network, "dense", training={"note": "x" * padding}))
        if path.read_bytes()[0] == 0x80:
            break
    assert path.read_bytes()[0] == 0x80
    assert load_model(path)[1].method == "dense"
