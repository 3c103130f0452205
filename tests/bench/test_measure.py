import dataclasses
import json
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bench_bundles import FAKE_OPENVINO, reference_output, write_tiny_bundle

from sparsr.bench.measure.compare import difference, reference_engine
from sparsr.bench.measure.engines import ENGINES, SINGLE_PRECISION
from sparsr.bench.measure.measure import measure
from sparsr.bench.measure.plan import Plan, Subject
from sparsr.bench.targets.contract import Job, WorkerError
from sparsr.bench.targets.cpu import Cpu
from sparsr.bench.targets.machine import available_cpus, version
from sparsr.runtime.engines import registry as runtime_engines
from sparsr.runtime.errors import SparsrError

MIB = 2**20
ROOT = Path(__file__).resolve().parents[2]
rivals = [name for name, engine in ENGINES.items() if engine.kind == "rival"]


def plan_for(subjects, engines, rounds=4, **options):
    return Plan(tuple(subjects), tuple(engines), 20, 13, 1, rounds, **options)


@pytest.fixture
def tiny(tmp_path):
    return Subject("tiny", write_tiny_bundle(tmp_path / "tiny"))


# The native engine is held against the reference in tests/export/test_native.py.
@pytest.mark.parametrize("engine", [name for name in SINGLE_PRECISION if ENGINES[name].format != "native"])
def test_every_engine_computes_what_the_reference_does(engine, tiny, tmp_path):
    image = np.random.default_rng(3).integers(0, 256, (1, 7, 13, 3)).astype(np.float32)
    output = run_worker(engine, tiny, image, tmp_path)
    # Winograd kernels differ by more than rounding; half precision would by far more than this.
    np.testing.assert_allclose(output, reference_output(8, image), rtol=0, atol=0.02)


@pytest.mark.parametrize("engine", ["openvino-bf16", "openvino-int8"])
def test_engines_of_lower_precision_compute_roughly_the_same(engine, tiny, tmp_path):
    image = np.random.default_rng(3).integers(0, 256, (1, 7, 13, 3)).astype(np.float32)
    output = run_worker(engine, tiny, image, tmp_path)
    error = np.abs(output - reference_output(8, image)).max()
    assert error < 0.05 * np.ptp(output)
    if engine == "openvino-int8":  # bf16 is only used by processors that have it
        assert error > 0.1


def run_worker(engine, tiny, image, tmp_path):
    """The output of an engine in its worker, or a skip if a rival is not installed."""
    missing = not version(ENGINES[engine].package) or (engine == "ncnn" and not version("pnnx"))
    kind = runtime_engines.ENGINES.get(engine)
    if missing and (kind is None or kind.optional):
        pytest.skip(f"{engine} is not installed")
    image.astype("<f4").tofile(tmp_path / "image")
    model = tiny.bundle.path / tiny.bundle.file(ENGINES[engine].format).name
    _, height, width, _ = image.shape
    output = tmp_path / "output"
    session = Cpu().run(Job(engine, str(model), 1, (), str(tmp_path / "image"), width, height, str(output)), 60)
    try:
        samples = [session.run() for _ in range(2)]
        finished = session.finish()
    finally:
        session.close()
    assert all(min(sample.cpu, sample.wall, sample.reference) > 0 for sample in samples)
    assert 5 * MIB < finished.memory.baseline < finished.memory.peak
    assert finished.layers == ()
    return np.fromfile(output, "<f4").reshape(1, finished.output_height, finished.output_width, 3)


def test_every_rival_is_asked_for_single_precision(fake_engine, tiny):
    fake_engine(
        "openvino", FAKE_OPENVINO + "\n    def load(self):\n        raise ValueError(sorted(self.settings.items()))\n"
    )
    (row,) = measure(plan_for([tiny], ["openvino"])).rows
    assert "('INFERENCE_PRECISION_HINT', 'f32')" in row.failure
    assert "('INFERENCE_NUM_THREADS', 1)" in row.failure


def test_rounds_are_interleaved_in_order(fake_engine, tmp_path):
    log = tmp_path / "log"
    fake_engine(
        "openvino",
        FAKE_OPENVINO.replace(
            "n, c, h, w =",
            f"open({str(log)!r}, 'a').write(self.model.parent.name + ' '); n, c, h, w =",
        ),
    )
    subjects = [Subject(name, write_tiny_bundle(tmp_path / name)) for name in ("a", "b", "c")]
    results = measure(plan_for(subjects, ["openvino"], rounds=3))
    assert log.read_text().split() == ["a", "a", "b", "b", "c", "c", *"abcabcabc"]
    assert results.settings.rounds == 3
    assert [len(row.wall_samples) for row in results.rows] == [3, 3, 3]


def test_time_limit_ends_after_three_rounds(fake_engine, tiny):
    fake_engine("openvino", FAKE_OPENVINO)
    assert measure(plan_for([tiny], ["openvino"], rounds=50, max_seconds=0.0)).settings.rounds == 3


