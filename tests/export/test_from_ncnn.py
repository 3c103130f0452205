"""ncnn models: the public ones against their authors' outputs, every layer against ncnn itself, hostile files."""

from __future__ import annotations

import contextlib
import shutil
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparsr.export.cli import main
from sparsr.export.ir import reference
from sparsr.export.lower.from_ncnn import ncnn_as_onnx
from sparsr.export.lower.from_onnx import lower_onnx
from sparsr.export.passes import optimise
from sparsr.export.writers.native import write_native
from sparsr.export.writers.onnx import write_onnx
from sparsr.export.writers.tflite import write_tflite
from sparsr.runtime.engines.registry import load_engine
from sparsr.runtime.errors import SparsrError

RNG = np.random.default_rng(0)
FLOAT16 = (0x01306B47).to_bytes(4, "little")


def graph_of(path, value_range=1.0):
    return optimise(lower_onnx(ncnn_as_onnx(path), "net", str(path), None, value_range))[0]


def levels(values):
    return np.floor(np.clip(values, 0, 255) + 0.5)


# x2 of Compact is x4 and a bicubic step down to the half; Real-CUGAN eats its border and takes even sides.
PUBLIC = {
    "realesr-animevideov3_x4": "upscayl/realesr-animevideov3-x4.param",
    "realesr-animevideov3_x2": "upscayl/realesr-animevideov3-x2.param",
    "RealCUGAN_se_up2x_no_denoise": "video2x/models-se/up2x-no-denoise.param",
}


@pytest.mark.parametrize("name", PUBLIC)
def test_public_networks_as_they_are_shipped(shared_data, name):
    path = shared_data / "foreign" / PUBLIC[name]
    if not path.exists():
        pytest.skip("the public networks are not here")
    graph = graph_of(path)
    tflite = load_engine("litert", write_tflite(graph), 1)
    native = load_engine("native", write_native(graph, {}), 1)
    runs = [lambda image: reference.run(graph, image), load_engine("ort", write_onnx(graph), 1).run]
    for engine in (tflite, native):
        runs.append(lambda image, run=engine.run: run(image.transpose(0, 2, 3, 1).copy()).transpose(0, 3, 1, 2))
    stored = np.load(shared_data / f"foreign/reference_outputs/{name}.npz")
    for tag in ("c32", "c29x37"):
        image, expected = (stored[f"{tag}_{end}"].transpose(2, 0, 1)[None].astype(np.float32) for end in ("lr", "sr"))
        for run in runs:
            result = run(np.ascontiguousarray(image))
            assert np.abs(result - expected).max() < 2e-5 * 255
            off = np.abs(levels(result) - levels(expected))
            assert off.max() <= 1 and (off == 0).mean() >= 0.999


def test_the_command_takes_either_file(shared_data, tmp_path, monkeypatch, capsys):
    source = shared_data / "foreign/upscayl/realesr-animevideov3-x4.param"
    if not source.exists():
        pytest.skip("the public networks are not here")
    for suffix in (".param", ".bin"):
        shutil.copy(source.with_suffix(suffix), tmp_path / f"net{suffix}")
    arguments = ["export", str(tmp_path / "net.bin"), "--out", str(tmp_path / "bundle"), "--format", "onnx"]
    monkeypatch.setattr("sys.argv", arguments)
    main()
    assert "net, foreign x4, imported" in capsys.readouterr().out
    assert (tmp_path / "bundle/model.onnx").stat().st_size > 2e6


class Model:
    """A small ncnn model in the making."""

    def __init__(self):
        self.lines, self.data, self.tensors = [], b"", {"in0"}
        self.line("Input in0 0 1 in0")

    def line(self, text):
        self.lines.append(text)
        return self

    def weights(self, count, half=False):
        values = RNG.normal(size=count) / 4
        stored = values.astype("<f2") if half else values.astype("<f4")
        self.data += (FLOAT16 if half else bytes(4)) + stored.tobytes() + bytes(-stored.nbytes % 4)
        return self

    def plain(self, count):
        self.data += (RNG.normal(size=count) / 4).astype("<f4").tobytes()
        return self

    def save(self, folder):
        text = f"7767517\n{len(self.lines)} {len(self.lines) + 9}\n" + "\n".join(self.lines) + "\n"
        (folder / "net.param").write_text(text)
        (folder / "net.bin").write_bytes(self.data)
        return folder / "net.param"


