"""Folders of benchmark and training images as people have them: which files are HR, and which LR belongs to which.

Known shapes: a flat folder of HR images (Manga109, B100); pairs in one folder, told apart by `_HR` and `_LR`
(Urban100 as published); HR and LR in folders of their own, LR files named as HR's with or without `x2` behind
(DIV2K, Flickr2K, the Set5 and Set14 that come with them), in `X2` folders or not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.media.images import list_images

_LR_FOLDER = re.compile(r"(^|[_-])LR([_-]|$)|^X\d$", re.IGNORECASE)
_LR_FILE = re.compile(r"^(?P<stem>.*?)(?:[_-]LR|x\d)$", re.IGNORECASE)
_HR_FILE = re.compile(r"^(?P<stem>.*?)[_-]HR$", re.IGNORECASE)


@dataclass(frozen=True)
class Pair:
    """An image and what it is made from."""

    hr: Path
    lr: Path | None = None
    """None: LR is made from HR."""


def without_lr(paths: Sequence[Path], root: Path) -> tuple[list[Path], list[Path]]:
    """(HR, misplaced): LR images among HR ones, by their folder below `root` or by a name made from another's."""
    stems = {(path.parent, _core(path.stem, _HR_FILE)) for path in paths}
    misplaced = {path for path in paths if _is_lr(path, root, stems)}
    return [path for path in paths if path not in misplaced], [path for path in paths if path in misplaced]


def _is_lr(path: Path, root: Path, stems: set[tuple[Path, str]]) -> bool:
    if any(_LR_FOLDER.search(part) for part in path.parent.relative_to(root).parts):
        return True
    found = _LR_FILE.match(path.stem)
    return bool(found) and (path.parent, found["stem"] if found else "") in stems


def pairs(hr: Path, lr: Path | None, scale: int) -> list[Pair]:
    """The images of the folder `hr` and, with `lr`, a folder, or in pairs, the LR image of each.

    Raises `SparsrError` if a folder is missing or an image has no LR.
    """
    found = list_images(hr / "HR" if (hr / "HR").is_dir() else hr)
    root = found[0].parent
    high, low = without_lr(found, root)
    if lr is not None:
        low = list_images(lr / f"X{scale}" if (lr / f"X{scale}").is_dir() else lr)
    elif not any(_HR_FILE.match(path.stem) for path in high):
        return [Pair(path) for path in high]
    by_core = {_core(path.stem, _LR_FILE): path for path in low}
    if lr is not None:  # names there need not end in anything
        by_core |= {path.stem: path for path in low}
    chosen = [Pair(path, by_core.get(_core(path.stem, _HR_FILE))) for path in high]
    if missing := [pair.hr.name for pair in chosen if pair.lr is None]:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise SparsrError(
            f"{missing[0]}{more} of {root} has no LR image in {lr or root}",
            "LR images are called as HR ones, with or without x2, x3, x4 or _LR at the end",
        )
    return chosen


def _core(stem: str, pattern: re.Pattern[str]) -> str:
    found = pattern.match(stem)
    return found["stem"] if found else stem
