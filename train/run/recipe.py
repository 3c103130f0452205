"""Recipes: a training run as a typed TOML file. Every key is checked; an unknown one names its nearest neighbour."""

from __future__ import annotations

import dataclasses
import os
import tomllib
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.nearest import meant
from sparsr.train.pruning.settings import PruningSettings
from sparsr.train.run.methods import METHODS

RECIPES = Path(__file__).parents[1] / "recipes"


@dataclass(frozen=True)
class NetworkSettings:
    """Which network is trained, and where its first weights come from."""

    architecture: str = "ledsr"
    scale: int = 2
    channels: int = 0
    """Width before pruning; 0: the architecture's own."""
    blocks: int = 0
    """Number of blocks; 0: the architecture's own."""
    options: dict[str, bool | int] = field(default_factory=dict)
    """What else the architecture takes, for example SMSR's `spatial` and `channel`, or RFDN's `attention`."""
    task: Literal["", "deblurring", "denoising", "restoration"] = ""
    """What a network of scale 1 learns from its pairs; empty: what the architecture is for."""
    start: str = ""
    """Checkpoint to start from; layers whose shape differs (the tail of another scale) keep their random weights.
    Empty: random weights. Methods that prune a trained network need it."""


@dataclass(frozen=True)
class DataSettings:
    """Training images. HR folders; LR is made by the MATLAB-exact bicubic. At scale 1 folders of pairs."""

    folders: list[str] = field(default_factory=list)
    """Searched recursively. Environment variables and ~ are expanded. LR images among them are left out and named. At
    scale 1 each holds folders `blur` and `sharp` (or `noisy` and `clean`, `input` and `target`) with pictures of one
    size under the same names."""
    data_range: str = ""
    """Which images of every folder, FIRST-LAST in the order of their names: `1-800` of DIV2K's 900. Empty: all."""
    patch: int = 48
    """Side of a training patch in LR pixels."""
    batch: int = 16
    """Patches per step over all processes together."""
    holdout: int = 5
    """Images kept out of training, spread evenly over the list, for validation."""
    cache: str = ""
    """Folder for the decoded images; empty: beside the run."""
    unlabelled: bool = False
    """The images are inputs of the network themselves: nothing is made of them, and there is no HR. Needs `distill`."""
    terms: str = ""
    """Where the images come from and on which terms; copied into the card."""


@dataclass(frozen=True)
class DistillSettings:
    """Self-distillation (ours): the network being pruned learns from what it was before.

    Off in recipes of papers. It needs neither HR nor the degradation the network was trained with.
    """

    share: float = 1.0
    """Share of the loss, 0 to 1, that compares with the dense network's output; the rest compares with HR."""
    perceptual: float = 0.0
    """Share of that comparison, 0 to below 1, by structure and detail instead of by pixels; see `distillation`."""


@dataclass(frozen=True)
class TrainSettings:
    """The training proper, or the fine-tuning after pruning. Loss: L1 in units of 0..255."""

    steps: int = 1000
    lr: float = 1e-4
    """Adam's step size at the start."""
    schedule: Literal["step", "cosine"] = "step"
    """step: halved every `halve_every` steps. cosine: falls to 0 at the last step."""
    halve_every: int = 200_000
    precision: Literal["float32", "bfloat16"] = "float32"
    validate_every: int = 1000
    save_every: int = 500
    log_every: int = 100
    tensorboard: bool = False


