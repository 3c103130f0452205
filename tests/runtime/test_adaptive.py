"""Adaptive bundles: strict reading, seams, limits, and the command line."""

import hashlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from small_adaptive import NETWORKS, random_estimator, write_adaptive

from sparsr import Bundle, Upscaler
from sparsr.runtime.cli.main import main
from sparsr.runtime.errors import SparsrError, run_cli
from sparsr.runtime.model.adaptive_bundle import AdaptiveBundle
from sparsr.runtime.upscale.adaptive.bicubic import Bicubic, gmacs_720p
from sparsr.runtime.upscale.adaptive.upscaler import AdaptiveUpscaler
from sparsr.runtime.upscale.models import open_model
from sparsr.runtime.upscale.tiling import Span
from sparsr.train.data import bicubic

CANDIDATES = (*NETWORKS, "bicubic")


@pytest.fixture(scope="session")
def adaptive(tmp_path_factory):
    return write_adaptive(tmp_path_factory.mktemp("adaptive") / "bundle")


@pytest.fixture
def adaptive_copy(adaptive, tmp_path):
    return shutil.copytree(adaptive.path, tmp_path / "copy")


def picture(height, width, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def uneven(height, width):
    """Texture whose strength changes from place to place."""
    image = picture(height, width).astype(float) - 128
    strength = np.add.outer(np.linspace(-1, 1, height), np.linspace(-1, 1, width)).clip(0)[..., None]
    return (image * strength + 128).astype(np.uint8)


def bicubic_whole(image, scale=2):
    rows, columns = (Span(0, side, 0, side) for side in image.shape[:2])
    return Bicubic(scale).window(image, rows, columns)


def whole_pictures(bundle, image, engine="ort"):
    """What each candidate makes of the whole picture."""
    return [*(Upscaler(network, engine, 1)(image) for network in bundle.networks), bicubic_whole(image)]


@pytest.mark.parametrize("engine", ["ort", "native"])
@pytest.mark.parametrize("size", [(90, 75), (200, 210)])
def test_every_patch_is_what_its_candidate_gives_for_the_whole_picture(adaptive, engine, size):
    image = uneven(*size)
    wholes = whole_pictures(adaptive, image, engine)
    upscaler = AdaptiveUpscaler(adaptive, engine, 1, beta=0.02)
    assert upscaler.exact
    seen = set()
    for beta in (0.0, 0.005, 0.02, 0.05, 0.2):
        upscaler.beta = beta
        result = upscaler(image)
        choice = upscaler.shares.choice
        assert choice.shape == (-(-size[0] // 16), -(-size[1] // 16))
        seen |= set(choice.flat)
        for row, column in np.ndindex(choice.shape):
            part = np.s_[32 * row : 32 * row + 32, 32 * column : 32 * column + 32]
            difference = result[part].astype(int) - wholes[choice[row, column]][part]
            assert np.abs(difference).max() <= 1  # engines add up in another order
    assert len(seen) == 3, "the picture and the betas must bring all candidates in"


@pytest.mark.parametrize(("candidate", "bias"), [(0, (0.0, 6.0, 6.0)), (1, (6.0, 0.0, 6.0)), (2, (6.0, 6.0, 0.0))])
def test_one_choice_everywhere_is_that_candidate(tmp_path, candidate, bias):
    bundle = write_adaptive(tmp_path / "bundle", bias=bias)
    image = picture(40, 70)
    upscaler = AdaptiveUpscaler(bundle, "ort", 1, beta=0.01)
    assert (upscaler(image) == whole_pictures(bundle, image)[candidate]).all()
    pixels = [0, 0, 0]
    pixels[candidate] = 40 * 70  # one window, so no surroundings are computed twice
    assert upscaler.shares.pixels.tolist() == pixels


def test_split(adaptive):
    """Each with networks of its own, and the same choice of patches."""
    whole, image = AdaptiveUpscaler(adaptive, "native", threads=2), picture(50, 60)
    whole.measure_prices()
    parts = whole.split(50, 60)
    engines = {id(candidate.engine) for part in [whole, *parts] for candidate in part.candidates[:-1]}
    assert len(parts) == 2
    assert len(engines) == 3 * (len(whole.candidates) - 1)
    for part in parts:
        assert part.engine is part.candidates[0].engine
        np.testing.assert_array_equal(part(image), whole(image))


def test_a_huge_beta_takes_bicubic(adaptive):
    image = uneven(50, 60)
    assert (AdaptiveUpscaler(adaptive, "ort", 1, beta=1e6)(image) == bicubic_whole(image)).all()


def test_the_published_rule_leaves_surroundings_out(adaptive):
    image = uneven(200, 210)
    upscaler = AdaptiveUpscaler(adaptive, "ort", 1, beta=0.05, published=True)
    result = upscaler(image)
    errors = adaptive.estimator()(image, 16).astype(float)
    costs = upscaler.card.costs
    saved = np.array([[[0.05 * (costs[0] - cost) / costs[0]]] for cost in costs]) + (errors[-1] - errors) / errors[-1]
    assert (upscaler.shares.choice == saved.argmax(0)).all()
    assert (upscaler.shares.choice != upscaler.shares.choice[0, 0]).any()
    wholes = whole_pictures(adaptive, image)
    for row, column in np.ndindex(upscaler.shares.choice.shape):
        part = np.s_[32 * row : 32 * row + 32, 32 * column : 32 * column + 32]
        assert np.abs(result[part].astype(int) - wholes[upscaler.shares.choice[row, column]][part]).max() <= 1


def test_strips_and_memory(adaptive):
    """Less memory means smaller blocks, whose windows may differ, but not what a patch's candidate gives."""
    image = uneven(150, 120)
    upscaler = AdaptiveUpscaler(adaptive, "ort", 1, beta=0.02)
    least = upscaler.held + image.nbytes + 4 * image.nbytes
    upscaler.max_memory = least + 2**20
    wholes, strips = whole_pictures(adaptive, image), list(upscaler.strips(image))
    assert len(strips) > 1
    result = np.concatenate(strips)
    choice = upscaler.shares.choice.repeat(32, 0).repeat(32, 1)[:300, :240, None]
    expected = np.choose(choice, wholes)
    assert np.abs(result.astype(int) - expected).max() <= 1
    upscaler.max_memory = 10**6
    with pytest.raises(SparsrError, match="memory are too few"):
        upscaler.strips(image)


def test_windows_fill_whole_lines_and_are_never_too_small(adaptive, monkeypatch):
    image = uneven(150, 120)
    upscaler, shapes = AdaptiveUpscaler(adaptive, "ort", 1, beta=0.02), []
    upscaler.prices = [replace(price, least=20, columns=48) for price in upscaler.prices]
    compute = Upscaler.window
    monkeypatch.setattr(Upscaler, "window", lambda *of: shapes.append(of[1].shape) or compute(*of))
    result = upscaler(image)
    assert len({width for _, width, _ in shapes}) > 1
    assert all(height >= 20 and (width == 120 or width % 48 == 0) for height, width, _ in shapes)
    monkeypatch.undo()
    choice = upscaler.shares.choice.repeat(32, 0).repeat(32, 1)[:300, :240, None]
    assert np.abs(result.astype(int) - np.choose(choice, whole_pictures(adaptive, image))).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (33, 2), (17, 16)])
def test_odd_sizes_and_alpha(adaptive, size):
    upscaler = AdaptiveUpscaler(adaptive, "ort", 1, beta=0.02)
    image = picture(*size, channels=4)
    result = upscaler(image)
    assert result.shape == (2 * size[0], 2 * size[1], 4)
    assert (result[..., :3] == upscaler(np.ascontiguousarray(image[..., :3]))).all()
    image[..., 3] = 200
    assert (upscaler(image)[..., 3] == 200).all()


def test_bicubic_is_the_textbooks_inside():
    """Pillow and MATLAB differ only in rounding between the passes and at the border."""
    image = picture(30, 40) // 2 + 64  # nothing is clipped between the passes, whose order differs
    ours, textbook = bicubic_whole(image, 4), bicubic.upscale(image, 4)
    assert np.abs(ours[12:-12, 12:-12].astype(int) - textbook[12:-12, 12:-12]).max() <= 2
    window = Bicubic(4).window(image[5:25, 3:], Span(5, 25, 7, 23), Span(3, 40, 5, 40))
    assert (window == ours[28:92, 20:]).all()
    assert gmacs_720p(4) == pytest.approx(1280 * 720 * 3 * (4 + 4 / 4) / 1e9)


def test_prices_in_time(adaptive):
    upscaler = AdaptiveUpscaler(adaptive, "ort", 1, beta=0.0)
    halos = [price.halo for price in upscaler.prices]
    upscaler.measure_prices()
    assert [price.halo for price in upscaler.prices] == halos
    assert all(0 < price.pixel < 1e-3 and 0 <= price.window < 1 for price in upscaler.prices)
    image = uneven(50, 60)
    assert upscaler(image).shape == (100, 120, 3)
    upscaler.beta = 1e6
    assert (upscaler(image) == bicubic_whole(image)).all()


@pytest.mark.parametrize("beta", [-1, float("nan"), float("inf")])
def test_impossible_betas(adaptive, beta):
    with pytest.raises(SparsrError, match="beta"):
        AdaptiveUpscaler(adaptive, beta=beta)


def edit(folder, **changes):
    card = json.loads((folder / "card.json").read_text())
    for name, value in changes.items():
        *path, last = name.split("__")
        target = card
        for step in path:
            target = target[int(step) if step.isdigit() else step]
        target[last] = value
    (folder / "card.json").write_text(json.dumps(card))


def test_reads_back(adaptive):
    assert adaptive.card.candidates == CANDIDATES
    assert [network.card.receptive_radius for network in adaptive.networks] == [7, 5]
    assert isinstance(open_model(adaptive.path), AdaptiveBundle)
    assert isinstance(open_model(adaptive.networks[0].path), Bundle)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema": "sparsr-adaptive/9"}, "sparsr-adaptive/9"),
        ({"surprise": 1}, "unknown field"),
        ({"patch": 0}, "patches of 0"),
        ({"patch": 10**9}, "patches of"),
        ({"scale": 3}, "x2, the card"),
        ({"networks": []}, "names 0 networks"),
        ({"networks__0__folder": "../elsewhere"}, "leave the bundle"),
        ({"networks__0__folder": "/etc"}, "leave the bundle"),
        ({"networks__0__folder": ".."}, "leave the bundle"),
        ({"networks__0__folder": "middle"}, "same folder"),
        ({"networks__0__folder": "missing"}, "does not exist"),
        ({"networks__0__card_sha256": "0" * 64}, "sha256 differs"),
        ({"networks__0__cost": -1.0}, "sorted by cost"),
        ({"networks__0__cost": 0.02}, "sorted by cost"),
        ({"networks__0__halo": -1}, "halo or cost"),
        ({"networks__0__halo": 10**9}, "halo or cost"),
        ({"bicubic_cost": -0.5}, "sorted by cost"),
        ({"estimator__name": "../x"}, "leave the bundle"),
        ({"estimator__bytes": 10**12}, "is said to have"),
    ],
)
def test_refuses_wrong_cards(adaptive_copy, changes, words):
    edit(adaptive_copy, **changes)
    with pytest.raises(SparsrError, match=words):
        open_model(adaptive_copy)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"schema": "sparsr-adaptive/1"}', "[" * 100_000])