def head(model, outputs=4, half=False, more="", source="in0"):
    return (
        model.line(f"Convolution head 1 1 {source} h 0={outputs} 1=3 4=1 5=1 6={outputs * 27} {more}")
        .weights(outputs * 27, half)
        .plain(outputs)
    )


def tail(model, source, inputs=4, outputs=3):
    return (
        model.line(f"Convolution tail 1 1 {source} out 0={outputs} 1=1 5=1 6={inputs * outputs}")
        .weights(inputs * outputs)
        .plain(outputs)
    )


def made(name):
    model = Model()
    if name == "half, fused leaky":
        tail(head(model, 5, True, "9=2 -23310=1,1.000000e-01"), "h", 5)
    elif name == "fused relu, sigmoid, clip":
        head(model, more="9=1")
        model.line("Convolution b 1 1 h b 0=4 1=1 6=16 9=4").weights(16)
        model.line("Convolution c 1 1 b c 0=4 1=1 6=16 9=3 -23310=2,-0.1,0.2").weights(16)
        tail(model, "c")
    elif name == "depthwise, dilation, padding on one side":
        head(model, 6)
        model.line("ConvolutionDepthWise d 1 1 h d 0=6 1=3 4=1 5=1 6=54 7=6").weights(54).plain(6)
        model.line("ConvolutionDepthWise g 1 1 d g 0=6 1=3 2=2 4=2 6=162 7=2").weights(162)
        model.line("Convolution o 1 1 g o 0=6 1=3 11=1 4=2 15=0 14=0 6=108").weights(108)
        tail(model, "o", 6)
    elif name == "prelu, relu, tanh, swish, clip":
        head(model)
        model.line("PReLU a 1 1 h a 0=4").plain(4)
        model.line("ReLU b 1 1 a b 0=0.2").line("TanH c 1 1 b c").line("Swish d 1 1 c d")
        model.line("Clip e 1 1 d e 0=-0.2 1=0.3").line("ReLU f 1 1 e f")
        tail(model, "f")
    elif name == "shuffle and nearest":
        head(model.line("Split s 1 2 in0 x y"), 12, source="x")
        model.line("PixelShuffle p 1 1 h p 0=2").line("Interp n 1 1 y n 0=1 1=2.0 2=2.0")
        model.line("BinaryOp out 2 1 p n out")
    elif name == "bilinear and bicubic":
        model.line("Interp l 1 1 in0 l 0=2 1=2.0 2=2.0")
        model.line("Interp c 1 1 l c 0=3 1=2.0 2=2.0").line("Interp r 1 1 c r 0=3 1=0.5 2=0.5")
        tail(model, "r", 3)
    elif name == "transposed":
        head(model)
        model.line("Deconvolution d 1 1 h d 0=4 1=4 3=2 4=1 5=1 6=256 9=2 -23310=1,0.1").weights(256).plain(4)
        model.line("Deconvolution e 1 1 d e 0=4 1=2 3=2 6=64").weights(64)
        tail(model, "e")
    elif name == "squeeze and excite":
        head(model.line("Split s 1 2 in0 x y"), source="x")
        model.line("Split t 1 2 h t0 t1").line("Pooling g 1 1 t0 g 0=1 4=1")
        model.line("InnerProduct i 1 1 g i 0=2 1=1 2=8 9=1").weights(8).plain(2)
        model.line("InnerProduct j 1 1 i j 0=4 1=1 2=8 9=4").weights(8).plain(4)
        tail(model.line("BinaryOp m 2 1 t1 j m 0=2"), "m")
        model.lines[-1] = model.lines[-1].replace(" out ", " o ")
        model.line("BinaryOp sum 2 1 o y out 0=1")
    elif name == "sums, products, joining, scalars":
        head(model)
        model.line("Split s 1 4 h a b c d").line("Eltwise e 3 1 a b c e 0=1").line("Eltwise f 2 1 e d f 0=0")
        model.line("BinaryOp g 1 1 f g 0=2 1=1 2=0.5").line("BinaryOp r 1 1 g r 0=7 1=1 2=1.0").line(
            "Split t 1 2 r p q"
        )
        tail(model.line("Concat k 2 1 p q k 0=0"), "k", 8)
    elif name == "padding and crop":
        model.line("Padding p 1 1 in0 p 0=3 1=2 2=1 3=4 4=2")
        model.line("Convolution head 1 1 p h 0=4 1=3 6=108").weights(108)
        tail(model.line("Crop k 1 1 h k -23309=2,1,2 -23310=2,-2,-1 -23311=2,-2,-1"), "k")
    elif name == "cut down to another map":
        model.line("Split s 1 2 in0 x y").line("Padding p 1 1 x p 0=1 1=3 2=2 3=2")
        head(model.line("Crop k 2 1 p y k 0=2 1=1"), source="k")
        model.line("Padding q 1 1 h q 0=2 1=1 2=1 3=0")
        tail(model.line("Crop r 1 1 q r 0=1 1=2 3=-233 4=-233 5=-233 7=1"), "r")
    elif name == "elu, selu, mish, gelu, softplus":
        head(model)
        model.line("ELU a 1 1 h a 0=0.7").line("SELU b 1 1 a b").line("Mish d 1 1 b d").line("GELU e 1 1 d e")
        tail(model.line("GELU f 1 1 e f 0=1").line("Softplus g 1 1 f g"), "g")
    elif name == "fused mish and hardswish, hard functions":
        head(model, more="9=5")
        model.line("Convolution b 1 1 h b 0=4 1=1 6=16 9=6 -23310=2,0.1666667,0.5").weights(16)
        tail(model.line("HardSigmoid c 1 1 b c 0=0.3").line("HardSwish d 1 1 c d"), "d")
    elif name == "functions of one value, larger and smaller":
        head(model)
        model.line("UnaryOp a 1 1 h a 0=0").line("UnaryOp b 1 1 a b 0=7").line("UnaryOp c 1 1 b c 0=8")
        model.line("UnaryOp d 1 1 c d 0=7").line("UnaryOp e 1 1 d e 0=6").line("UnaryOp f 1 1 e f 0=4")
        model.line("UnaryOp g 1 1 f g 0=15").line("UnaryOp i 1 1 g i 0=5").line("UnaryOp j 1 1 i j 0=1")
        model.line("Split t 1 3 j p q r").line("UnaryOp u 1 1 q u 0=16").line("BinaryOp v 2 1 p u v 0=4")
        tail(model.line("BinaryOp w 2 1 v r w 0=5").line("Softmax x 1 1 w x 0=0 1=1"), "x")
    return model


