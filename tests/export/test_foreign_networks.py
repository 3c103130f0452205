"""Public networks from their authors' files, in every engine, against the authors' own outputs."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from safetensors.torch import save_file

from sparsr.export.exporter import export_model
from sparsr.export.ir import reference
from sparsr.export.lower.from_torch import lower
from sparsr.export.passes import optimise
from sparsr.export.writers.native import unknown_layer, write_native
from sparsr.export.writers.onnx import write_onnx
from sparsr.export.writers.tflite import write_tflite
from sparsr.runtime.engines.registry import load_engine
from sparsr.runtime.errors import SparsrError
from sparsr.train.importers import import_official
from sparsr.train.importers.pytorch_file import read_pytorch

torch.set_num_threads(1)

ENGINE = 2e-5 * 255
"""What an engine may be off: Winograd's rounding."""
# File, outputs, largest difference of torch, of 255.
PUBLIC = {
    "compact": ("converted/realesr-animevideov3_x4.safetensors", "realesr-animevideov3_x4", 1e-3),
    "span": ("NTIRE2026_ESR/team00_SPAN.pth", "NTIRE2026_team00_SPAN_x4", 3e-3),
    "spanv2": ("NTIRE2026_ESR/team22_spanv2_c2.pth", "NTIRE2026_team22_SPANV2_x4", 1e-3),
    "spanf": ("NTIRE2025_ESR/team24_spanf.pth", "NTIRE2025_team24_SPANF_x4", 1e-3),
    "efdn": ("NTIRE2025_ESR/team00_EFDN.pth", "NTIRE2025_team00_EFDN_x4", 1e-3),
    "rlfn": ("RLFN/rlfn_ntire_x4.pth", "RLFN_ntire_x4", 1e-3),
    "rlfn x2": ("RLFN/rlfn_s_x2.pth", "RLFN_S_x2", 1e-3),
    "dncnn": ("KAIR/dncnn_25.pth", "DnCNN_25", 1e-3),
    "fsrcnn x2": ("FSRCNN_Tensorflow/FSRCNN_x2.pb", "FSRCNN_x2", 1e-3),
    "fsrcnn x3": ("FSRCNN_Tensorflow/FSRCNN-small_x3.pb", "FSRCNN-small_x3", 1e-3),
    "fsrcnn x4": ("FSRCNN_Tensorflow/FSRCNN_x4.pb", "FSRCNN_x4", 1e-3),
    "espcn": ("TF-ESPCN/ESPCN_x3.pb", "ESPCN_x3", 1e-3),
}


@pytest.fixture(scope="module")
def foreign(shared_data):
    folder = shared_data / "foreign"
    if not folder.is_dir():
        pytest.skip("the public networks are not here")
    return folder


@pytest.fixture(scope="module", params=PUBLIC)
def public(request, foreign):
    """(network, card, pairs of image and output in 0..255, tolerance); luma networks are given grey images."""
    file, outputs, tolerance = PUBLIC[request.param]
    network, card = import_official(foreign / file)
    assert card.architecture == request.param.split()[0]
    return network, card, pairs(foreign, outputs), tolerance


def pairs(foreign, outputs):
    stored = np.load(foreign / "reference_outputs" / f"{outputs}.npz")
    return [tuple(planes(stored[f"{tag}_{end}"]) for end in ("lr", "sr")) for tag in ("c32", "c29x37")]


def planes(pixels):
    """[h, w, 1 or 3] -> [1, 3, h, w]."""
    grey = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
    return np.ascontiguousarray(grey.transpose(2, 0, 1)[None], np.float32)


def levels(values):
    return np.floor(np.clip(values, 0, 255) + 0.5)


def check(run, pairs, tolerance):
    for image, expected in pairs:
        result = run(image)
        assert np.abs(result - expected).max() < tolerance
        off = np.abs(levels(result) - levels(expected))
        assert off.max() <= 1 and (off == 0).mean() >= 0.999


def torch_run(network):
    def run(image):
        with torch.inference_mode():
            return (network(torch.from_numpy(image) / 255 * network.value_range) / network.value_range * 255).numpy()

    return run


def channels_last(engine):
    return lambda image: engine.run(np.ascontiguousarray(image.transpose(0, 2, 3, 1))).transpose(0, 3, 1, 2)


def test_imported_networks_give_their_authors_outputs(public):
    network, _, known, tolerance = public
    check(torch_run(network), known, tolerance)


def test_graphs_and_files_give_the_authors_outputs(public):
    network, card, known, _ = public
    graph = optimise(lower(network, card.architecture))[0]
    check(lambda image: reference.run(graph, image), known[1:], ENGINE)
    check(load_engine("ort", write_onnx(graph), 1).run, known, ENGINE)
    check(channels_last(load_engine("litert", write_tflite(graph), 1)), known, ENGINE)


def test_the_native_engine_gives_the_authors_outputs(public):
    network, card, known, _ = public
    graph = optimise(lower(network, card.architecture))[0]
    if node := unknown_layer(graph):
        pytest.skip(f"the native engine does not know {node.name}")
    check(channels_last(load_engine("native", write_native(graph, {}), 1)), known, ENGINE)