@dataclass(frozen=True)
class Recipe:
    """A whole run: dense training without `prune`; with it a method's phases, then training by `train`."""

    name: str
    seed: int = 1
    network: NetworkSettings = field(default_factory=NetworkSettings)
    data: DataSettings = field(default_factory=DataSettings)
    train: TrainSettings = field(default_factory=TrainSettings)
    prune: PruningSettings | None = None
    distill: DistillSettings | None = None
    """Only with `prune`: the teacher is the network that pruning starts from."""

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary, for cards and logs."""
        return dataclasses.asdict(self)


def load(path: str | Path, overrides: list[str] | None = None) -> Recipe:
    """Read a recipe file, or one of `train/recipes` by its name, and apply `key.key=value` overrides.

    A recipe with `extends` takes from the one it names there, given likewise, what it does not say itself.
    Raises `SparsrError` for a missing file, bad TOML, unknown keys, wrong types or impossible values.
    """
    path = _find(str(path))
    raw = _extended(path, ())
    raw["name"] = raw.get("name", path.stem)
    for override in overrides or []:
        _override(raw, override)
    return parse(raw, str(path))


def parse(raw: dict[str, Any], where: str) -> Recipe:
    """Recipe from a plain dictionary; `where` names it in error messages."""
    recipe: Recipe = _typed(Recipe, raw, where, "")
    _check(recipe, where)
    return recipe


def _extended(path: Path, extending: tuple[Path, ...]) -> dict[str, Any]:
    """The file's keys over those of the recipe it extends, which may extend another."""
    if path in extending:
        raise SparsrError(f"the recipe {path} extends itself", "remove an `extends`")
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SparsrError(f"{path} is not valid TOML: {error}") from error
    if "extends" not in raw:
        return raw
    name = raw.pop("extends")
    if not isinstance(name, str):
        raise SparsrError(f"{path}: extends is {name!r}, not the name of a recipe", "for example paper/smsr_x2")
    base = _extended(_find(name), (*extending, path))
    base.pop("name", None)
    return _merged(base, raw)


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    both = base | over
    for key in base.keys() & over.keys():
        if isinstance(base[key], dict) and isinstance(over[key], dict):
            both[key] = _merged(base[key], over[key])
    return both


def _find(name: str) -> Path:
    for candidate in (Path(name), RECIPES / f"{name}.toml"):
        if candidate.is_file():
            return candidate
    raise SparsrError(f"there is no recipe {name}", meant(name.removesuffix(".toml"), shipped()))


def shipped() -> list[str]:
    """Names of the recipes that come with SparSR, for example `paper/assln_x2`."""
    return sorted(path.relative_to(RECIPES).with_suffix("").as_posix() for path in RECIPES.rglob("*.toml"))


def _override(raw: dict[str, Any], text: str) -> None:
    key, sign, value = text.partition("=")
    if not sign or not key:
        raise SparsrError(f"--set {text} is not key=value", "for example --set train.steps=1000")
    try:
        parsed = tomllib.loads(f"v = {value}")["v"]
    except tomllib.TOMLDecodeError:
        parsed = value  # a bare word is a string
    *parents, last = key.strip().split(".")
    table = raw
    for parent in parents:
        table = table.setdefault(parent, {})
        if not isinstance(table, dict):
            raise SparsrError(f"--set {text}: {parent} is not a table")
    table[last] = parsed


def _typed(kind: Any, value: Any, where: str, key: str) -> Any:
    """`value` from TOML as an instance of the annotated type `kind`, or a `SparsrError` naming the key."""
    if key == "prune" and value is not None:
        kind = _pruning_kind(value, where)
    if dataclasses.is_dataclass(kind):
        return _typed_table(kind, value, where, key)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        if value not in arguments:
            raise SparsrError(f"{where}: {key} is {value!r}", f"it can be {', '.join(map(str, arguments))}")
        return value
    if origin in (types.UnionType, typing.Union):
        return value if value is None or type(value) in arguments else _typed(arguments[0], value, where, key)
    if origin is list and isinstance(value, list):
        return [_typed(arguments[0], item, where, key) for item in value]
    if origin is dict and isinstance(value, dict):
        return {str(name): _typed(arguments[1], item, where, f"{key}.{name}") for name, item in value.items()}
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not (origin or kind):
        raise SparsrError(f"{where}: {key} is {value!r}, not of type {getattr(origin or kind, '__name__', kind)}")
    return value


