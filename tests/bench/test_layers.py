import numpy as np
import pytest
from bench_bundles import graph, write_tiny_bundle

from sparsr.bench.measure.layers import group_layers, profile_layers, render, render_all
from sparsr.bench.measure.results import Row
from sparsr.bench.targets.contract import Job, LayerGroup
from sparsr.bench.targets.cpu import Cpu
from sparsr.export.writers.native import write_native


def operation(kernel, seconds, kind="Conv", outputs=8, **more):
    shape = {"inputs": 4, "outputs": outputs, "width": 10, "height": 5}
    return {"layer": "n", "kind": kind, "kernel": kernel, "seconds": seconds, **shape, **more}


PLAN = {
    "peak": {"arithmetic": 200.0, "loading": 150.0, "near_taps": 100.0, "far_taps": 50.0},
    "operations": [
        operation("dense", 3.0, kernel_macs=150),
        operation("sparse", 2.0, kernel_macs=50),
        operation("lines", 0.5, "Add"),
        operation("sparse", 4.0, kernel_macs=50),
        operation("winograd", 6.0, kernel_macs=100),
        operation("lines", 0.25, "Mul"),
        operation("sparse", 1.0, outputs=9, kernel_macs=50),
        operation("plain", 1.0, kernel_macs=50),
        operation("shared", 1.0, kernel_macs=75),
    ],
}


def test_like_layers_are_taken_together_with_the_bound_of_their_kernel():
    assert group_layers(PLAN) == (
        LayerGroup("dense", 4, 8, 10, 5, 1, 150, 3.0, 2 * 150 / 200, 2 * 150 / 200),
        LayerGroup("sparse", 4, 8, 10, 5, 2, 50, 6.0, 2 * 2 * 50 / 100, 2 * 2 * 50 / 200),
        LayerGroup("Add", 4, 8, 10, 5, 1, 0, 0.5, 0, 0),
        LayerGroup("winograd", 4, 8, 10, 5, 1, 100, 6.0, 2 * 100 / 200, 2 * 100 / 200),
        LayerGroup("Mul", 4, 8, 10, 5, 1, 0, 0.25, 0, 0),
        LayerGroup("sparse", 4, 9, 10, 5, 1, 50, 1.0, 2 * 50 / 100, 2 * 50 / 200),
        LayerGroup("Conv", 4, 8, 10, 5, 1, 0, 1.0, 0, 0),
        LayerGroup("shared", 4, 8, 10, 5, 1, 75, 1.0, 2 * 75 / 200, 2 * 75 / 200),
    )


def test_the_text_has_a_line_per_group_and_the_whole():
    row = Row("edsr", "native", "runtime", None, layers=group_layers(PLAN))
    head, *lines = render(row).splitlines()
    assert head.endswith("25 % of the peak, 33 % of the bound")  # 4.75 and 6.25 of 18.75 seconds
    assert len(lines) == 8
    assert "2 x sparse" in lines[1]
    assert lines[1].endswith("17 % of the peak,  33 % of the bound")
    assert "bound" not in lines[2]
    assert render(row) in render_all([Row("other", "ort", "runtime", None), row])
    assert render_all([Row("other", "ort", "runtime", None)]) == ""


def test_a_real_run_counts_every_multiply_add():
    image = np.random.default_rng(0).uniform(0, 255, (6, 7, 3)).astype(np.float32)
    layers = profile_layers(write_native(graph(8), {}), image, 1)
    convolutions = [group for group in layers if group.multiply_adds]
    assert sum(group.layers * group.multiply_adds for group in convolutions) == 6 * 7 * 9 * (3 * 8 + 8 * 12)
    assert all(group.bound >= group.peak > 0 and group.seconds > 0 for group in convolutions)


@pytest.mark.parametrize("engine", ["native", "ort"])
def test_the_worker_of_the_native_engine_tells_its_layers(tmp_path, engine):
    write_tiny_bundle(tmp_path / "tiny")
    (tmp_path / "tiny" / "model.safetensors").write_bytes(write_native(graph(8), {}))
    np.zeros((6, 7, 3), "<f4").tofile(tmp_path / "in")
    model = tmp_path / "tiny" / ("model.safetensors" if engine == "native" else "model.onnx")
    session = Cpu().run(Job(engine, str(model), 1, (), str(tmp_path / "in"), 7, 6, str(tmp_path / "out")), 60)
    try:
        finished = session.finish()
    finally:
        session.close()
    layers = finished.layers
    assert (finished.counters is not None) == (engine == "native")
    assert [group.outputs for group in layers if group.multiply_adds] == ([8, 12] if engine == "native" else [])
