"""Upscaling arrays: against the reference executor, in tiles against the whole, within the memory limit."""

import re
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsr import Upscaler
from sparsr.runtime.engines.registry import ENGINES
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.samples import from_values
from sparsr.runtime.upscale.upscaler import memory_limit
from sparsr.runtime.upscale.windows import kept_rows
from sparsr.train.networks import build
from tests.tflite_packages import INSTALLED

ROOT = Path(__file__).resolve().parents[2]


def picture(height, width, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def in_torch(image, scale=2):
    """What the network the bundle was made from gives, by the textbook: clip, round half up."""
    torch.manual_seed(0)
    network = build("ledsr", scale, channels=8, blocks=2).eval()
    with torch.no_grad():
        result = network(torch.from_numpy(image).permute(2, 0, 1)[None].float())[0].permute(1, 2, 0).numpy()
    return np.floor(np.clip(result.astype(np.float64), 0, 255) + 0.5).astype(np.uint8)


NEEDED = [name for name, kind in ENGINES.items() if not kind.optional]


def largest_difference(a, b):
    assert a.shape == b.shape
    return np.abs(a.astype(int) - b.astype(int)).max()


@pytest.fixture(scope="module", params=NEEDED)
def upscaler(request, bundle):
    return Upscaler(bundle, request.param, threads=1)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (13, 1), (17, 23), (40, 31)])
def test_gives_what_the_network_gives(upscaler, height, width):
    image = picture(height, width)
    result = upscaler(image)
    assert result.dtype == np.uint8
    assert largest_difference(result, in_torch(image)) <= 1


def test_x3(bundle_x3):
    image = picture(11, 14)
    assert largest_difference(Upscaler(bundle_x3)(image), in_torch(image, 3)) <= 1


@pytest.mark.parametrize("tile", [1, 5, 16, 1000])
def test_tiles_give_the_whole_picture(bundle, upscaler, tile):
    image = picture(37, 29)
    tiled = Upscaler(bundle, upscaler.engine.name, threads=1, tile=tile)
    assert tiled.tiling(37, 29).whole == (tile == 1000)
    assert largest_difference(tiled(image), upscaler(image)) <= 1


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(7, 50), st.sampled_from([3, 4]))
def test_tiles_of_any_size_give_the_whole_picture(bundle, height, width, tile, channels):
    image = picture(height, width, channels, seed=height)
    assert largest_difference(Upscaler(bundle, threads=1, tile=tile)(image), Upscaler(bundle, threads=1)(image)) <= 1


def test_a_halo_one_smaller_would_show(bundle, monkeypatch):
    """The radius of the card is not generous: tiles that see less differ."""
    from dataclasses import replace

    image = picture(33, 33)
    tiled = Upscaler(bundle, "ort", tile=8)
    whole = tiled.engine.run(np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32))
    tiled.card = replace(tiled.card, receptive_radius=tiled.card.receptive_radius - 2)
    monkeypatch.setattr("sparsr.runtime.engines.whole_image.from_values", lambda values, value_range, dtype: values)
    monkeypatch.setattr("sparsr.runtime.upscale.windows.np.empty", lambda shape, kind: np.zeros(shape, np.float32))
    assert np.abs(np.concatenate(list(tiled.strips(image))) - whole[0].transpose(1, 2, 0)).max() > 1e-4


def test_networks_that_see_the_whole_picture(whole_picture_bundle):
    upscaler = Upscaler(whole_picture_bundle, tile=24)
    assert not upscaler.exact
    assert upscaler(picture(50, 41)).shape == (100, 82, 3)


def test_alpha(bundle):
    upscaler = Upscaler(bundle)
    image = picture(12, 15, 4)
    result = upscaler(image)
    assert largest_difference(result[..., :3], upscaler(image[..., :3].copy())) == 0
    assert largest_difference(result[..., 3], upscaler(image[..., 3:].repeat(3, axis=2))[..., 1]) == 0
    image[..., 3] = 200
    assert (upscaler(image)[..., 3] == 200).all()


def test_memory_layout_does_not_matter(bundle):
    upscaler = Upscaler(bundle)
    image = picture(20, 14)
    expected = upscaler(image)
    backwards = image[::-1, ::-1].copy()[::-1, ::-1]
    wider = np.dstack([image, image])[..., :3]
    for view in (np.asfortranarray(image), backwards, wider):
        assert not view.flags.c_contiguous
        assert (upscaler(view) == expected).all()


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4, 3), np.float64),
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
        [[0, 0, 0]],
        None,
    ],
)
def test_refuses_what_is_no_picture(bundle, image):
    with pytest.raises(SparsrError, match="a picture must"):
        Upscaler(bundle)(image)