def test_refuses_damaged_cards(adaptive_copy, text):
    (adaptive_copy / "card.json").write_text(text)
    with pytest.raises(SparsrError, match="card"):
        open_model(adaptive_copy)


def test_refuses_another_estimator_and_links(adaptive_copy, tmp_path):
    path = adaptive_copy / "estimator.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"x")
    with pytest.raises(SparsrError, match="sha256 differs"):
        AdaptiveUpscaler(adaptive_copy)
    path.rename(tmp_path / "moved")
    path.symlink_to(tmp_path / "moved")
    with pytest.raises(SparsrError, match="is a link"):
        AdaptiveUpscaler(adaptive_copy)
    (adaptive_copy / "large").rename(tmp_path / "large")
    (adaptive_copy / "large").symlink_to(tmp_path / "large")
    with pytest.raises(SparsrError, match="holds a link"):
        open_model(adaptive_copy)


def test_refuses_an_estimator_of_other_candidates(tmp_path):
    bundle = write_adaptive(tmp_path / "bundle")
    content = random_estimator(2)
    (bundle.path / "estimator.safetensors").write_bytes(content)
    edit(bundle.path, estimator__bytes=len(content), estimator__sha256=hashlib.sha256(content).hexdigest())
    with pytest.raises(SparsrError, match="knows 2 candidates, the bundle has 3"):
        AdaptiveUpscaler(bundle.path)


