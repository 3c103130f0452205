import numpy as np
import pytest

from sparsr.runtime.engines import registry as engines
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.upscale.upscaler import Upscaler


def test_without_a_bundle_the_model_that_comes_with_it_is_taken():
    assert Upscaler()(np.zeros((8, 9, 3), np.uint8)).shape == (16, 18, 3)


@pytest.mark.parametrize(
    ("formats", "chosen"),
    [(["onnx", "tflite", "native"], "native"), (["tflite", "tflite-sparse"], "litert"), (["onnx"], "ort")],
)
def test_ours_where_it_can_be_built_else_what_runs_everywhere(formats, chosen, monkeypatch):
    monkeypatch.setattr(engines, "_native_trouble", lambda: None)
    assert engines.default_engine(formats) == chosen


def test_warns_where_ours_cannot_be_built(monkeypatch):
    monkeypatch.setattr(engines, "_native_trouble", lambda: SparsrError("no compiler", "install one"))
    with pytest.warns(UserWarning, match="ort takes over, because no compiler; install one"):
        assert engines.default_engine(["onnx", "tflite", "native"]) == "ort"


@pytest.mark.parametrize("formats", [[], ["native"], ["tflite-sparse"]])
def test_a_bundle_nothing_runs_is_an_error(formats, monkeypatch):
    monkeypatch.setattr(engines, "_native_trouble", lambda: SparsrError("no compiler", "install one"))
    with pytest.raises(SparsrError, match="no engine here runs") as caught:
        engines.default_engine(formats)
    if "native" in formats:  # why not is said, not guessed: somebody else's cache needs no compiler
        assert str(caught.value).endswith(": no compiler") and caught.value.hint == "install one"
