"""The engines for GPUs, as far as a processor can run them; what needs a GPU says so."""

import json

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from sparsr.bench.cli import main
from sparsr.bench.gpu.contract import DeviceRun
from sparsr.bench.gpu.names import GPU_ENGINES
from sparsr.bench.gpu.torch_engine import TorchRun
from sparsr.bench.gpu.torch_network import OPERATORS, TorchNetwork
from sparsr.bench.measure.engines import ENGINES, SINGLE_PRECISION, _in_standard_operators
from sparsr.bench.targets.cpu import Cpu
from sparsr.bench.targets.gpu import Gpu
from sparsr.runtime.errors import SparsrError
from tests.bench.bench_bundles import reference_output, write_tiny_bundle

without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
IMAGE = np.random.default_rng(3).integers(0, 256, (1, 7, 13, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    bundle = write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")
    with _in_standard_operators(bundle.path / "model.onnx") as path:
        yield path


def channels_first(image):
    return np.ascontiguousarray(image.transpose(0, 3, 1, 2))


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 0.01), ("tf32", 0.01), ("bfloat16", 8.0)])
@pytest.mark.parametrize("channels_last", [True, False])
def test_pytorch_computes_what_the_reference_does(precision, tolerance, channels_last, plain):
    run = TorchRun(plain, "eager", precision, channels_last, device="cpu")
    assert isinstance(run, DeviceRun)
    for image in (IMAGE, IMAGE[:, :5, :6], IMAGE):
        image = np.ascontiguousarray(image)
        found = run(channels_first(image)).transpose(0, 2, 3, 1)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, reference_output(8, image), rtol=0, atol=tolerance)
        assert run.seconds > 0


def network(nodes, tensors, folder):
    """A file with these nodes between `image` and `upscaled`."""
    image, upscaled = (helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("image", "upscaled"))
    kept = [numpy_helper.from_array(value, name) for name, value in tensors.items()]
    graph = helper.make_graph(nodes, "n", [image], [upscaled], kept)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx"


RNG = np.random.default_rng(0)
WEIGHT = RNG.standard_normal((4, 2, 3, 3)).astype(np.float32)
CASES = [
    ("Conv", {"weight": WEIGHT}, {"pads": [1, 0, 2, 1], "strides": [2, 1]}),
    ("Conv", {"weight": WEIGHT[:, :1], "bias": np.ones(4, np.float32)}, {"group": 2, "dilations": [2, 1]}),
    ("DepthToSpace", {}, {"blocksize": 2, "mode": "CRD"}),
    ("DepthToSpace", {}, {"blocksize": 2}),
    ("PRelu", {"slope": np.array([[[0.1]], [[0.2]]], np.float32)}, {}),
    ("LeakyRelu", {}, {"alpha": 0.3}),
    ("Clip", {"low": np.float32(-0.2), "high": np.float32(0.4)}, {}),
    ("Clip", {"low": np.float32(-0.2)}, {}),
    ("Sub", {"value": np.float32(2)}, {}),
    ("Mul", {"value": np.full((1, 2, 1, 1), 3, np.float32)}, {}),
    ("Add", {"value": np.float32(2)}, {}),
    ("Concat", {"other": np.ones((1, 3, 9, 8), np.float32)}, {"axis": 1}),
    *((operator, {}, {}) for operator in ("Relu", "Sigmoid", "Identity")),
]


@pytest.mark.parametrize(("operator", "tensors", "attributes"), CASES)
def test_every_operator_is_what_onnx_says(operator, tensors, attributes, tmp_path):
    channels = 8 if operator == "DepthToSpace" else 2
    image = RNG.standard_normal((1, channels, 9, 8)).astype(np.float32)
    node = helper.make_node(operator, ["image", *tensors], ["upscaled"], **attributes)
    path = network([node], tensors, tmp_path)
    (expected,) = ReferenceEvaluator(str(path)).run(None, {"image": image})
    np.testing.assert_allclose(TorchNetwork(path)(torch.from_numpy(image)), expected, atol=1e-5)


def test_all_operators_are_tried():
    assert {operator for operator, _, _ in CASES} == set(OPERATORS)


def test_other_operators_are_named(tmp_path):
    path = network([helper.make_node("Tan", ["image"], ["upscaled"])], {}, tmp_path)
    with pytest.raises(SparsrError, match="do not know Tan"):
        TorchNetwork(path)


def test_only_a_gpu_records_graphs(plain):
    with pytest.raises(SparsrError, match="record graphs"):
        TorchRun(plain, "graph", "float32", channels_last=True, device="cpu")


def test_processors_and_gpus_have_their_own_engines():
    assert set(Gpu().engines) == set(GPU_ENGINES)
    assert not set(Cpu().engines) & set(GPU_ENGINES)
    assert not set(SINGLE_PRECISION) & set(GPU_ENGINES)
    assert {ENGINES[f"torch-graph-{name}"].precision for name in ("float16", "tf32")} == {"float16", "tf32"}


@without_gpu
@pytest.mark.parametrize("name", ["torch-eager-float16", "ort-cuda-float32"])
def test_without_a_gpu_an_engine_says_why_it_is_left_out(name, plain):
    _, _, load = GPU_ENGINES[name]
    with pytest.raises(SparsrError, match="CUDA") as raised:
        load(plain)
    assert raised.value.hint


@without_gpu
def test_without_a_gpu_the_target_is_one_sentence(tmp_path, capsys):
    write_tiny_bundle(tmp_path / "tiny")
    assert main(["run", str(tmp_path / "tiny"), "--target", "gpu", "--size", "8x8"]) == 2
    said = capsys.readouterr().err
    assert "there is no GPU here: PyTorch sees no CUDA device" in said and "hint:" in said


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_every_engine_computes_the_same(tmp_path):
    write_tiny_bundle(tmp_path / "tiny")
    out = tmp_path / "bench.json"
    assert (
        main(["run", str(tmp_path / "tiny"), "--target", "gpu", "--size", "20x13", "--rounds", "3", "--json", str(out)])
        == 0
    )
    for row in json.loads(out.read_text())["rows"]:
        if row["failure"] is None and row["precision"] == "float32":
            assert row["difference"]["max_8bit"] <= 1
            assert min(row["cpu_samples"]) > 0
