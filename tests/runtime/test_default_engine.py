import pytest

from runtime import engines
from runtime.errors import SparsrError


@pytest.mark.parametrize(
    ("formats", "built", "chosen"),
    [
        (["onnx", "tflite", "native"], True, "native"),
        (["onnx", "tflite", "native"], False, "ort"),
        (["tflite", "tflite-sparse"], True, "litert"),
        (["onnx"], True, "ort"),
    ],
)
def test_ours_where_it_can_be_built_else_what_runs_everywhere(formats, built, chosen, monkeypatch):
    monkeypatch.setattr(engines, "_native_is_there", lambda: built)
    assert engines.default_engine(formats) == chosen


@pytest.mark.parametrize("formats", [[], ["native"], ["tflite-sparse"]])
def test_a_bundle_nothing_runs_is_an_error(formats, monkeypatch):
    monkeypatch.setattr(engines, "_native_is_there", lambda: False)
    with pytest.raises(SparsrError, match="no engine here runs"):
        engines.default_engine(formats)
