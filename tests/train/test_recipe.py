"""Recipes: typed, strict, overridable."""

from __future__ import annotations

import dataclasses
import re

import pytest

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.media.images import list_images
from sparsr.train.data.folders import without_lr
from sparsr.train.pruning.settings import AsslSettings, GasslSettings
from sparsr.train.run import recipe

TEXT = """
[network]
architecture = "ledsr"
scale = 2
start = "dense.safetensors"
[data]
folders = ["photos"]
[prune]
method = "assl"
keep = 48
[train]
steps = 10
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(TEXT)
    return path


def test_a_recipe_is_typed_and_named_after_its_file(file):
    loaded = recipe.load(file)
    assert loaded.name == "mine"
    assert isinstance(loaded.prune, AsslSettings)
    assert (loaded.prune.keep, loaded.prune.ssa_steps) == (48, 17_260)


def test_overrides_reach_any_depth_and_keep_types(file):
    loaded = recipe.load(
        file, ["train.lr=1", "prune.method=gassl", 'data.folders=["a", "b"]', "prune.layer_channels.head=8"]
    )
    assert isinstance(loaded.prune, GasslSettings)
    assert loaded.train.lr == 1.0
    assert loaded.data.folders == ["a", "b"]
    assert loaded.prune.layer_channels == {"head": 8}


@pytest.mark.parametrize(
    ("override", "message", "hint"),
    [
        ("train.stepz=1", "unknown key train.stepz", "steps"),
        ("trian.steps=1", "unknown key trian", "train"),
        ("prune.methd=1", "unknown key prune.methd", "method"),
        ("prune.method=asl", "prune.method is 'asl'", "assl"),
        ("train.steps=many", "train.steps is 'many'", ""),
        ("train.steps=1.5", "train.steps is 1.5", ""),
        ("train.precision=float16", "train.precision is 'float16'", "bfloat16"),
        ("train.lr=0", "train.lr is 0.0", ""),
        ("train.steps=-1", "negative", ""),
        ("network.options.spatial=no", "network.options.spatial is 'no'", ""),
        ("data.folders=[]", "names no training images", "--set"),
        ("network.start=", "needs a trained network", "network.start"),
        ("nonsense", "not key=value", "--set"),
        ("name.deeper=1", "not a table", ""),
    ],
)
def test_mistakes_are_named_with_their_place(file, override, message, hint):
    with pytest.raises(SparsrError, match=message) as caught:
        recipe.load(file, [override])
    assert hint in caught.value.hint


def test_an_unknown_recipe_names_the_nearest_one():
    with pytest.raises(SparsrError) as caught:
        recipe.load("paper/asln_x2")
    assert "paper/assln_x2" in caught.value.hint


def test_broken_toml_and_unset_variables_are_refused(tmp_path, monkeypatch):
    (tmp_path / "broken.toml").write_text("[network\n")
    with pytest.raises(SparsrError, match="not valid TOML"):
        recipe.load(tmp_path / "broken.toml")
    monkeypatch.delenv("SPARSR_NOWHERE", raising=False)
    with pytest.raises(SparsrError, match="not set"):
        recipe.expand("$SPARSR_NOWHERE/images")


@pytest.mark.parametrize("name", recipe.shipped())
def test_every_shipped_recipe_loads_and_says_what_it_is(name):
    assert recipe.load(name).data.terms
    assert (recipe.RECIPES / f"{name}.toml").read_text().startswith("# ")


def test_the_shipped_recipes_train_on_every_image_they_name(shared_data, monkeypatch):
    """Nothing in their folders is taken for LR among HR: small pictures from an LR folder are HR here."""
    monkeypatch.setenv("SPARSR_DATA", str(shared_data))
    data = [recipe.load(name).data for name in recipe.shipped()]
    folders = {folder for settings in data for folder in settings.folders if folder.startswith("$SPARSR_DATA/train")}
    assert sum(len(list_images(recipe.expand(folder), recursive=True)) for folder in folders) == 591
    for folder in map(recipe.expand, folders):
        assert without_lr(list_images(folder, recursive=True), folder)[1] == []


def test_a_recipe_takes_from_the_one_it_extends_what_it_does_not_say(tmp_path, file):
    (tmp_path / "wider.toml").write_text(f'extends = "{file}"\n[prune]\nkeep = 64\nlayer_channels = {{head = 8}}\n')
    (tmp_path / "longer.toml").write_text(f'extends = "{tmp_path}/wider.toml"\n[train]\nsteps = 20\n')
    loaded, base = recipe.load(tmp_path / "longer.toml"), recipe.load(file)
    assert loaded.name == "longer"
    assert (loaded.prune.keep, loaded.prune.layer_channels, loaded.train.steps) == (64, {"head": 8}, 20)
    assert (loaded.network, loaded.data) == (base.network, base.data)
    assert recipe.load(tmp_path / "longer.toml", ["prune.keep=32"]).prune.keep == 32


@pytest.mark.parametrize(
    ("text", "message"),
    [("extends = 3", "extends is 3"), ('extends = "{self}"', "extends itself"), ('extends = "no"', "no recipe")],
)
def test_a_recipe_that_extends_nothing_useful_is_refused(tmp_path, text, message):
    path = tmp_path / "mine.toml"
    path.write_text(text.replace("{self}", str(path)))
    with pytest.raises(SparsrError, match=message):
        recipe.load(path)


SHIPPED = {name: recipe.RECIPES / f"{name}.toml" for name in recipe.shipped()}
EXTENDED = {name: re.findall('^extends = "(.*)"$', path.read_text(), re.M) for name, path in SHIPPED.items()}


@pytest.mark.parametrize(("name", "extended"), [(name, *names) for name, names in EXTENDED.items() if names])
def test_a_shipped_variant_differs_from_what_it_extends(name, extended):
    variant, base = recipe.load(name), recipe.load(extended)
    assert dataclasses.replace(variant, name=base.name) != base
    assert (variant.data, variant.train) == (base.data, base.train)  # the same schedule


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_paper_recipes_state_the_published_schedule(scale):
    """ASSL section 4.1 and its code: 17,260 + 20 * 5001 + 43,150 steps at 2e-4 before fine-tuning."""
    from sparsr.train.pruning.assl import Assl

    settings = recipe.load(f"paper/assln_x{scale}").prune
    assert isinstance(settings, AsslSettings)
    phases = Assl(settings).phases()
    assert [phase.steps for phase in phases] == [17_260, 100_020, 43_150]
    assert {phase.learning_rate(1) for phase in phases} == {2e-4}


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_both_settings_are_there_where_papers_and_code_differ(scale):
    """Methods of the authors' command lines: 49 channels (207 of 256 pruned), GASSL without SSA."""
    from sparsr.train.networks import build
    from sparsr.train.pruning.channel_groups import channel_groups
    from sparsr.train.pruning.selection import considered, kept_counts

    dense = build("ledsr", scale, channels=256, blocks=1)
    for name, channels in ((f"paper/assln_x{scale}", 48), (f"paper/assln49_x{scale}", 49)):
        settings = recipe.load(name).prune
        groups = considered(channel_groups(dense), settings.skip)
        assert set(kept_counts(groups, settings).values()) == {channels}
    with_ssa, without = (recipe.load(f"paper/gassl_{name}x{scale}").prune.ssa_steps for name in ("ssa_", ""))
    assert (with_ssa, without) == (17_260, 0)
    float32 = recipe.load(f"paper/assln_x{scale}", ["train.precision=float32"])
    assert float32.train.precision == "float32"


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_smsr_recipes_state_the_published_schedule(scale):
    """SMSR section 4.1, t in epochs of 1000 steps: lambda = 0.1 min(t / 50, 1), tau = max(1 - t / 500, 0.4)."""
    from sparsr.train.run.loop import learning_rate
    from sparsr.train.smsr.training import sparsity_weight, temperature

    chosen = recipe.load(f"paper/smsr_x{scale}")
    assert (chosen.data.patch, chosen.data.batch, chosen.train.steps) == (96, 16, 1_000_000)
    assert [learning_rate(chosen.train, step) for step in (1, 200_000, 200_001)] == [2e-4, 2e-4, 1e-4]
    weights = [sparsity_weight(chosen.prune, step) for step in (1, 25_001, 50_001, 900_000)]
    assert weights == pytest.approx([0, 0.05, 0.1, 0.1])
    assert [temperature(chosen.prune, step) for step in (1, 250_001, 300_001, 900_000)] == [1, 0.5, 0.4, 0.4]
    swept = recipe.load(f"paper/smsr_x{scale}", ["prune.sparsity_weight=0.3", "network.options.spatial=false"])
    assert (swept.prune.sparsity_weight, swept.network.options) == (0.3, {"spatial": False, "channel": True})
    with pytest.raises(SparsrError, match=r"prune\.cool_down_steps is 0"):
        recipe.load(f"paper/smsr_x{scale}", ["prune.cool_down_steps=0"])
