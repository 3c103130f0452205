"""The app's own bundles: `python android_demo/packaging/assets.py OUT BUNDLE...`.

Copies what the app reads of every bundle: card, native model, and the stored reference that every device's result is
checked against.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.model.bundle import Bundle
from sparsr.runtime.model.reference import Reference


def add(bundle: Path, out: Path) -> Path:
    """Copy a bundle into the folder `out`; its new path. Raises `SparsrError` if it stores no reference."""
    opened = Bundle.open(bundle)
    reference = Reference.of(bundle)
    if reference is None:
        raise SparsrError(f"{bundle} stores no reference", "export it again")
    place = out / bundle.name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    card = opened.card.to_json()
    card["files"] = [file for file in card["files"] if file["format"] == "native"]
    (place / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    (place / opened.file("native").name).write_bytes(opened.model("native"))
    for name, content in reference.files().items():
        (place / name).write_bytes(content)
    return place


def main() -> int:
    """Add every bundle named; 0."""
    out, *bundles = (Path(argument) for argument in sys.argv[1:])
    for bundle in bundles:
        print(add(bundle, out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
