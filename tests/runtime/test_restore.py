"""`sparsr restore`: networks that keep the picture's size, on pictures, folders and films."""

from __future__ import annotations

import av
import numpy as np
import pytest
from small_bundles import write_small_bundle

from sparsr import Upscaler
from sparsr.runtime.cli.main import main
from sparsr.runtime.errors import run_cli
from sparsr.runtime.media.images import read_image, write_image


@pytest.fixture(scope="module", params=[("unet", {"channels": 4}), ("dmphn", {"channels": 2, "levels": 3})])
def network(request, tmp_path_factory):
    architecture, options = request.param
    return write_small_bundle(tmp_path_factory.mktemp(architecture) / "bundle", architecture, 1, **options)


@pytest.fixture
def restore(capsys, network):
    def run(*arguments, model=network.path):
        code = run_cli(lambda: main(["restore", *map(str, arguments), "--model", str(model)]))
        return code, *capsys.readouterr()

    return run


def picture(path, height=21, width=34, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    write_image(path, pixels)
    return pixels


def test_a_picture_keeps_its_size(restore, network, tmp_path):
    pixels = picture(tmp_path / "a.png")
    code, _, err = restore(tmp_path / "a.png")
    assert code == 0, err
    found = read_image(tmp_path / "a_restored.png").rgb
    assert np.array_equal(found, Upscaler(network)(pixels)) and found.shape == pixels.shape
    assert not np.array_equal(found, pixels)


def test_engines_agree_at_sizes_that_nothing_divides(network):
    pixels = np.random.default_rng(3).integers(0, 256, (13, 27, 3), dtype=np.uint8)
    results = [Upscaler(network, engine, 1)(pixels).astype(int) for engine in ("native", "ort", "litert")]
    for other in results[1:]:
        assert np.abs(results[0] - other).max() <= 1


def test_a_folder_goes_on_after_a_bad_picture(restore, tmp_path):
    picture(tmp_path / "in/a.png")
    (tmp_path / "in/b.png").write_bytes(b"nothing")
    code, _, err = restore(tmp_path / "in", tmp_path / "out")
    assert code == 2 and "b.png" in err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png"]


def test_a_film_keeps_its_size(restore, tmp_path):
    with av.open(str(tmp_path / "clip.mp4"), "w") as film:
        stream = film.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuv420p"
        for index in range(3):
            frame = av.VideoFrame.from_ndarray(np.full((24, 32, 3), 60 * index, np.uint8), format="rgb24")
            film.mux(stream.encode(frame))
        film.mux(stream.encode())
    code, _, err = restore(tmp_path / "clip.mp4", tmp_path / "out.mp4")
    assert code == 0, err
    with av.open(str(tmp_path / "out.mp4")) as film:
        frames = list(film.decode(video=0))
    assert len(frames) == 3 and (frames[0].width, frames[0].height) == (32, 24)


def test_a_network_that_enlarges_is_refused(restore, tmp_path):
    enlarging = write_small_bundle(tmp_path / "x2", "espcn", 2, channels=4)
    picture(tmp_path / "a.png")
    code, _, err = restore(tmp_path / "a.png", model=enlarging.path)
    assert code == 2
    assert "enlarges x2, `restore` keeps the size" in err and "sparsr upscale" in err
    assert not (tmp_path / "a_restored.png").exists()


def test_the_card_says_what_the_network_is_for(network, capsys):
    assert main(["info", str(network.path)]) == 0
    lines = dict(line.split(":", 1) for line in capsys.readouterr().out.splitlines())
    assert lines["task"].strip() == "deblurring"
    assert all(text.startswith(" ") for text in lines.values())
