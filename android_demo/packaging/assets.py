"""The app's own bundles: `python android_demo/packaging/assets.py OUT BUNDLE...`.

Copies what the app reads of every bundle (card and native model) and adds a reference: a small image and what this
machine's engine makes of it, which every device's result is checked against.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np

from sparsr.runtime.engines.native.load import NativeModel
from sparsr.runtime.model.bundle import Bundle

WIDTH, HEIGHT = 64, 48


def add(bundle: Path, out: Path) -> Path:
    """Copy a bundle into the folder `out`, with a reference; its new path."""
    opened = Bundle.open(bundle)
    place = out / bundle.name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    card = opened.card.to_json()
    card["files"] = [file for file in card["files"] if file["format"] == "native"]
    (place / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    content = opened.model("native")
    (place / opened.file("native").name).write_bytes(content)
    image = picture()
    scale = opened.card.scale
    result = np.zeros((HEIGHT * scale, WIDTH * scale, 3), np.uint8)
    NativeModel(content).run(image, result)
    (place / "reference.json").write_text(json.dumps({"width": WIDTH, "height": HEIGHT, "scale": scale}) + "\n")
    (place / "reference.rgb").write_bytes(image.tobytes() + result.tobytes())
    return place


def picture() -> np.ndarray:
    """uint8 [HEIGHT, WIDTH, 3]: smooth, with an edge and a little noise, the same everywhere."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    channels = [128 + 90 * np.sin(x / 7 + channel) * np.cos(y / (5 + channel)) for channel in range(3)]
    image = np.stack(channels, -1) + np.random.default_rng(0).normal(0, 4, (HEIGHT, WIDTH, 3))
    image[(x + 2 * y > 90) & (x - y < 20)] += 40
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def main() -> int:
    """Add every bundle named; 0."""
    out, *bundles = (Path(argument) for argument in sys.argv[1:])
    for bundle in bundles:
        print(add(bundle, out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
