"""The command line: what it writes, and what it says."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_bundles import write_small_bundle

from sparsr import Upscaler
from sparsr.runtime.model.describe import describe_card
from tests.runtime.command_line import assert_refused, names, pixels, save
from tests.tflite_packages import INSTALLED

ROOT = Path(__file__).resolve().parents[2]


# Pictures


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (9, 1), (17, 23)])
def test_a_file(upscale, bundle, tmp_path, size):
    image = pixels(*size)
    code, out, err = upscale(save(tmp_path / "in.png", image), tmp_path / "new" / "out.png")
    assert (code, err) == (0, "")
    assert f"out.png: {2 * size[1]}x{2 * size[0]}" in out
    assert (np.asarray(Image.open(tmp_path / "new" / "out.png")) == Upscaler(bundle)(image)).all()
    assert names(tmp_path / "new") == ["out.png"]


@pytest.mark.parametrize("engine", INSTALLED)
def test_engines_agree_and_keep_quiet(bundle, tmp_path, engine):
    image = pixels(9, 8)
    save(tmp_path / "in.png", image)
    arguments = ["upscale", tmp_path / "in.png", tmp_path / "out.png", "--model", bundle.path, "--engine", engine]
    command = [sys.executable, "-m", "runtime", *map(str, arguments)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    difference = np.asarray(Image.open(tmp_path / "out.png")).astype(int) - Upscaler(bundle)(image)
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("suffix", ["jpg", "bmp", "tif", "webp"])
def test_formats(upscale, bundle, tmp_path, suffix):
    image = np.full((6, 5, 3), (200, 100, 50), np.uint8)
    assert upscale(save(tmp_path / "in.png", image), tmp_path / f"out.{suffix}")[0] == 0
    expected = Image.fromarray(Upscaler(bundle)(image))
    if suffix == "jpg":
        expected.save(tmp_path / "expected.jpg", quality=95, subsampling=0)
        expected = Image.open(tmp_path / "expected.jpg")
    assert (np.asarray(Image.open(tmp_path / f"out.{suffix}")) == np.asarray(expected)).all()


def test_grey_stays_grey(upscale, tmp_path):
    assert upscale(save(tmp_path / "in.png", pixels(9, 8)[..., 0]), tmp_path / "out.png")[0] == 0
    result = np.asarray(Image.open(tmp_path / "out.png"))
    assert result.shape == (18, 16)
    coloured = save(tmp_path / "coloured.png", np.dstack([pixels(9, 8)[..., 0]] * 3))
    assert upscale(coloured, tmp_path / "coloured_out.png")[0] == 0
    result = np.asarray(Image.open(tmp_path / "coloured_out.png"))
    assert result.shape == (18, 16, 3)
    assert (result == result[..., :1]).all()


def test_alpha_is_kept(upscale, tmp_path):
    image = pixels(9, 8, 4)
    image[..., 3] = 77
    assert upscale(save(tmp_path / "in.png", image), tmp_path / "out.png")[0] == 0
    result = np.asarray(Image.open(tmp_path / "out.png"))
    assert result.shape == (18, 16, 4)
    assert (result[..., 3] == 77).all()
    assert_refused(upscale(tmp_path / "in.png", tmp_path / "out.jpg"), "transparency", "png")


def test_palettes(upscale, bundle, tmp_path):
    image = Image.fromarray(pixels(9, 8)).convert("P")
    image.save(tmp_path / "in.png")
    assert upscale(tmp_path / "in.png", tmp_path / "out.png")[0] == 0
    assert (np.asarray(Image.open(tmp_path / "out.png")) == Upscaler(bundle)(np.array(image.convert("RGB")))).all()


def test_exif_orientation(upscale, bundle, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by a quarter clockwise
    image = pixels(9, 14)
    save(tmp_path / "in.tif", image, exif=exif)
    assert upscale(tmp_path / "in.tif", tmp_path / "out.png")[0] == 0
    expected = Upscaler(bundle)(np.ascontiguousarray(np.rot90(image, -1)))
    assert (np.asarray(Image.open(tmp_path / "out.png")) == expected).all()


def test_settings(upscale, tmp_path):
    save(tmp_path / "in.png", pixels(40, 30))
    assert upscale(tmp_path / "in.png", tmp_path / "a.png")[0] == 0
    assert upscale(tmp_path / "in.png", tmp_path / "b.png", "--tile", 16, "--threads", 2, "--max-memory", "2G")[0] == 0
    whole, tiled = (np.asarray(Image.open(tmp_path / name)).astype(int) for name in ("a.png", "b.png"))
    assert np.abs(whole - tiled).max() <= 1


def test_networks_that_see_the_whole_picture_say_so(runtime, whole_picture_bundle, tmp_path):
    save(tmp_path / "in.png", pixels(9, 8))
    arguments = (tmp_path / "in.png", tmp_path / "out.png", "--model", whole_picture_bundle.path)
    code, _, err = runtime("upscale", *arguments)
    assert code == 0
    assert "one too large for --max-memory is computed in tiles, approximately" in err


# Folders


def test_a_folder(upscale, tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    save(source / "a.png", pixels(5, 4))
    save(source / "b.jpg", pixels(6, 4))
    (source / "notes.txt").write_text("no picture")
    code, out, err = upscale(source, tmp_path / "out")
    assert (code, err) == (0, "")
    assert len(out.splitlines()) == 3
    assert out.splitlines()[-1] == "2 done, 0 skipped, 0 failed; passed over: 1 .txt"
    assert names(tmp_path / "out") == ["a.png", "b.jpg"]


def test_a_bad_picture_does_not_stop_the_others(upscale, tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    for name in ("a.png", "c.png"):
        save(source / name, pixels(5, 4))
    (source / "b.png").write_bytes(b"not a picture")
    code, out, err = upscale(source, tmp_path / "out")
    assert code == 2
    assert out.splitlines()[-1] == "2 done, 0 skipped, 1 failed"
    assert "b.png is not an image" in err
    assert "error: 1 of the files could not be upscaled" in err
    assert names(tmp_path / "out") == ["a.png", "c.png"]


def test_folders_without_pictures_and_files_in_the_way(upscale, tmp_path):
    (tmp_path / "in").mkdir()
    assert_refused(upscale(tmp_path / "in", tmp_path / "out"), "no images")
    save(tmp_path / "in" / "a.png", pixels(5, 4))
    (tmp_path / "file").write_text("mine")
    assert_refused(upscale(tmp_path / "in", tmp_path / "file"), "is a file")
    assert (tmp_path / "file").read_text() == "mine"


# Bundles


def test_info(runtime, bundle):
    code, out, err = runtime("info", bundle.path)
    assert (code, err) == (0, "")
    told = {line.split(":")[0]: line.split(":", 1)[1].strip() for line in out.splitlines()}
    assert told["parameters"].startswith(f"{bundle.card.parameters:,}")
    assert told["tiles"] == "exact with 7 pixels around"
    assert told["onnx file"].startswith("model.onnx")
    code, out, _ = runtime("info", bundle.path, "--json")
    assert code == 0
    assert json.loads(out) == json.loads((bundle.path / "card.json").read_text())


def test_info_compares_sparse_files_with_the_dense_weights(bundle):
    file = replace(bundle.card.files[0], bytes=bundle.card.parameters)
    card = replace(bundle.card, nonzero=0.125, files=(file,))
    assert "MB (25% of the dense weights)" in describe_card(card)
    assert "dense weights" not in describe_card(bundle.card)


def test_missing_and_damaged_bundles(runtime, bundle_copy, tmp_path):
    save(tmp_path / "in.png", pixels(4, 4))
    paths = (tmp_path / "in.png", tmp_path / "out.png", "--model")
    assert_refused(runtime("upscale", *paths, tmp_path / "nowhere"), "does not exist", "sparsr export")
    assert_refused(runtime("info", tmp_path), "not a bundle", "sparsr export")
    model = bundle_copy / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"?")
    refused = runtime("upscale", *paths, bundle_copy, "--engine", "ort")
    assert_refused(refused, "sha256", "export the bundle again")
    assert_refused(runtime("info", bundle_copy), "sha256")
    (bundle_copy / "card.json").write_text("{")
    assert_refused(runtime("info", bundle_copy), "not a valid card")
    assert names(tmp_path) == ["copy", "in.png"]


# Masks


def test_masks_are_told(runtime, tmp_path):
    smsr = write_small_bundle(tmp_path / "smsr", "smsr", channels=12, blocks=2)
    save(tmp_path / "in.png", pixels(9, 8))
    arguments = ["upscale", tmp_path / "in.png", tmp_path / "out.png", "--overwrite", "--model", smsr.path, "--masks"]
    code, out, _ = runtime(*arguments, "--engine", "native")
    assert code == 0
    assert [line.split(":")[0] for line in out.splitlines()[1:]] == ["body.0.body", "body.1.body"]
    assert all(0 <= float(line.split()[1]) <= 100 for line in out.splitlines()[1:])
    assert_refused(runtime(*arguments, "--engine", "ort"), "only the native engine counts", "--engine native")


def test_masks_of_a_network_without_any(upscale, tmp_path):
    result = upscale(save(tmp_path / "in.png", pixels(9, 8)), tmp_path / "out.png", "--engine", "native", "--masks")
    assert_refused(result, "has no masks", "leave out")