LAYERS = (
    "half, fused leaky",
    "fused relu, sigmoid, clip",
    "depthwise, dilation, padding on one side",
    "prelu, relu, tanh, swish, clip",
    "shuffle and nearest",
    "bilinear and bicubic",
    "transposed",
    "squeeze and excite",
    "sums, products, joining, scalars",
    "padding and crop",
    "cut down to another map",
    "elu, selu, mish, gelu, softplus",
    "fused mish and hardswish, hard functions",
    "functions of one value, larger and smaller",
)


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_computes_what_ncnn_does(tmp_path, name):
    ncnn = pytest.importorskip("ncnn")
    path = made(name).save(tmp_path)
    net = ncnn.Net()
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.num_threads = 1
    net.load_param(str(path))
    net.load_model(str(path.with_suffix(".bin")))
    image = RNG.random((3, 9, 12), np.float32)
    extractor = net.create_extractor()
    extractor.input("in0", ncnn.Mat(image).clone())
    status, expected = extractor.extract("out")
    assert status == 0
    graph = graph_of(path, 255.0)
    np.testing.assert_allclose(reference.run(graph, image[None])[0], np.array(expected), rtol=0, atol=2e-5)


def simple():
    return tail(head(Model()), "h")


def changed(old, new):
    def change(param, binary):
        assert old in param
        return param.replace(old, new), binary

    return change


