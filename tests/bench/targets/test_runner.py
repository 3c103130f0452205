"""The program for devices by itself: measures a bundle, checks its stored reference, upscales pictures."""

import json
import os
import platform
import subprocess

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from sparsr.bench.targets.runner import worker_program
from sparsr.runtime.engines.native.load import NativeModel
from sparsr.runtime.errors import SparsrError
from tests.bench.targets.native_bundle import write_native_bundle

SIZE = (21, 14)
SCALE = 2


@pytest.fixture(scope="module")
def program():
    try:
        return worker_program(platform.machine())
    except SparsrError as error:
        pytest.skip(str(error))


@pytest.fixture
def bundle(tmp_path):
    bundle, multiply_adds = write_native_bundle(tmp_path / "tiny", *SIZE)
    return bundle, multiply_adds


def run(program, *arguments, code=0):
    environment = os.environ | {"SPARSR_PLAN": "estimate"}
    done = subprocess.run(
        [program, *map(str, arguments)], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == code, done.stderr
    return done


def upscaled(bundle, pixels):
    result = np.zeros((pixels.shape[0] * SCALE, pixels.shape[1] * SCALE, 3), np.uint8)
    NativeModel(bundle.model("native")).run(pixels, result)
    return result


def noise(height=SIZE[1], width=SIZE[0]):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_it_measures_as_google_benchmark_reports(program, bundle):
    opened, multiply_adds = bundle
    flags = ["--size=21x14", "--num_runs=10", "--min_secs=0", "--num_threads=1", "--warmup_runs=2"]
    out = opened.path / "out.json"
    told = json.loads(run(program, f"--bundle={opened.path}", *flags, f"--benchmark_out={out}").stdout)
    assert json.loads(out.read_text()) == told
    assert set(told) == {"context", "benchmarks", "sparsr", "card"}
    runs = [entry for entry in told["benchmarks"] if entry["run_type"] == "iteration"]
    assert [entry["repetition_index"] for entry in runs] == list(range(10))
    assert all(
        entry["name"] == "tiny/21x14" and entry["real_time"] > 0 and entry["reference_time"] > 0 for entry in runs
    )
    for kind, share in (("median", 0.5), ("p90", 0.9), ("p95", 0.95)):
        (entry,) = (entry for entry in told["benchmarks"] if entry.get("aggregate_name") == kind)
        assert entry["real_time"] == pytest.approx(np.quantile([run["real_time"] for run in runs], share), rel=1e-4)
    assert told["sparsr"]["multiply_adds"] == multiply_adds
    assert told["sparsr"]["off_by"] is None
    assert told["card"]["name"] == "tiny"


def store_reference(bundle, change=0):
    image = noise()
    result = upscaled(bundle, image)
    result[3, 4, 1] = np.clip(int(result[3, 4, 1]) + (change if result[3, 4, 1] < 128 else -change), 0, 255)
    (bundle.path / "reference.json").write_text(json.dumps({"width": SIZE[0], "height": SIZE[1], "scale": SCALE}))
    (bundle.path / "reference.rgb").write_bytes(image.tobytes() + result.tobytes())


@pytest.mark.parametrize(("change", "code"), [(0, 0), (9, 1)])
def test_the_output_is_held_against_the_stored_reference(change, code, program, bundle):
    opened, _ = bundle
    store_reference(opened, change)
    done = run(program, f"--bundle={opened.path}", "--size=8x8", "--num_runs=1", "--min_secs=0", code=code)
    assert abs(json.loads(done.stdout)["sparsr"]["off_by"] - change) <= 1
    assert f"stored result: {'FAILED' if code else 'passed'}, off by" in done.stderr


def formats(program):
    return run(program, "--help").stdout


def test_a_png_comes_out_as_the_engine_makes_it(program, bundle, tmp_path):
    if ".png" not in formats(program):
        pytest.skip("built without static libpng (apt install libpng-dev zlib1g-dev)")
    opened, _ = bundle
    Image.fromarray(noise()).save(tmp_path / "in.png")
    run(program, "upscale", opened.path, tmp_path / "in.png", tmp_path / "out.png", "--num_threads=2")
    found = np.asarray(Image.open(tmp_path / "out.png"))
    assert found.shape == (SIZE[1] * SCALE, SIZE[0] * SCALE, 3)
    assert np.abs(found.astype(int) - upscaled(opened, noise())).max() <= 1  # kernels may differ
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.png", "out.png", "tiny"]


@pytest.mark.parametrize(("mode", "value"), [("L", 77), ("RGBA", (10, 20, 30, 255)), ("P", 3), ("LA", (90, 255))])
def test_other_kinds_of_png_are_read_as_rgb(mode, value, program, bundle, tmp_path):
    if ".png" not in formats(program):
        pytest.skip("built without static libpng")
    opened, _ = bundle
    image = Image.new(mode, (9, 8), value)
    image.save(tmp_path / "in.png")
    run(program, "upscale", opened.path, tmp_path / "in.png", tmp_path / "out.png")
    expected = upscaled(opened, np.asarray(image.convert("RGB")))
    assert np.abs(np.asarray(Image.open(tmp_path / "out.png")).astype(int) - expected).max() <= 1


def test_a_jpeg_is_read_and_written(program, bundle, tmp_path):
    if ".jpg" not in formats(program):
        pytest.skip("built without static libjpeg-turbo (apt install libjpeg62-turbo-dev)")
    opened, _ = bundle
    y, x = np.mgrid[0:24, 0:32]
    smooth = np.stack([x * 8, y * 10, 255 - x * 8], -1).astype(np.uint8)
    Image.fromarray(smooth).save(tmp_path / "in.jpg", quality=97)
    run(program, "upscale", opened.path, tmp_path / "in.jpg", tmp_path / "out.ppm")
    run(program, "upscale", opened.path, tmp_path / "in.jpg", tmp_path / "out.JPEG", "--quality=90")
    result = Image.open(tmp_path / "out.ppm")
    decoded = np.asarray(Image.open(tmp_path / "in.jpg").convert("RGB"))
    assert np.abs(np.asarray(result).astype(int) - upscaled(opened, decoded)).mean() < 2  # decoders round differently
    result.save(tmp_path / "expected.jpg", quality=90)
    found, expected = (np.asarray(Image.open(tmp_path / name)).astype(int) for name in ("out.JPEG", "expected.jpg"))
    assert np.abs(found - expected).mean() < 1


@pytest.mark.parametrize("kind", ["png", "jpg"])
@pytest.mark.parametrize("orientation", [*range(9), 9])
def test_pictures_are_turned_as_exif_says(orientation, kind, program, bundle, tmp_path):
    if f".{kind}" not in formats(program):
        pytest.skip(f"built without a static library for {kind}")
    opened, _ = bundle
    exif = Image.Exif()
    exif[0x0112] = orientation
    y, x = np.mgrid[0:24, 0:40]
    Image.fromarray(np.stack([x * 6, y * 10, 200 - y * 4], -1).astype(np.uint8)).save(
        tmp_path / f"in.{kind}", exif=exif, quality=97
    )
    run(program, "upscale", opened.path, tmp_path / f"in.{kind}", tmp_path / "out.ppm")
    upright = ImageOps.exif_transpose(Image.open(tmp_path / f"in.{kind}")).convert("RGB")
    found = np.asarray(Image.open(tmp_path / "out.ppm")).astype(int)
    expected = upscaled(opened, np.asarray(upright))
    assert found.shape == expected.shape
    assert np.abs(found - expected).mean() < (2 if kind == "jpg" else 0.1)


@pytest.mark.parametrize("target", ["png", "jpg"])
@pytest.mark.parametrize("source", ["png", "jpg"])
def test_colour_profiles_are_kept(source, target, program, bundle, tmp_path):
    if not all(f".{kind}" in formats(program) for kind in ("png", "jpg")):
        pytest.skip("built without static libpng or libjpeg-turbo")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(noise()).save(tmp_path / f"in.{source}", icc_profile=profile)
    run(program, "upscale", bundle[0].path, tmp_path / f"in.{source}", tmp_path / f"out.{target}")
    assert Image.open(tmp_path / f"out.{target}").info["icc_profile"] == profile
    Image.fromarray(noise()[..., 0]).save(tmp_path / f"grey.{source}", icc_profile=profile)
    run(program, "upscale", bundle[0].path, tmp_path / f"grey.{source}", tmp_path / f"out.{target}")
    assert "icc_profile" not in Image.open(tmp_path / f"out.{target}").info, "the result has colours"


def test_transparent_parts_become_white(program, bundle, tmp_path):
    if ".png" not in formats(program):
        pytest.skip("built without static libpng")
    pixels = np.dstack([noise(), np.arange(SIZE[0] * SIZE[1], dtype=np.uint8).reshape(SIZE[1], SIZE[0])])
    Image.fromarray(pixels).save(tmp_path / "in.png")
    run(program, "upscale", bundle[0].path, tmp_path / "in.png", tmp_path / "out.ppm")
    white = Image.new("RGBA", SIZE, "white")
    white.alpha_composite(Image.fromarray(pixels))
    found = np.asarray(Image.open(tmp_path / "out.ppm")).astype(int)
    assert np.abs(found - upscaled(bundle[0], np.asarray(white.convert("RGB")))).mean() < 1


@pytest.mark.parametrize("kind", ["ppm", "png", "jpg"])
def test_a_full_disk_leaves_nothing(kind, program, bundle, tmp_path):
    if f".{kind}" not in formats(program):
        pytest.skip(f"built without a static library for {kind}")
    opened, _ = bundle
    pixels = noise(128, 128)
    (tmp_path / "in.ppm").write_bytes(b"P6\n128 128\n255\n" + pixels.tobytes())
    command = f"trap '' XFSZ; ulimit -f 64; {program} upscale {opened.path} in.ppm out.{kind} --quality=100"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, f"sparsr_bench: cannot write out.{kind}\n")
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--bundle=absent"], "cannot read absent/model.safetensors"),
        (["--nonsense=1"], "there is no flag --nonsense"),
        (["--size=8x8"], "nothing to measure"),
        (["--graph={bundle}/card.json"], "sparsr_bench:"),
        (["--bundle={bundle}", "--size=8"], "--size is not written WxH"),
        (["--bundle={bundle}", "--num_runs=0"], "--num_runs is not a number from 1"),
        (["upscale", "{bundle}", "{bundle}/card.json", "out.ppm"], "is not a picture this program reads"),
        (["upscale", "{bundle}", "absent.png", "out.ppm"], "cannot read absent.png"),
        (["upscale", "{bundle}", "absent.png", "out.gif"], "cannot be written"),
        (["upscale", "{bundle}"], "give a bundle or model"),
        (["upscale", "{bundle}", "{bundle}/cut.png", "out.ppm"], "cut.png"),
        (["upscale", "{bundle}", "{bundle}/cut.jpg", "out.ppm"], "cut.jpg"),
        (["upscale", "{bundle}", "{bundle}/huge.ppm", "out.ppm"], "huge.ppm"),
    ],
)
def test_bad_input_is_one_sentence(arguments, sentence, program, bundle, tmp_path, monkeypatch):
    opened, _ = bundle
    monkeypatch.chdir(tmp_path)
    (opened.path / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n rubbish")
    (opened.path / "cut.jpg").write_bytes(b"\xff\xd8\xff rubbish")
    (opened.path / "huge.ppm").write_bytes(b"P6\n65000 65000\n255\n")
    done = run(program, *(word.format(bundle=opened.path) for word in arguments), code=2)
    assert sentence in done.stderr and done.stderr.count("\n") == 1
    assert not list(tmp_path.glob("out*"))
