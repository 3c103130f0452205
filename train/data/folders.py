"""Folders of benchmark and training images as people have them: which files are HR, and which LR belongs to which.

Known shapes: a flat folder of HR images (Manga109, B100); pairs in one folder, told apart by `_HR` and `_LR`, perhaps
with other methods' results beside them (Urban100 as published); HR and LR in folders of their own, LR files named as
HR's with or without `x2` behind (DIV2K, Flickr2K, the Set5 and Set14 that come with them) or as `_HR_x2` and `_LRBI_x2`
(RCAN's benchmarks), in `X2` folders or not. For networks that keep the size: inputs and targets in folders called
`blur` and `sharp`, anywhere below the one named (GoPro), or `noisy` and `clean`, `input` and `target`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.media.images import list_images

_HR_FOLDER = re.compile(r"(^|[_-])HR([_-]|$)", re.IGNORECASE)
_LR_FOLDER = re.compile(r"(^|[_-])LR([_-]|$)|^X\d$", re.IGNORECASE)
_LR_FILE = re.compile(r"^(?P<stem>.*?)(?:[_-]LR|[_-]LR(?:BI)?[_-]x\d|[_-]?x\d)$", re.IGNORECASE)
_INPUTS = ("blur", "blurred", "noisy", "input", "lq")
_TARGETS = ("sharp", "clean", "target", "gt", "hq")
_HR_FILE = re.compile(r"^(?P<stem>.*?)[_-]HR(?:[_-]x\d)?$", re.IGNORECASE)


@dataclass(frozen=True)
class Pair:
    """An image and what it is made from. At scale 1 that is a blurred or noisy one."""

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


def pairs(hr: Path, lr: Path | None, scale: int, report: Callable[[str], None] = lambda _: None) -> list[Pair]:
    """The images of the folder `hr` and, with `lr`, a folder, or in pairs, the LR image of each.

    At scale 1 as `same_size_pairs`. `report` is told of images in `hr` that are none of HR. Raises `SparsrError` if a
    folder is missing or an image has no LR.
    """
    if scale == 1:
        return same_size_pairs(hr, lr)
    found = list_images(_hr_folder(hr))
    root = found[0].parent
    high, low = without_lr(found, root)
    named = [path for path in high if _HR_FILE.match(path.stem)]
    others = [path for path in high if path not in named] if named else []
    in_pairs = lr is None and bool(named)
    if misplaced := others if in_pairs else [*others, *low]:
        report(f"{len(misplaced)} images that are not HR, the first is {misplaced[0]}")
    high = named or high
    if lr is not None:
        low = list_images(next((lr / name for name in (f"X{scale}", f"x{scale}") if (lr / name).is_dir()), lr))
    elif not in_pairs:
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


def _hr_folder(folder: Path) -> Path:
    """`folder`, or the one below it that says HR in its name. Raises `SparsrError` if several do."""
    inside = sorted(path for path in folder.glob("*") if path.is_dir() and _HR_FOLDER.search(path.name))
    if len(inside) > 1:
        names = " and ".join(path.name for path in inside)
        raise SparsrError(f"{folder} holds several folders of HR images, {names}", f"give one, for example {inside[0]}")
    return inside[0] if inside else folder


def _core(stem: str, pattern: re.Pattern[str]) -> str:
    found = pattern.match(stem)
    return found["stem"] if found else stem


def same_size_pairs(folder: Path, inputs: Path | None = None) -> list[Pair]:
    """Inputs and targets of one size below `folder`: those in folders called `blur` and `sharp` and the like that have
    the same path but for that. With `inputs`: its images and those of `folder`, by their paths below them.

    Raises `SparsrError` if there are none, or one has no partner.
    """
    if inputs is None:
        found = list_images(folder, recursive=True)
        targets, given = (_by_place(found, folder, names) for names in (_TARGETS, _INPUTS))
    else:
        targets, given = (_by_place(list_images(root, recursive=True), root) for root in (folder, inputs))
    if not targets or not given:
        raise SparsrError(
            f"{folder} holds no pairs of an input and a target, which a network of scale 1 needs",
            "put blurred pictures into a folder `blur` and sharp ones, called alike, into `sharp` beside it",
        )
    if alone := [*(targets[key] for key in targets.keys() - given), *(given[key] for key in given.keys() - targets)]:
        more = f" and {len(alone) - 1} more" if len(alone) > 1 else ""
        raise SparsrError(f"{min(alone)}{more} has no partner", "both pictures of a pair have the same name")
    return [Pair(targets[key], given[key]) for key in sorted(targets)]


def _by_place(paths: Sequence[Path], root: Path, names: Sequence[str] = ()) -> dict[tuple[str, ...], Path]:
    """The images by their paths below `root` without suffix; with `names` those in a folder of such a name, which the
    path is given without."""
    result = {}
    for path in paths:
        *parts, _ = path.relative_to(root).parts
        at = [i for i, part in enumerate(parts) if part.lower() in names]
        if at or not names:
            place = parts if not names else parts[: at[-1]] + parts[at[-1] + 1 :]
            result[(*place, path.stem)] = path
    return result