@pytest.mark.parametrize("value", [255, -3, np.nan, np.inf])
def test_floating_point_beyond_white_is_refused_and_not_white(bundle, value):
    """Taken as it is it would be clipped to white without a word."""
    image = np.full((4, 4, 3), 0.5, np.float32)
    image[1, 2, 0] = value
    with pytest.raises(SparsrError, match=r"a float32 picture has values of 0\.\.1") as caught:
        Upscaler(bundle)(image)
    assert "divide" in caught.value.hint


def test_sharpened_values_a_little_beyond_white_are_taken(bundle):
    image = np.full((4, 4, 3), 1.1, np.float32)
    assert Upscaler(bundle)(image).dtype == np.float32


def test_small_pictures_are_continued_by_their_border(bundle):
    from dataclasses import replace

    upscaler = Upscaler(bundle)
    plain = Upscaler(bundle)
    upscaler.card = replace(upscaler.card, minimum_size=15)
    image = picture(4, 20)
    continued = np.concatenate([image, image[-1:].repeat(11, axis=0)])
    assert (upscaler(image) == plain(continued)[:8]).all()


def test_no_window_is_below_the_minimum_size(bundle):
    from dataclasses import replace

    upscaler = Upscaler(bundle, tile=1)
    upscaler.card = replace(upscaler.card, minimum_size=40, receptive_radius=0)
    assert min(upscaler.tiling(100, 90).window) >= 40


def test_rounds_halves_up_and_clips():
    values = np.array([-9, -0.4, 0.49, 0.5, 1.5, 2.49, 254.5, 255.4, 999], np.float32)
    assert from_values(values.copy(), 255.0, np.uint8).tolist() == [0, 0, 0, 1, 2, 2, 255, 255, 255]
    assert from_values(np.array([0, 0.5, 1], np.float32), 1.0, np.uint8).tolist() == [0, 128, 255]


def test_too_little_memory_names_the_least_that_works(bundle):
    with pytest.raises(SparsrError, match="too few") as caught:
        Upscaler(bundle, max_memory=10**6)(picture(200, 300))
    least = int(caught.value.hint.split()[-1].removesuffix("M")) * 2**20
    # The process may have grown since, so another figure may hold for a new Upscaler; a little is added for that.
    upscaler = Upscaler(bundle, max_memory=least + 30 * 2**20)
    assert upscaler(picture(200, 300)).shape == (400, 600, 3)


def test_less_memory_means_smaller_windows(bundle):
    large, small = (Upscaler(bundle, "ort"), Upscaler(bundle, "ort"))
    small.max_memory = small.held + 40 * 2**20
    sizes = [np.prod(upscaler.tiling(2000, 1500).window) for upscaler in (small, large)]
    assert sizes[0] < sizes[1]


