"""Reading bundles. A bundle may come from anywhere: nothing in it is believed before it is checked."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sparsr.runtime.arguments import as_path
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.model.card import ADAPTIVE_SCHEMA, CARD_NAME, SCHEMA, BundleCard, BundleFile
from sparsr.runtime.model.describe import describe_card
from sparsr.runtime.model.records import read_record

MAX_CARD_BYTES = 4_000_000
MAX_MODEL_BYTES = 1_000_000_000
_RANGES: dict[str, tuple[float, float]] = {
    "scale": (1, 16),
    "value_range": (1e-3, 65535),
    "minimum_size": (1, 1024),
    "receptive_radius": (0, 4096),
    "parameters": (0, 1e12),
    "gmacs_720p": (0, 1e9),
    "nonzero": (0, 1),
    "peak_activation_bytes_per_pixel": (1, 1e7),
}
HINT = "export the bundle again, or fetch it anew"
_KINDS = {SCHEMA: "holds a single network", ADAPTIVE_SCHEMA: "is an adaptive bundle, of several networks"}
_WANTED = {
    SCHEMA: "name one of the bundles in it; `sparsr upscale` and `sparsr bench curve` take the whole",
    ADAPTIVE_SCHEMA: "`sparsr export adaptive` makes bundles of several",
}


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk whose card has been read and checked."""

    path: Path
    card: BundleCard

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Read and check the card of the bundle folder `path`, and that its files have the sizes it states.

        Raises `SparsrError` if there is no bundle, or its card is damaged, of another schema, or names files outside
        of the folder.
        """
        folder = open_folder(path)
        data = read_card(folder / CARD_NAME)
        with valid_card(folder / CARD_NAME):
            check_schema(folder, data, SCHEMA)
            card = read_record(BundleCard, data)
            _check_values(card)
        bundle = cls(folder, card)
        for file in bundle.card.files:
            check_file(bundle.path / file.name, file.bytes)
        return bundle

    @property
    def schema(self) -> str:
        """Of its card."""
        return self.card.schema

    @property
    def scale(self) -> int:
        """How many pixels a side become of one."""
        return self.card.scale

    @property
    def networks(self) -> tuple[Bundle, ...]:
        """Itself."""
        return (self,)

    def check_files(self) -> None:
        """Read every model file. Raises `SparsrError` if one is not what the card says."""
        for file in self.card.files:
            self.model(file.format)

    def describe(self) -> str:
        """The card in a few lines for people."""
        return describe_card(self.card)

    def to_json(self) -> dict[str, Any]:
        """The card, for `json.dumps`."""
        return self.card.to_json()

    def file(self, format: str) -> BundleFile:
        """The entry of the model file in `format`. Raises `SparsrError` if the bundle has none."""
        for file in self.card.files:
            if file.format == format:
                return file
        present = ", ".join(file.format for file in self.card.files) or "none"
        raise SparsrError(
            f"the bundle {self.path} has no {format} file (it has: {present})",
            f"export it again with --format {format}, or use an engine for {present}",
        )

    def model(self, format: str) -> bytes:
        """The bytes of the model file in `format`. Raises `SparsrError` if they are not those the card states."""
        file = self.file(format)
        return read_file(self.path / file.name, file.bytes, file.sha256)


def read_file(path: Path, size: int, sha256: str) -> bytes:
    """The bytes of a bundle's file. Raises `SparsrError` if they are not those its card states."""
    check_file(path, size)
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise SparsrError(f"{path} is not the file its card describes (sha256 differs)", HINT)
    return content


def check_file(path: Path, size: int) -> None:
    """Raise `SparsrError` unless `path` is a plain file of that many bytes."""
    if path.is_symlink() or not path.is_file():
        reason = "is a link, which bundles never hold" if path.is_symlink() else "is missing"
        raise SparsrError(f"{path} {reason}", HINT)
    found = path.stat().st_size
    if found != size:
        raise SparsrError(f"{path} has {found} bytes, its card says {size}", HINT)


def check_name(name: str) -> None:
    """Raise ValueError unless `name` is that of a file or folder right inside the bundle."""
    if name in ("", ".", "..", CARD_NAME) or any(c in name for c in "/\\:\0"):
        raise ValueError(f"the file name {name[:60]!r} would leave the bundle")


def open_folder(path: str | os.PathLike[str]) -> Path:
    """The bundle's folder. Raises `SparsrError` if there is none."""
    folder = as_path("a bundle", path)
    if not folder.is_dir():
        if folder.exists():
            hint = f"name a folder made by `sparsr export`; of a network: sparsr export {folder} --out BUNDLE"
            raise SparsrError(f"the bundle {folder} is a file, not a bundle folder", hint)
        raise SparsrError(f"the bundle {folder} does not exist", "name a folder made by `sparsr export`")
    return folder


def read_card(path: Path) -> dict[str, Any]:
    """A card's JSON object. Raises `SparsrError` if there is no card or it is damaged."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_CARD_BYTES + 1)
    except FileNotFoundError as error:
        hint = "name a folder made by `sparsr export`"
        raise SparsrError(f"{path.parent} is not a bundle: it has no {CARD_NAME}", hint) from error
    with valid_card(path):
        if len(text) > MAX_CARD_BYTES:
            raise ValueError(f"it is larger than {MAX_CARD_BYTES} bytes")
        data = json.loads(text, parse_constant=_no_constant)
        if not isinstance(data, dict):
            raise ValueError(f"it is no object but {type(data).__name__}")
    return data


def check_schema(folder: Path, data: dict[str, Any], schema: str) -> None:
    """Raise ValueError unless a card is of that schema; `SparsrError` if its bundle is whole and of the other kind."""
    found = data.get("schema")
    if found == schema:
        return
    if isinstance(found, str) and found in _KINDS:
        raise SparsrError(f"{folder} {_KINDS[found]}", _WANTED[schema])
    raise ValueError(f"its schema is {str(found)[:40]!r}, this version reads {schema}")


@contextmanager
def valid_card(path: Path) -> Iterator[None]:
    """Turn what reading a card raises into `SparsrError`."""
    try:
        yield
    except (ValueError, RecursionError) as error:
        raise SparsrError(f"{path} is not a valid card: {str(error) or 'nested too deeply'}", HINT) from error


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def _check_values(card: BundleCard) -> None:
    for name, (low, high) in _RANGES.items():
        value = getattr(card, name)
        if value is not None and not low <= value <= high:
            raise ValueError(f"{name} is {value:.6g}, outside {low:g} to {high:g}")
    if not card.files:
        raise ValueError("it names no model file")
    for file in card.files:
        check_name(file.name)
        if not 0 < file.bytes <= MAX_MODEL_BYTES:
            raise ValueError(f"{file.name[:60]} is said to have {file.bytes:.6g} bytes")
    formats = [file.format for file in card.files]
    if len(set(formats)) < len(formats):
        raise ValueError("two of its files have the same format")