@pytest.fixture
def command(capsys):
    def run(*arguments):
        code = run_cli(lambda: main([str(argument) for argument in arguments]))
        return code, *capsys.readouterr()

    return run


def test_command_line(command, adaptive, tmp_path):
    image = uneven(60, 80)
    Image.fromarray(image).save(tmp_path / "in.png")
    code, out, err = command("upscale", tmp_path / "in.png", tmp_path / "out.png", "--model", adaptive.path,
                             "--beta", "0.02", "--patch-map", tmp_path / "map.png", "--threads", 1)  # fmt: skip
    assert (code, err) == (0, "")
    upscaler = AdaptiveUpscaler(adaptive, "ort", 1, beta=0.02)
    expected = upscaler(image)
    assert (np.asarray(Image.open(tmp_path / "out.png")) == expected).all()
    assert (np.asarray(Image.open(tmp_path / "map.png")) == upscaler.patch_map(image)).all()
    share = (upscaler.shares.choice == 0).mean()
    assert f"patches: large {share:.0%}" in out
    code, out, _ = command("info", adaptive.path)
    assert code == 0
    assert "patches of 16x16" in out and "large/" in out and "7 pixels around" in out
    code, out, _ = command("info", adaptive.path, "--json")
    assert json.loads(out)["schema"] == "sparsr-adaptive/1"


