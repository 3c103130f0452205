"""ncnn: the ONNX file is converted by pnnx, ncnn's own converter."""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path

import numpy as np

from sparsr.bench.measure.engines import Run, convert
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.samples import FloatArray

_INPUT, _OUTPUT = "in0", "out0"  # names pnnx gives
# Two different sizes make pnnx keep height and width open.
_SHAPES = ("inputshape=[1,3,90,160]", "inputshape2=[1,3,61,83]")
_HALF_PRECISION = ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_packed", "use_bf16_storage")


def load(model: Path, threads: int) -> Run:
    """The network of `model.onnx`: float32 NCHW in and out."""
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_vulkan_compute = False
    for option in _HALF_PRECISION:
        if hasattr(net.opt, option):  # older versions lack some
            setattr(net.opt, option, False)
    with tempfile.TemporaryDirectory() as folder:
        param, weights = _convert(model, Path(folder))
        if net.load_param(str(param)) or net.load_model(str(weights)):
            raise SparsrError("ncnn cannot load what pnnx converted")

    def run(image: FloatArray) -> FloatArray:
        extractor = net.create_extractor()
        extractor.input(_INPUT, ncnn.Mat(image[0]))
        status, output = extractor.extract(_OUTPUT)
        if status:
            raise SparsrError(f"ncnn stopped with status {status}")
        return np.asarray(output)[None]

    return run


def _convert(model: Path, folder: Path) -> tuple[Path, Path]:
    # Found without importing the package: the import would need torch, the program does not.
    package = importlib.util.find_spec("pnnx")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("No module named 'pnnx'", name="pnnx")
    # pnnx writes beside its input, so it gets a copy.
    copy = folder / "model.onnx"
    copy.write_bytes(model.read_bytes())
    convert([str(Path(package.origin).with_name("pnnx")), str(copy), *_SHAPES, "fp16=0"], folder)
    return folder / "model.ncnn.param", folder / "model.ncnn.bin"
