"""What tests of the command line share: pictures to give it, and what a refusal looks like."""

from __future__ import annotations

import numpy as np
from PIL import Image


def pixels(height, width, channels=3):
    return np.random.default_rng(height + width).integers(0, 256, (height, width, channels), dtype=np.uint8)


def save(path, array, **options):
    Image.fromarray(array).save(path, **options)
    return path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def assert_refused(result, words, hint=""):
    """Exit code 2 and nothing but one `error:` line and one `hint:` line."""
    code, out, err = result
    assert (code, out) == (2, "")
    lines = err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["error", "hint"], err
    assert words in lines[0]
    assert hint in lines[1]
