"""Every engine a bundle can be measured in: those of the runtime and the rivals, behind one function."""

from __future__ import annotations

import contextlib
import importlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sparsr.bench.gpu.names import GPU_ENGINES, Load
from sparsr.runtime.engines import registry as runtime_engines
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.model.card import ModelFormat
from sparsr.runtime.samples import FloatArray

Run = Callable[[FloatArray], FloatArray]
"""One inference: float32 image [1, 3, h, w] or [1, h, w, 3], by the engine's layout, values 0..value range."""

Precision = Literal["float32", "tf32", "float16", "bfloat16", "int8"]

_CONVERSION_TIMEOUT = 300  # seconds
# Rivals do not know functions: ONNX Runtime puts their nodes in place and computes what is constant.
_PLAIN = """
import sys
import onnxruntime
options = onnxruntime.SessionOptions()
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
options.optimized_model_filepath = sys.argv[2]
options.log_severity_level = 3
onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
"""


@dataclass(frozen=True)
class BenchEngine:
    """How an engine is found and loaded. Nothing is imported before `load` is called."""

    kind: Literal["runtime", "rival"]
    format: ModelFormat
    package: str
    """Name of its distribution."""
    load: Callable[[Path, int], Run]
    """Model file, threads -> run."""
    precision: Precision = "float32"
    """What it computes in. Engines of lower precision are never the opponent of one of higher."""
    place: Literal["cpu", "gpu"] = "cpu"
    """The processor it computes on."""

    @property
    def channels_first(self) -> bool:
        """NCHW; otherwise NHWC."""
        return self.format == "onnx"


def _runtime(kind: runtime_engines.EngineKind, precision: Precision = "float32") -> BenchEngine:
    def load(model: Path, threads: int) -> Run:
        own: runtime_engines.Precision = "fp16" if precision == "float16" else "fp32"
        return runtime_engines.load_engine(kind.name, model.read_bytes(), threads, own).run

    return BenchEngine("runtime", kind.format, kind.package, load, precision)


@contextlib.contextmanager
def _in_standard_operators(model: Path) -> Iterator[Path]:
    """A copy of an ONNX file without functions, as long as it is needed."""
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / model.parent.name / model.name  # what an engine complains of keeps its name
        plain.parent.mkdir()
        convert([sys.executable, "-c", _PLAIN, str(model.resolve()), str(plain)], Path(folder))
        yield plain


def _gpu(precision: Precision, package: str, load_plain: Load) -> BenchEngine:
    def load(model: Path, threads: int) -> Run:
        with _in_standard_operators(model) as plain:
            try:
                return load_plain(plain)
            except ImportError as error:
                raise SparsrError(f"the package {error.name} is not installed", "pip install 'sparsr[gpu]'") from error

    return BenchEngine("rival", "onnx", package, load, precision, "gpu")


def _rival(module: str, package: str, precision: Precision = "float32") -> BenchEngine:
    options = {} if precision == "float32" else {"precision": precision}

    def load(model: Path, threads: int) -> Run:
        with _in_standard_operators(model) as plain:
            try:
                run: Run = importlib.import_module(f"sparsr.bench.rivals.{module}").load(plain, threads, **options)
            except ImportError as error:
                hint = "pip install 'sparsr[rivals]'"
                raise SparsrError(f"the package {error.name} is not installed", hint) from error
        return run

    return BenchEngine("rival", "onnx", package, load, precision)


ENGINES: dict[str, BenchEngine] = {
    **{name: _runtime(kind) for name, kind in runtime_engines.ENGINES.items()},
    "native-fp16": _runtime(runtime_engines.ENGINES["native"], "float16"),
    "openvino": _rival("openvino", "openvino"),
    "ncnn": _rival("ncnn", "ncnn"),
    "mnn": _rival("mnn", "MNN"),
    "openvino-bf16": _rival("openvino", "openvino", "bfloat16"),
    "openvino-int8": _rival("openvino", "openvino", "int8"),
    **{name: _gpu(*row) for name, row in GPU_ENGINES.items()},
}
CPU_ENGINES = tuple(name for name, engine in ENGINES.items() if engine.place == "cpu")
SINGLE_PRECISION = tuple(name for name in CPU_ENGINES if ENGINES[name].precision == "float32")


def convert(command: list[str], folder: Path) -> None:
    """Run an engine's converter in `folder`; its own process, so that its memory is not the engine's.

    Raises `SparsrError` with the last line it printed if it fails.
    """
    result = subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=_CONVERSION_TIMEOUT, check=False
    )
    if result.returncode:
        lines = result.stdout.decode(errors="replace").strip().splitlines() or ["it printed nothing"]
        raise SparsrError(f"the conversion failed: {lines[-1]}")
