"""numpy's arrays and numbers in PyTorch's files, and modules saved whole: read without running anything."""

import collections
import pickle

import numpy as np
import pytest
import torch

from sparsr.runtime.errors import SparsrError
from sparsr.train.importers.models import load_model
from sparsr.train.importers.pickled_objects import NumpyArray, Refused, module_weights
from sparsr.train.importers.pytorch_file import read_pytorch
from tests.small_networks import assert_same_function, network_of

torch.set_num_threads(1)

CONTENTS = {
    "arrays": lambda net: {"state_dict": {name: value.numpy() for name, value in net.state_dict().items()}},
    "arrays of other types and orders": lambda net: {
        name: np.asfortranarray(value.numpy().astype(">f8")) for name, value in net.state_dict().items()
    },
    "numbers and arrays beside": lambda net: {
        "model": net.state_dict(),
        "psnr": np.float64(31.5),
        "step": np.int64(7),
        "random": np.random.RandomState(0).get_state(),
        "names": np.array(["a", None], object),
    },
    "a module": lambda net: net,
    "a module under a wrapper": lambda net: {"epoch": 3, "model": torch.nn.DataParallel(net)},
    "a defaultdict": lambda net: collections.defaultdict(dict, params=dict(net.state_dict())),
}


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("what", CONTENTS)
def test_what_training_scripts_save_is_read(tmp_path, what, zipped):
    network = network_of()
    torch.save(CONTENTS[what](network), tmp_path / "net.pth", _use_new_zipfile_serialization=zipped)
    assert_same_function(tmp_path / "net.pth", network)


@pytest.mark.parametrize("protocol", range(2, 5))
def test_a_plain_pickle_of_arrays_is_read(tmp_path, protocol):
    network = network_of()
    arrays = {name: value.numpy() for name, value in network.state_dict().items()}
    (tmp_path / "net.pth").write_bytes(pickle.dumps(arrays, protocol))
    assert_same_function(tmp_path / "net.pth", network)


def test_a_hostile_array_is_refused(tmp_path):
    class Array:
        def __init__(self, *state):
            self.state = state

        def __reduce__(self):
            arguments = np.ndarray, (0,), b"b"
            return np.array([0.0]).__reduce__()[0], arguments, self.state

    kind = np.dtype(np.float32)
    for shape in ((2**40,), (-1,), (2.5,), (1, 3)):
        torch.save({"head.0.weight": Array(1, shape, kind, False, bytes(8))}, tmp_path / "net.pth")
        with pytest.raises(SparsrError, match=r"array that cannot be|PyTorch checkpoint"):
            load_model(tmp_path / "net.pth")
    shared = np.zeros(10_000, np.float32)
    state = shared.__reduce__()[2]
    torch.save({f"a{number}": Array(*state) for number in range(50)}, tmp_path / "net.pth")
    with pytest.raises(SparsrError, match="more weights than it holds"):
        read_pytorch(tmp_path / "net.pth")


def test_modules_nested_for_ever_are_refused():
    from sparsr.train.importers.pickled_objects import Inert

    ring, wide = Inert(), [Inert() for _ in range(60)]
    ring.set_state({"_parameters": {}, "_modules": {"a": ring}})
    for one, following in zip(wide, [*wide[1:], Inert()], strict=True):
        one.set_state({"_parameters": {"w": NumpyArray()}, "_modules": {"a": following, "b": following}})
    for module in (ring, wide[0]):
        with pytest.raises(Refused, match=r"too deeply|too many"):
            module_weights(module)