def test_an_espcn_of_pytorch_s_examples_is_told_from_the_papers_by_what_it_makes_of_an_image(foreign, tmp_path):
    graph = onnx.load(next((foreign / "onnxruntime-inference-examples").glob("*.onnx"))).graph
    weights = {tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy()) for tensor in graph.initializer}
    torch.save({name: weights[name] for name in weights if name.startswith("conv")}, tmp_path / "net.pth")
    # Its biases are so small that an image in 0..255 fares no worse: of twelve readings two are left to ask about.
    with pytest.raises(SparsrError, match=r"in 2 ways .*\(value_range is 1 or 255\)") as caught:
        import_official(tmp_path / "net.pth")
    assert "--assume value_range=1" in caught.value.hint
    network, card = import_official(tmp_path / "net.pth", assume={"value_range": 1.0})
    assert (card.architecture, card.scale) == ("espcn", 3)
    assert (card.options["hyperbolic"], card.options["final"]) == (False, 0)
    check(torch_run(network), pairs(foreign, "ort_subpixel_cnn_x3"), 1e-3)


WRAPPINGS = {
    "params_ema beside params": lambda state, other: {"params": other, "params_ema": state},
    "params beside an optimiser": lambda state, other: {"params": state, "optimizer": {"step": 3}},
    "state_dict, module.": lambda state, other: {"state_dict": prefixed(state, "module.")},
    "model": lambda state, other: {"epoch": 1, "model": state},
    "net within params": lambda state, other: {"params": {"net": state}},
    "half": lambda state, other: {name: tensor.half() for name, tensor in state.items()},
    "bfloat16": lambda state, other: {name: tensor.bfloat16() for name, tensor in state.items()},
}


def prefixed(state, prefix):
    return {prefix + name: tensor for name, tensor in state.items()}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize("name", ["span", "rlfn x2"])
def test_wrappings_and_half_precision(foreign, tmp_path, name, wrapping):
    file, outputs, tolerance = PUBLIC[name]
    state = read_pytorch(foreign / file).tensors
    other = {key: tensor + 0.01 for key, tensor in state.items()}
    torch.save(WRAPPINGS[wrapping](state, other), tmp_path / "net.pth")
    network, card = import_official(tmp_path / "net.pth")
    if wrapping in ("half", "bfloat16"):
        rounded = {key: tensor.float() for key, tensor in WRAPPINGS[wrapping](state, other).items()}
        torch.save(rounded, tmp_path / "rounded.pth")
        expected = torch_run(import_official(tmp_path / "rounded.pth")[0])
        image = pairs(foreign, outputs)[1][0]
        np.testing.assert_array_equal(torch_run(network)(image), expected(image))
    else:
        check(torch_run(network), pairs(foreign, outputs)[1:], tolerance)
    both = wrapping == "params_ema beside params"
    assert card.training.get("weights") == ("params_ema" if both else None)
    assert card.training.get("weights_left") == ("params" if both else None)


def test_of_two_wrappers_the_other_can_be_demanded(foreign, tmp_path):
    file, outputs, tolerance = PUBLIC["span"]
    state = read_pytorch(foreign / file).tensors
    torch.save({"params": state, "params_ema": {key: 0 * tensor for key, tensor in state.items()}}, tmp_path / "a.pth")
    network, card = import_official(tmp_path / "a.pth", assume={"weights": "params"})
    check(torch_run(network), pairs(foreign, outputs)[1:], tolerance)
    assert card.training["weights_left"] == "params_ema"
    with pytest.raises(SparsrError, match="has no weights model, only params_ema and params"):
        import_official(tmp_path / "a.pth", assume={"weights": "model"})


def test_foreign_safetensors_with_a_prefix(foreign, tmp_path):
    file, outputs, tolerance = PUBLIC["rlfn"]
    save_file(prefixed(read_pytorch(foreign / file).tensors, "params_ema."), tmp_path / "net.safetensors")
    network, _ = import_official(tmp_path / "net.safetensors")
    check(torch_run(network), pairs(foreign, outputs)[1:], tolerance)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("rlfn", {"value_range": 1.0}),
        ("span", {"activated": False}),
        ("span", {"normalised": False}),
        ("dncnn", {"residual": False}),
        ("compact", {"value_range": 255.0}),
        ("espcn", {"hyperbolic": True}),
    ],
)
def test_wrong_readings_are_far_off_and_none_is_guessed(foreign, name, wrong):
    # Without the right reading among those allowed nothing is plausible, where more than one is left.
    file, outputs, _ = PUBLIC[name]
    try:
        network, _ = import_official(foreign / file, assume=wrong)
    except SparsrError as error:
        assert "no test image tells" in str(error) and "--assume" in error.hint
        return
    image, expected = pairs(foreign, outputs)[1]
    assert np.abs(torch_run(network)(image) - expected).max() > 10


def test_a_network_spoilt_by_training_is_asked_about(foreign, tmp_path):
    state = read_pytorch(foreign / PUBLIC["rlfn"][0]).tensors
    generator = torch.Generator().manual_seed(0)
    spoilt = {key: tensor + 0.2 * torch.randn(tensor.shape, generator=generator) for key, tensor in state.items()}
    torch.save(spoilt, tmp_path / "net.pth")
    with pytest.raises(SparsrError, match="value_range is 255 or 1") as caught:
        import_official(tmp_path / "net.pth")
    assert "--assume value_range=255" in caught.value.hint
    assert import_official(tmp_path / "net.pth", assume={"value_range": 1.0})[0].value_range == 1


def test_the_bundle_of_a_luma_network_says_so(foreign, tmp_path):
    export_model(foreign / PUBLIC["fsrcnn x2"][0], tmp_path / "bundle", formats=("onnx",), report=lambda line: None)
    card = json.loads((tmp_path / "bundle/card.json").read_text())
    assert card["architecture"] == "fsrcnn"
    assert card["training"]["works_on"].startswith("luma")