def test_a_fast_wrong_engine_is_seen_and_never_an_opponent(fake_engine, tiny):
    fake_engine("openvino", FAKE_OPENVINO)
    results = measure(plan_for([tiny], ["openvino", "ort", "litert"]))
    wrong, ort, litert = results.rows
    assert wrong.difference.max_8bit > 1 and not wrong.correct
    assert ort.correct and litert.correct
    assert wrong.difference.reference in ("ort", "litert")
    assert all(row.opponent.engine != "openvino" for row in results.rows)
    assert results.fastest("tiny") in (ort, litert)


@pytest.mark.parametrize(
    "source, reason, hint",
    [
        (
            "raise ModuleNotFoundError(\"No module named 'openvino'\", name='openvino')",
            "openvino is not installed",
            "rivals",
        ),
        (
            "import os, sys\nprint('last words', file=sys.stderr, flush=True)\nos.abort()",
            "crashed with SIGABRT: last words",
            "",
        ),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "out of memory", ""),
        ("import os\nos._exit(7)", "exit code 7", ""),
        ("raise ValueError('no such layer')", "ValueError: no such layer", ""),
        ("import time\ntime.sleep(600)", "no answer within", "--timeout"),
    ],
)
def test_what_fails_becomes_a_row_with_its_reason(source, reason, hint, fake_engine, tiny):
    fake_engine("openvino", source)
    timeout = 4 if "sleep" in source else 60
    broken, ort = measure(plan_for([tiny], ["openvino", "ort"], rounds=3, timeout=timeout)).rows
    assert reason in broken.failure
    assert hint in (broken.hint or "")
    assert broken.cpu is None and broken.opponent is None
    assert ort.failure is None and ort.wall.count == 3


def test_failing_in_the_middle_spares_the_others(fake_engine, tiny):
    late = FAKE_OPENVINO.replace(
        "n, c, h, w =", "self.runs = getattr(self, 'runs', 0) + 1; assert self.runs < 5; n, c, h, w ="
    )
    fake_engine("openvino", late)
    broken, ort = measure(plan_for([tiny], ["openvino", "ort"], rounds=6)).rows
    assert "AssertionError" in broken.failure
    assert ort.wall.count == 6


def test_memory_is_the_engines_and_not_the_interpreters(fake_engine, tiny):
    fake_engine("openvino", FAKE_OPENVINO)
    (light,) = measure(plan_for([tiny], ["openvino"])).rows
    fake_engine("openvino", FAKE_OPENVINO.replace("pass", "np.ones(25_000_000)"))  # 200 MB, freed at once
    (heavy,) = measure(plan_for([tiny], ["openvino"])).rows
    added = [row.memory.peak - row.memory.baseline for row in (light, heavy)]
    assert added[0] < 100 * MIB
    assert added[1] - added[0] == pytest.approx(200e6, rel=0.1)


def test_ratios_are_to_the_fastest_engine_on_the_dense_counterpart(tmp_path):
    pruned = Subject("pruned", write_tiny_bundle(tmp_path / "pruned", "assl", 4))
    dense = Subject("dense", write_tiny_bundle(tmp_path / "dense", "dense", 16))
    narrow = Subject("narrow", write_tiny_bundle(tmp_path / "narrow", "dense", 8))
    results = measure(plan_for([pruned, narrow, dense], ["ort", "litert"], rounds=5))
    assert [info.counterpart for info in results.bundles] == ["dense"] * 3
    by_time = {row.engine: min(row.cpu_samples) for row in results.rows if row.bundle == "dense"}
    fastest = min(by_time, key=by_time.get)
    against = next(row for row in results.rows if (row.bundle, row.engine) == ("dense", fastest))
    for row in results.rows:
        assert (row.opponent.bundle, row.opponent.engine) == ("dense", fastest)
        pairs = [theirs / ours for theirs, ours in zip(against.cpu_samples, row.cpu_samples, strict=True)]
        assert row.opponent.ratio.median == pytest.approx(statistics.median(pairs))
    named = measure(plan_for([pruned, narrow, dense], ["ort"], rounds=3, baseline="narrow"))
    assert {row.opponent.bundle for row in named.rows} == {"narrow"}


def test_without_a_dense_counterpart_there_are_no_ratios(tmp_path):
    pruned = Subject("pruned", write_tiny_bundle(tmp_path / "pruned", "assl", 4))
    (row,) = measure(plan_for([pruned], ["ort"], rounds=3)).rows
    assert row.correct and row.opponent is None


@pytest.mark.parametrize(
    "metrics, quality",
    [
        ({"Set5": {"psnr_y": 31.5, "ssim_y": 0.9, "note": "x"}}, {"Set5": {"psnr_y": 31.5, "ssim_y": 0.9}}),
        ({"Set5": {"psnr_y": "high"}, "Set14": 30, "B100": {}}, {}),
        ([1, 2], {}),
        (None, {}),
    ],
)
def test_scores_are_taken_from_the_card_where_they_are_scores(metrics, quality, tmp_path):
    subject = Subject("tiny", write_tiny_bundle(tmp_path / "tiny", training={"metrics": metrics}))
    (info,) = measure(plan_for([subject], [])).bundles
    assert info.quality == quality