PEAK = """
import sys
import numpy as np
from sparsr import Upscaler
upscaler = Upscaler(sys.argv[1], sys.argv[2], 1, int(sys.argv[3]))
image = np.random.default_rng(0).integers(0, 256, (700, 800, 3), dtype=np.uint8)
assert upscaler.tiling(700, 800, reserve=4 * image.nbytes).whole == (sys.argv[4] == "whole")
upscaler(image)
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("engine", NEEDED)
def test_the_process_stays_within_its_limit(bundle, engine):
    limit = 230 * 2**20
    expected = "whole" if engine == "native" else "tiles"  # it states what its rows take
    command = [sys.executable, "-c", PEAK, str(bundle.path), engine, str(limit), expected]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(result.stdout) * 1024 <= limit  # VmHWM is in KiB


@pytest.mark.parametrize("engine", NEEDED)
def test_split_upscalers_share_the_work(bundle, engine):
    image = picture(20, 30)
    whole = Upscaler(bundle, engine, threads=3)
    parts = whole.split(20, 30)
    assert [part.engine.threads for part in parts] == [1, 1, 1]
    assert len({id(part.engine) for part in parts}) == 3
    results = list(map(np.zeros_like, 3 * [whole(image)]))
    workers = [threading.Thread(target=run_into, args=pair) for pair in zip(parts, results, strict=True)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for result in results:
        assert largest_difference(result, whole(image)) <= 1


def run_into(upscaler, result):
    result[:] = upscaler(picture(20, 30))


@pytest.mark.parametrize(("threads", "pictures", "expected"), [(5, 9, 5 * [1]), (5, 3, [1, 2, 2]), (5, 0.5, [5])])
def test_split_takes_as_many_as_memory_holds(bundle, threads, pictures, expected):
    upscaler = Upscaler(bundle, "native", threads)
    bytes_each = upscaler.engine.memory(1000, 1500) + 1000 * 1500 * (3 + 3 * 4)
    upscaler.max_memory = upscaler.held + int(pictures * bytes_each) + 2**20
    parts = upscaler.split(1000, 1500)
    assert [part.engine.threads for part in parts] == expected
    if len(parts) > 1:
        assert all(part.tiling(1000, 1500, reserve=4 * 4_500_000).whole for part in parts)
        assert sum(part.max_memory - part.held for part in parts) <= upscaler.max_memory - upscaler.held


SPLIT_PEAK = PEAK.replace("1, int", "3, int").split("assert upscaler")[0] + """
import threading
parts = upscaler.split(700, 800)
assert len(parts) == 3
workers = [threading.Thread(target=part, args=(image,)) for part in parts]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
""" + PEAK[PEAK.index("print("):]  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("engine", ["native", "ort"])
def test_split_upscalers_stay_within_the_limit(bundle, engine):
    limit = 800 * 2**20
    command = [sys.executable, "-c", SPLIT_PEAK, str(bundle.path), engine, str(limit)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) * 1024 <= limit


BLOCKED = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        heavy = {"torch", "onnx", "onnxscript", "tensorflow"}
        if name.split(".")[0] in heavy or name in {"sparsr.train", "sparsr.export", "sparsr.bench"}:
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Blocker())
import numpy as np
import sparsr.runtime.cli.main
from sparsr import Upscaler
for engine in ("ort", *sys.argv[2:]):
    assert Upscaler(sys.argv[1], engine)(np.zeros((5, 4, 3), np.uint8)).shape == (10, 8, 3)
print("fine")
"""


def test_works_without_torch_onnx_and_tensorflow(bundle):
    command = [sys.executable, "-c", BLOCKED, str(bundle.path), *INSTALLED]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.stdout == "fine\n", result.stderr


def test_an_interruption_while_the_work_is_ended_is_not_lost():
    """Python swallows what is raised while it throws a generator away."""

    def strips():
        try:
            yield np.zeros((4, 4, 3), np.uint8)
            yield np.zeros((4, 4, 3), np.uint8)
        finally:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(kept_rows(strips(), slice(1, 3), slice(0, 4)))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"threads": "2"}, "the number of threads must be a whole number, not '2'"),
        ({"threads": 1.5}, "the number of threads must be a whole number, not 1.5"),
        ({"max_memory": "1G"}, "max_memory must be a whole number, not '1G'"),
        ({"tile": "64"}, "the side of a tile must be a whole number, not '64'"),
        ({"engine": 5}, "there is no engine 5"),
        ({"precision": "fp8"}, "the precision cannot be 'fp8'"),
        ({"order": None}, "the order of colours cannot be None"),
        ({"bundle": 7}, "a bundle must be a path, not 7"),
        ({"bundle": None}, "a bundle must be a path, not None"),
    ],
)
def test_arguments_of_wrong_types_are_named(bundle, arguments, words):
    with pytest.raises(SparsrError, match=re.escape(words)):
        Upscaler(**{"bundle": bundle, **arguments})


def test_numbers_of_numpy_are_numbers(bundle):
    image = picture(20, 20)
    found = Upscaler(str(bundle.path), threads=np.int64(1), tile=np.int32(16), max_memory=np.int64(2**30))(image)
    np.testing.assert_array_equal(found, Upscaler(bundle)(image))


def test_tiles_that_waste_work_are_said(bundle):
    """Seven pixels around a tile of 1: 15 x 15 are computed for it."""
    with pytest.warns(UserWarning, match="computed 225 times"):
        Upscaler(bundle, tile=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Upscaler(bundle, tile=16)


def test_what_else_a_process_holds_is_no_reason_to_refuse(bundle):
    """The default limit of 1 GiB is of a process with little else; a limit that is asked for counts everything."""
    assert memory_limit(None, 2**27) == 2**30
    assert memory_limit(None, 3 * 2**30) == 3 * 2**30 + 2**29
    assert memory_limit(2**28, 3 * 2**30) == 2**28
    held = np.ones(2**27 + 2**25)  # 1.25 GiB
    assert Upscaler(bundle)(np.zeros((9, 11, 3), np.uint8)).shape == (9 * bundle.card.scale, 11 * bundle.card.scale, 3)
    assert held.nbytes > 2**30