BAD = {
    "binary form": (lambda param, binary: ("\x01\x02", binary), "not an ncnn graph in text form"),
    "another magic": (changed("7767517", "7767518"), "does not begin with"),
    "more layers announced": (changed("\n3 12\n", "\n2000000000 12\n"), "announces 2000000000 layers and has 3"),
    "more tensors announced": (changed("tail 1 1", "tail 9999999 1"), "fewer tensors than it announces"),
    "a negative count": (changed("tail 1 1", "tail -1 1"), "fewer tensors than it announces"),
    "a cycle": (changed("head 1 1 in0 h", "head 1 1 out h"), "layer head reads out, which nothing before it writes"),
    "a tensor written twice": (changed("tail 1 1 h out", "tail 1 1 h h"), "h is written twice"),
    "an array that lies": (changed("tail 1 1 h out", "tail 1 1 h out -23310=4,1.0"), "holds 1 values"),
    "not a number": (changed("1=3 4=1", "1=nan 4=1"), "no finite number"),
    "a fraction": (changed("1=3 4=1", "1=3.5 4=1"), "no whole number"),
    "an unknown layer": (changed("Convolution tail", "YoloV3DetectionOutput tail"), "not handled"),
    "2 GB of weights": (changed("0=4 1=3 4=1 5=1 6=108", "0=4 1=3 4=1 5=1 6=536870916"), "more weights than are left"),
    "weights that do not fit": (changed("6=108", "6=107"), "107 weights do not fit 4 filters of 3x3"),
    "no filters": (changed("0=4 1=3", "0=0 1=3"), "do not fit 0 filters"),
    "weights cut short": (lambda param, binary: (param, binary[:-5]), "more weights than are left"),
    "weights left": (lambda param, binary: (param, binary + bytes(4)), "4 bytes more than its graph needs"),
    "quantised": (
        lambda param, binary: (param, (0x000D4B38).to_bytes(4, "little") + binary[4:]),
        "quantised or damaged",
    ),
    "weights that are no numbers": (lambda param, binary: (param, bytes(4) + b"\xff" * 4 + binary[8:]), "not numbers"),
    "an enormous kernel": (changed("1=3 4=1", "1=3000000 4=1"), "do not fit"),
    "two images": (changed("Convolution tail", "Input in1 0 1 in1\nConvolution tail"), "announces 3 layers and has 4"),
    "one channel more": (changed("0=3 1=1 5=1 6=12", "0=2 1=1 5=1 6=8"), r"bytes more"),
}


@pytest.mark.parametrize("name", BAD)
def test_hostile_and_damaged_models_are_refused_without_memory(tmp_path, name):
    change, reason = BAD[name]
    path = simple().save(tmp_path)
    param, binary = change(path.read_text(), path.with_suffix(".bin").read_bytes())
    path.write_text(param)
    path.with_suffix(".bin").write_bytes(binary)
    tracemalloc.start()
    try:
        with pytest.raises(SparsrError, match=reason) as caught:
            graph_of(path)
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()
    assert "net." in str(caught.value) or "layer" in str(caught.value)


@pytest.mark.parametrize("missing", [".param", ".bin"])
def test_both_files_are_needed(tmp_path, missing):
    path = simple().save(tmp_path)
    path.with_suffix(missing).unlink()
    with pytest.raises(SparsrError, match=f"net{missing} do") as caught:
        graph_of(path)
    assert "two files" in caught.value.hint


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0), st.integers(32, 126)), min_size=1, max_size=4))
def test_damaged_graphs_are_read_or_refused(tmp_path, changes):
    path = simple().save(tmp_path)
    text = bytearray(path.read_bytes())
    for place, value in changes:
        text[place % len(text)] = value
    path.write_bytes(text)
    with contextlib.suppress(SparsrError):
        ncnn_as_onnx(path)