def test_a_changed_model_file_is_refused(tiny):
    path = tiny.bundle.path / "model.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    ort, litert = measure(plan_for([tiny], ["ort", "litert"])).rows
    assert "sha256" in ort.failure
    assert litert.failure is None


@pytest.mark.parametrize(
    "change", [{"engines": ("nonsense",)}, {"threads": 4096}, {"width": 1}, {"baseline": "absent"}], ids=str
)
def test_a_plan_that_cannot_work_is_refused_before_anything_starts(change, tiny):
    options = {"engines": ("ort",), "width": 20, "height": 13, "threads": 1, "rounds": 3} | change
    with pytest.raises(SparsrError):
        measure(Plan(subjects=(tiny,), **options))


@pytest.mark.parametrize("threads", [1, 2])
def test_pinning_and_threads_reach_the_worker_but_not_its_reference(threads, fake_engine, tiny):
    cpus = available_cpus()
    if len(cpus) < threads:
        pytest.skip("this machine has one core")
    told = "[sorted(os.sched_getaffinity(0))] + [os.environ[f'{name}_NUM_THREADS'] for name in ('OMP', 'OPENBLAS')]"
    fake_engine("openvino", f"import os, json\nraise ValueError(json.dumps({told}))")
    (row,) = measure(dataclasses.replace(plan_for([tiny], ["openvino"]), threads=threads)).rows
    assert json.loads(row.failure.removeprefix("ValueError: ")) == [list(cpus[-threads:]), str(threads), "1"]


@pytest.mark.parametrize("threads", [1, 2])
def test_on_several_threads_the_first_run_of_a_turn_does_not_count(threads, fake_engine, tiny, tmp_path):
    if len(available_cpus()) < threads:
        pytest.skip("this machine has one core")
    count = f"        open({str(tmp_path / 'runs')!r}, 'a').write('x')\n        n, c"
    fake_engine("openvino", FAKE_OPENVINO.replace("        n, c", count))
    (row,) = measure(dataclasses.replace(plan_for([tiny], ["openvino"], rounds=3), threads=threads)).rows
    before = 1 + Job.__dataclass_fields__["warm_up"].default
    assert len(row.wall_samples) == 3
    assert len((tmp_path / "runs").read_text()) == before + 3 * threads


def test_a_closed_worker_answers_no_more(fake_engine, tiny, tmp_path):
    fake_engine("openvino", FAKE_OPENVINO)
    np.zeros((4, 4, 3), "<f4").tofile(tmp_path / "image")
    model = str(tiny.bundle.path / "model.onnx")
    session = Cpu().run(Job("openvino", model, 1, (), str(tmp_path / "image"), 4, 4, str(tmp_path / "out")), 60)
    session._process.kill()
    with pytest.raises(WorkerError, match="killed"):
        session.run()
    session.close()
    session.close()


def test_reference_is_what_most_agree_with():
    right, close, wrong = (np.full((1, 2, 2, 3), value, np.float32) for value in (10.0, 10.4, 90.0))
    assert reference_engine({"x": wrong, "y": right, "z": close}) == "y"
    assert reference_engine({"x": right}) == "x"


def test_difference_is_that_of_8_bit_images():
    reference = np.array([[[[-5.0, 100.4, 300.0]]]], np.float32)
    output = np.array([[[[-9.0, 100.6, 260.0]]]], np.float32)
    found = difference("x", reference, output)
    assert found.max_8bit == 1  # the others are clipped to 0 and 255
    assert found.max_abs == pytest.approx(40)
    assert difference("x", reference, np.full_like(reference, np.nan)).max_8bit == 255
    assert difference("x", reference, reference[..., :2]).max_8bit == 255


def test_what_was_freed_before_the_engine_is_not_counted():
    code = (
        "import numpy as np; from sparsr.bench.measure.worker import _reset_peak, _size\n"
        "np.ones(25_000_000); earlier = _size('status', 'VmHWM')\n"
        "print(earlier, _reset_peak(), _size('status', 'VmHWM'))"
    )
    output = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    earlier, size, peak = map(int, output.split())
    assert earlier - peak > 150e6
    assert size <= peak < size + 20 * MIB


def test_a_picture_is_mirrored_up_to_the_size():
    picture = np.random.default_rng(1).integers(0, 256, (8, 30, 3), np.uint8)
    image = Plan((), (), 20, 13, 1, 1, image=picture).input_image(1.0)
    assert image.shape == (13, 20, 3)
    np.testing.assert_allclose(image[:8] * 255, picture[:, :20], rtol=1e-6)
    np.testing.assert_array_equal(image[8:], image[7:2:-1])


def test_a_subject_may_have_engines_of_its_own(tiny, tmp_path):
    slim = Subject("slim", write_tiny_bundle(tmp_path / "slim", "assl", channels=4), ("litert",))
    rows = measure(plan_for([tiny, slim], ["ort"], 3)).rows
    assert [(row.bundle, row.engine) for row in rows] == [("tiny", "ort"), ("slim", "litert")]