def test_patch_map_shows_the_choice(adaptive):
    image = uneven(60, 80)
    upscaler = AdaptiveUpscaler(adaptive, "ort", 1, beta=0.02)
    upscaler(image)
    drawn = upscaler.patch_map(np.full_like(image, 100))
    assert drawn.shape[1] == 160 and drawn.shape[0] > 120
    choice = upscaler.shares.choice
    assert len(np.unique(choice)) > 1
    middles = drawn[16:120:32, 16:160:32]
    colours = [{tuple(c) for c in middles[choice == number]} for number in range(3)]
    assert all(len(found) == (number in choice) for number, found in enumerate(colours))
    assert len(set().union(*colours)) == len(np.unique(choice))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--beta", "-1"], "beta"),
        (["--beta", "nan"], "beta"),
        (["--tile", "8"], "--tile"),
        (["--patch-map", "map.txt"], "format"),
    ],
)
def test_wrong_options(command, adaptive, tmp_path, options, words):
    Image.fromarray(picture(8, 8)).save(tmp_path / "in.png")
    code, _, err = command("upscale", tmp_path / "in.png", tmp_path / "out.png", "--model", adaptive.path, *options)
    assert code == 2 and words in err
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize("option", [["--beta", "1"], ["--by-time"], ["--patch-map", "map.png"]])
def test_single_networks_have_no_beta(command, bundle, tmp_path, option):
    Image.fromarray(picture(8, 8)).save(tmp_path / "in.png")
    code, _, err = command("upscale", tmp_path / "in.png", tmp_path / "out.png", "--model", bundle.path, *option)
    assert code == 2 and "single network" in err


def test_a_patch_map_replaces_nothing_unasked(command, adaptive, tmp_path):
    source, target, drawn = (tmp_path / name for name in ("in.png", "out.png", "map.png"))
    Image.fromarray(picture(8, 8)).save(source)
    drawn.write_bytes(b"mine")
    before = source.read_bytes()
    for path, words, options in (
        (drawn, "map.png exists already", []),
        (source, "in.png is the input or the output itself", ["--overwrite"]),
        (target, "out.png is the input or the output itself", []),
    ):
        code, _, err = command("upscale", source, target, "--model", adaptive.path, "--patch-map", path, *options)
        assert code == 2 and words in err
    assert (source.read_bytes(), drawn.read_bytes(), target.exists()) == (before, b"mine", False)


def test_folders_have_no_patch_map(command, adaptive, tmp_path):
    (tmp_path / "in").mkdir()
    options = ["--model", adaptive.path, "--patch-map", "map.png"]
    code, _, err = command("upscale", tmp_path / "in", tmp_path / "out", *options)
    assert code == 2 and "single picture" in err