def _typed_table(kind: Any, value: Any, where: str, key: str) -> Any:
    if not isinstance(value, dict):
        raise SparsrError(f"{where}: {key} is {value!r}, not a table")
    known = {item.name for item in dataclasses.fields(kind)}
    prefix = f"{key}." if key else ""
    for name in value:
        if name not in known:
            raise SparsrError(f"{where}: unknown key {prefix}{name}", meant(name, sorted(known)))
    hints = typing.get_type_hints(kind)
    return kind(**{name: _typed(hints[name], item, where, f"{prefix}{name}") for name, item in value.items()})


def _pruning_kind(value: Any, where: str) -> type[PruningSettings]:
    method = value.get("method") if isinstance(value, dict) else None
    if method not in METHODS:
        raise SparsrError(f"{where}: prune.method is {method!r}", meant(str(method), sorted(METHODS)))
    return METHODS[method].settings


def _check(recipe: Recipe, where: str) -> None:
    positive = {
        "data.patch": recipe.data.patch,
        "data.batch": recipe.data.batch,
        "train.lr": recipe.train.lr,
        "train.halve_every": recipe.train.halve_every,
        "train.validate_every": recipe.train.validate_every,
        "train.save_every": recipe.train.save_every,
        "train.log_every": recipe.train.log_every,
    }
    for key, number in positive.items():
        if number <= 0:
            raise SparsrError(f"{where}: {key} is {number}, it must be above 0")
    if recipe.train.steps < 0 or recipe.data.holdout < 0:
        raise SparsrError(f"{where}: train.steps and data.holdout cannot be negative")
    if not recipe.data.folders:
        raise SparsrError(
            f"{where}: data.folders names no training images", "for example --set data.folders='[\"photos\"]'"
        )
    first_and_last(recipe.data.data_range)
    if recipe.network.task and recipe.network.scale != 1:
        raise SparsrError(
            f"{where}: network.task is {recipe.network.task} at scale {recipe.network.scale}", "it is for scale 1"
        )
    if recipe.prune:
        recipe.prune.check()
    if recipe.prune and recipe.prune.start == "trained" and not recipe.network.start:
        raise SparsrError(f"{where}: a pruning recipe needs a trained network", "--set network.start=CHECKPOINT")
    if recipe.distill and not recipe.prune:
        raise SparsrError(f"{where}: distill needs a network to learn from", "it is for recipes with a [prune] table")
    if recipe.distill and not 0 <= recipe.distill.share <= 1:
        raise SparsrError(f"{where}: distill.share is {recipe.distill.share}", "give a share from 0 to 1")
    if recipe.distill and not 0 <= recipe.distill.perceptual < 1:
        raise SparsrError(f"{where}: distill.perceptual is {recipe.distill.perceptual}", "give a share, 0 to below 1")
    if recipe.data.unlabelled and not (recipe.distill and recipe.distill.share == 1):
        raise SparsrError(
            f"{where}: data.unlabelled leaves nothing to learn from", "add a [distill] table with share = 1"
        )


def first_and_last(text: str) -> tuple[int, int] | None:
    """`data_range` as numbers, None if it is empty. Raises `SparsrError` for anything but FIRST-LAST."""
    if not text:
        return None
    first, dash, last = text.partition("-")
    if not (dash and first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last)):
        raise SparsrError(f"data.data_range is {text!r}, not FIRST-LAST", "for example 1-800")
    return int(first), int(last)


def expand(path: str) -> Path:
    """A recipe's path with ~ and environment variables filled in. Raises `SparsrError` for an unset variable."""
    expanded = os.path.expanduser(os.path.expandvars(path))  # noqa: PTH111 - pathlib has no expandvars
    if "$" in expanded:
        raise SparsrError(
            f"the path {path} uses a variable that is not set",
            "set it, or name your own folders: --set data.folders='[\"photos\"]'",
        )
    return Path(expanded)
