"""Random patches: what they are, that nothing but (seed, step, place) decides them, and the cache."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest
import torch

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.media.images import write_image
from sparsr.train.data import patches as data_module
from sparsr.train.data.bicubic import crop_to_multiple, downscale
from sparsr.train.data.patches import PatchData

CPU = torch.device("cpu")


def quiet(_):
    pass


def image(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path):
    images = tmp_path / "images"
    write_image(images / "a.png", image(27, 33, 1))
    write_image(images / "deep/b.bmp", image(40, 26, 2))
    write_image(images / "c.tif", image(24, 24, 3))
    return images


def patches(folder, **options):
    settings = {"scale": 2, "patch": 6, "report": quiet} | options
    return PatchData([folder], device=CPU, **settings)


def dihedral(array):
    """All eight flips and turns of [h, w, c]."""
    for turned in (array, array.swapaxes(0, 1)):
        for flipped in (turned, turned[::-1]):
            yield from (flipped, flipped[:, ::-1])


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_every_patch_is_a_window_flipped_or_transposed(folder, scale):
    lr, hr = patches(folder, scale=scale, patch=5).batch(seed=3, step=11, size=40)
    assert lr.shape == (40, 3, 5, 5) and hr.shape == (40, 3, 5 * scale, 5 * scale)
    assert lr.dtype == hr.dtype == torch.float32 and lr.is_contiguous() and hr.is_contiguous()
    windows = {}
    for height, width, seed in ((27, 33, 1), (40, 26, 2), (24, 24, 3)):
        whole = crop_to_multiple(image(height, width, seed), scale)
        small = downscale(whole, scale)
        for y in range(small.shape[0] - 4):
            for x in range(small.shape[1] - 4):
                large = whole[scale * y : scale * (y + 5), scale * x : scale * (x + 5)]
                forms = zip(dihedral(small[y : y + 5, x : x + 5]), dihedral(large), strict=True)
                for which, (low, high) in enumerate(forms):
                    windows[low.tobytes()] = (which, high)
    seen = set()
    for low, high in zip(lr, hr, strict=True):
        which, expected = windows[low.permute(1, 2, 0).numpy().astype(np.uint8).tobytes()]
        np.testing.assert_array_equal(high.permute(1, 2, 0).numpy(), expected)
        seen.add(which)
    assert seen == set(range(8))


def test_a_step_depends_on_seed_and_step_alone(folder):
    first, second = patches(folder), patches(folder)
    first.batch(1, 5, 16)
    for a, b in zip(first.batch(1, 6, 16), second.batch(1, 6, 16), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(first.batch(1, 6, 16)[0], first.batch(1, 7, 16)[0])
    assert not torch.equal(first.batch(1, 6, 16)[0], first.batch(2, 6, 16)[0])
    assert torch.equal(first.batch(1, 6, 16)[1][:5], first.batch(1, 6, 5)[1])


def test_processes_see_the_slices_of_the_whole_batch(folder):
    data = patches(folder)
    whole = data.batch(1, 2, 12)
    shares = [data.batch(1, 2, 12, rank, 3) for rank in range(3)]
    for side in (0, 1):
        assert torch.equal(torch.cat([share[side] for share in shares]), whole[side])
    with pytest.raises(SparsrError, match="evenly"):
        data.batch(1, 2, 13, 0, 3)


def test_every_position_is_equally_likely(tmp_path):
    # One image with a single position, one with nine: told apart by their brightness.
    write_image(tmp_path / "one.png", np.full((8, 8, 3), 10, np.uint8))
    write_image(tmp_path / "nine.png", np.full((12, 12, 3), 200, np.uint8))
    data = patches(tmp_path, patch=4)
    bright = data.batch(0, 0, 4000)[0][:, 0, 0, 0] > 100
    assert abs(bright.float().mean().item() - 0.9) < 4 * (0.09 / 4000) ** 0.5


def test_holdout_is_spread_whole_and_never_trained_on(tmp_path):
    for number in range(9):
        write_image(tmp_path / f"{number}.png", np.full((16, 20, 3), 20 * number, np.uint8))
    data = patches(tmp_path, holdout=3)
    assert data.images == 6
    shades = [int(hr[0, 0, 0]) // 20 for _, hr in data.validation]
    assert shades == [1, 4, 7]
    assert all(lr.shape == (3, 8, 10) and hr.shape == (3, 16, 20) for lr, hr in data.validation)
    seen = data.batch(0, 0, 2000)[1][:, 0, 0, 0].div(20).int().unique().tolist()
    assert seen == [0, 2, 3, 5, 6, 8]


def test_validation_pairs_are_the_images(folder):
    data = patches(folder, holdout=2)
    lr, hr = data.validation[0]
    expected = crop_to_multiple(image(27, 33, 1), 2)
    np.testing.assert_array_equal(hr.permute(1, 2, 0).numpy(), expected)
    np.testing.assert_array_equal(lr.permute(1, 2, 0).numpy(), downscale(expected, 2))


def fail(*_):
    raise AssertionError("decoded again")


def test_second_start_reads_the_cache(folder, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    first = patches(folder, cache=cache).batch(1, 2, 8)
    assert [path.suffix for path in cache.iterdir()] == [".safetensors"]
    monkeypatch.setattr(data_module, "read_image", fail)
    again = patches(folder, cache=cache).batch(1, 2, 8)
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    with pytest.raises(AssertionError, match="decoded again"):
        patches(folder, cache=cache, scale=3)


def test_changed_image_makes_the_cache_stale(folder, tmp_path):
    cache = tmp_path / "cache"
    patches(folder, cache=cache)
    write_image(folder / "a.png", image(27, 33, 9))
    os.utime(folder / "a.png", ns=(1, 1))
    assert torch.equal(patches(folder, cache=cache).batch(1, 2, 8)[1], patches(folder).batch(1, 2, 8)[1])


@pytest.mark.parametrize("damage", [lambda raw: raw[:-9], lambda raw: b"", lambda raw: b"\xff" * 40 + raw[40:]])
def test_damaged_cache_is_remade(folder, tmp_path, damage):
    cache = tmp_path / "cache"
    patches(folder, cache=cache)
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert torch.equal(patches(folder, cache=cache).batch(1, 2, 8)[1], patches(folder).batch(1, 2, 8)[1])
    assert file.read_bytes() == whole


def test_a_cache_that_cannot_be_written_does_not_stop_training(folder, tmp_path, monkeypatch):
    lines = []
    data = patches(folder, cache=folder / "a.png" / "cache", report=lines.append)
    assert data.images == 3 and "could not be kept" in lines[-1]

    def full(tensors, path, metadata):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(data_module, "save_file", full)
    assert patches(folder, cache=tmp_path / "cache", report=lines.append).images == 3
    assert "No space left" in lines[-1] and not any((tmp_path / "cache").iterdir())


def test_unusable_images_are_named_and_left_out(folder):
    (folder / "broken.png").write_bytes(b"no image")
    write_image(folder / "tiny.png", image(1, 40))
    write_image(folder / "small.png", image(9, 40))
    lines = []
    data = patches(folder, report=lines.append)
    assert data.images == 3
    text = "\n".join(lines)
    assert "broken.png" in text and "tiny.png" in text and "1 of 4 images are smaller than a patch" in text
    for low in data.batch(0, 0, 50)[0]:
        assert low.shape == (3, 6, 6)


def test_nothing_left_to_train_on(folder, tmp_path):
    with pytest.raises(SparsrError, match="large enough"):
        patches(folder, patch=30)
    with pytest.raises(SparsrError, match="3 images can be used, and 3 of them"):
        patches(folder, holdout=3)
    (tmp_path / "bad").mkdir()
    with pytest.raises(SparsrError, match="no images"):
        patches(tmp_path / "bad")
    (tmp_path / "bad/a.png").touch()
    with pytest.raises(SparsrError, match="none of the training images"):
        patches(tmp_path / "bad")
