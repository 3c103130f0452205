"""MNN: the ONNX file is converted by MNN's own converter."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from sparsr.bench.measure.engines import Run, convert
from sparsr.runtime.samples import FloatArray

# The converter's extension module, called directly: its official wrapper, MNN.tools.mnnconvert, installs a
# telemetry package with pip and reports the conversion.
_CONVERTER = "import sys, _tools; _tools.mnnconvert(['mnnconvert', *sys.argv[1:]])"


def load(model: Path, threads: int) -> Run:
    """The network of `model.onnx`: float32 NCHW in and out."""
    import MNN
    from MNN import expr

    settings = {"backend": "CPU", "numThread": threads, "precision": "high"}
    manager = MNN.nn.create_runtime_manager((settings,))
    with tempfile.TemporaryDirectory() as folder:
        converted = Path(folder) / "model.mnn"
        files = ["--modelFile", str(model.resolve()), "--MNNModel", str(converted)]
        options = ["-f", "ONNX", *files, "--bizCode", "sparsr"]
        convert([sys.executable, "-c", _CONVERTER, *options], Path(folder))
        net = MNN.nn.load_module_from_file(str(converted), ["image"], ["upscaled"], runtime_manager=manager)
    inputs: dict[tuple[int, ...], expr.Var] = {}

    def run(image: FloatArray) -> FloatArray:
        if image.shape not in inputs:
            inputs[image.shape] = expr.placeholder(list(image.shape), expr.NCHW)
        inputs[image.shape].write(image)
        return net.forward([inputs[image.shape]])[0].read()

    return run
