"""Print what extras of pyproject.toml ask for, without SparSR itself: `python .ci/extras.py train litert`.

A checkout runs from its folders, so SparSR must not be installed into its environment a second time.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def requirements(extras: list[str]) -> list[str]:
    """The dependencies and those of `extras`, with the extras these name, each once."""
    found = dict.fromkeys(PROJECT["dependencies"])
    for extra in extras:
        for requirement in PROJECT["optional-dependencies"][extra]:
            if own := re.fullmatch(r"sparsr\[(.+)]", requirement):
                found |= dict.fromkeys(requirements(own[1].split(",")))
            else:
                found[requirement] = None
    return list(found)


if __name__ == "__main__":
    print("\n".join(requirements(sys.argv[1:])))
