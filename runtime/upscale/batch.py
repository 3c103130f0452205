"""Upscaling a folder: which of its files are taken, what they become, and how it went.

Pictures and films are taken by their suffix; what is not is counted in one line. No file ends the batch, unless the
place for the results cannot be written to. A picture that its own format cannot hold once it is enlarged becomes a PNG.
"""

from __future__ import annotations

import errno
import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from sparsr.runtime.errors import MisfitError, SparsrError, one_line, report_error, told
from sparsr.runtime.files import check_writable, remove_stale
from sparsr.runtime.media.film import containers
from sparsr.runtime.media.formats import DEFAULT_SUFFIX, READ_SUFFIXES, WRITTEN_SUFFIXES
from sparsr.runtime.upscale.film_files import VideoReport, upscale_video
from sparsr.runtime.upscale.picture_files import PictureReport, upscale_picture
from sparsr.runtime.upscale.upscaler import PictureUpscaler

Existing = Literal["refuse", "skip", "replace"]
"""What becomes of a file whose result is there already."""
_FATAL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # the next file would fail too


@dataclass(frozen=True)
class Naming:
    """What results are called."""

    suffix: str = ""
    """Between a file's name and its ending."""
    formats: tuple[str, ...] = ()
    """Endings such as `.png`: at most one of pictures and one of films, in place of the source's own."""

    def target(self, source: Path, folder: Path, apart: bool = False) -> Path:
        """Where the result of a picture or film goes. apart: by a name that tells the source's ending too."""
        written, default = (
            (containers.OUTPUT_SUFFIXES, containers.DEFAULT_SUFFIX)
            if is_film(source)
            else (tuple(WRITTEN_SUFFIXES), DEFAULT_SUFFIX)
        )
        own = source.suffix if source.suffix.lower() in written else default
        ending = next((name for name in self.formats if name in written), own)
        stem = source.name if apart else source.name.removesuffix(source.suffix)
        return folder / f"{stem}{self.suffix}{ending}"


def parse_formats(names: list[str]) -> tuple[str, ...]:
    """`png` or `.png` as endings. Raises `SparsrError` for what is not written, and for two of one kind."""
    endings = tuple(f".{name.removeprefix('.').lower()}" for name in names)
    for ending in endings:
        if ending not in WRITTEN_SUFFIXES and ending not in containers.OUTPUT_SUFFIXES:
            known = " ".join([*WRITTEN_SUFFIXES, *containers.OUTPUT_SUFFIXES])
            raise SparsrError(f"{ending[1:]} is not a format that is written", f"use one of {known}")
    pictures = sum(ending in WRITTEN_SUFFIXES for ending in endings)
    if max(pictures, len(endings) - pictures) > 1:
        raise SparsrError("pictures can have one format, films too", "name at most one of pictures and one of films")
    return endings


@dataclass(frozen=True)
class Failure:
    """A file that could not be upscaled."""

    source: str
    reason: str
    hint: str = ""


@dataclass
class BatchReport:
    """How a folder went."""

    done: int = 0
    skipped: list[str] = field(default_factory=list)
    """Whose results were there already."""
    failed: list[Failure] = field(default_factory=list)
    remarks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What is not as in the source, by file."""
    passed_over: dict[str, int] = field(default_factory=dict)
    """Numbers of files that are neither pictures nor films, by ending, and of sub-folders."""

    def __str__(self) -> str:
        """For example `3 done, 1 skipped, 0 failed; passed over: 2 .txt`."""
        text = f"{self.done} done, {len(self.skipped)} skipped, {len(self.failed)} failed"
        if self.passed_over:
            text += "; passed over: " + ", ".join(f"{count} {what}" for what, count in self.passed_over.items())
        return text

    def to_json(self) -> dict[str, Any]:
        """For `json.dumps`."""
        return asdict(self)


@dataclass(frozen=True)
class Batch:
    """What to do with a folder."""

    upscaler: PictureUpscaler
    max_pixels: int
    naming: Naming = Naming()
    recursive: bool = False
    existing: Existing = "refuse"
    preset: str | None = None
    """Of the film encoder."""

    def run(self, source: Path, target: Path) -> BatchReport:
        """Upscale what there is in a folder into the folder `target`, where every file keeps its name and sub-folder.

        What fails is reported on stderr and left out. Raises `SparsrError` if there is nothing to upscale, `target` is
        a file, cannot be written to or would mix sources and results, and OSError when the disk is full.
        """
        if target.exists() and not target.is_dir():
            raise SparsrError(f"{target} is a file, but {source} is a folder", "name a folder for the output")
        if target.resolve() == source.resolve() and not self.naming.suffix:
            raise SparsrError(f"{target} is the input folder itself", "name another one, or pass --suffix")
        check_writable(target, target)
        report, written = BatchReport(), set[str]()
        remove_stale(target)
        for path, result in self._results(self._files(source, target, report), source, target):
            self._one(path, result, report, written)
        if not (report.done or report.skipped or report.failed):
            suffixes = " ".join([*READ_SUFFIXES, *containers.READ_SUFFIXES])
            raise SparsrError(f"there are no images in {source} (nor films)", f"it needs files ending in {suffixes}")
        return report

    def _results(self, files: list[str], source: Path, target: Path) -> Iterator[tuple[Path, Path]]:
        """Every file and where its result goes: those of one name, whose endings differed, keep apart."""

        def result(path: Path, apart: bool = False) -> Path:
            return self.naming.target(path, target / path.parent.relative_to(source), apart)

        names = Counter(str(result(Path(text))) for text in files)
        shared = {name for name, count in names.items() if count > 1}
        for path in map(Path, files):
            found = result(path)
            yield path, result(path, str(found) in shared and found.suffix != path.suffix)

    def _files(self, source: Path, target: Path, report: BatchReport) -> list[str]:
        """The pictures and films, sorted; the others are counted."""
        others: Counter[str] = Counter()
        found = []

        def unreadable(error: OSError) -> None:
            self._fail(report, Path(error.filename), *told(error))

        for folder, folders, names in os.walk(source, onerror=unreadable):
            inside = [
                name
                for name in folders
                if not name.startswith(".") and Path(folder, name).resolve() != target.resolve()
            ]
            if not self.recursive:
                others["sub-folders (--recursive takes them)"] += len(inside)
            else:
                others["links to folders"] += sum(Path(folder, name).is_symlink() for name in inside)
            folders[:] = inside if self.recursive else []
            for path in (Path(folder, name) for name in names if not name.startswith(".")):
                known = path.suffix.lower() in READ_SUFFIXES or is_film(path)
                if known and path.is_file():
                    found.append(path)
                elif known:
                    others["broken links" if path.is_symlink() else "pipes or devices"] += 1
                else:
                    others[path.suffix.lower() or "without an ending"] += 1
        report.passed_over = {what: count for what, count in sorted(others.items()) if count}
        return [str(path) for path in sorted(found)]  # a Path that has been used holds much more

    def _one(self, source: Path, target: Path, report: BatchReport, written: set[str]) -> None:
        """One file. written: names of results so far, of which no two may be the same."""
        try:
            _claim(source, target, written)
            there = None if self.existing == "replace" else self._result_of(source, target)
            if there and self.existing == "refuse":
                hint = "--overwrite replaces what is there, --skip-existing leaves it out"
                raise SparsrError(f"{there} exists already", hint)
            if there:
                report.skipped.append(str(source))
                return
            print(one_line(self._upscaled(source, target, report, written)))
            report.done += 1
        except SparsrError as error:
            self._fail(report, source, str(error), error.hint)
        except MemoryError:
            self._fail(report, source, f"{source} takes more memory than there is", "allow less with --max-memory")
        except OSError as error:
            if error.errno in _FATAL:
                raise
            self._fail(report, source, *told(error, source))

    def _result_of(self, source: Path, target: Path) -> Path | None:
        """What is there of a file already: its result, or the PNG that took its place."""
        if target.exists() or target.suffix == DEFAULT_SUFFIX:
            return target if target.exists() else None
        png = self._instead(source, target)
        return png if png.exists() else None

    def _instead(self, source: Path, target: Path) -> Path:
        """The PNG that takes the place of a result that its own format cannot hold."""
        png = source.with_suffix(DEFAULT_SUFFIX)
        name = target.with_suffix(DEFAULT_SUFFIX).name
        return target.with_name(f"{source.name}{self.naming.suffix}{DEFAULT_SUFFIX}" if png.exists() else name)

    def _upscaled(self, source: Path, target: Path, report: BatchReport, written: set[str]) -> str:
        """Do it; a line that says what came of it."""
        outcome: VideoReport | PictureReport
        if is_film(source):
            outcome = upscale_video(source, target, self.upscaler, self.max_pixels, self.preset)
        else:
            try:
                outcome = upscale_picture(source, target, self.upscaler, self.max_pixels)
            except MisfitError:
                if self.naming.formats or target.suffix == DEFAULT_SUFFIX:
                    raise
                target = self._instead(source, target)
                _claim(source, target, written)
                outcome = upscale_picture(source, target, self.upscaler, self.max_pixels)
        say(outcome.remarks)
        if outcome.remarks:
            report.remarks[str(source)] = outcome.remarks
        return f"{target}: {outcome}"

    def _fail(self, report: BatchReport, source: Path, reason: str, hint: str) -> None:
        """Keep and tell it; a hint that the failure before has told is not repeated."""
        before = report.failed[-1].hint if report.failed else ""
        report.failed.append(Failure(str(source), reason, hint))
        report_error(reason, "" if hint == before else hint)


def _claim(source: Path, target: Path, written: set[str]) -> None:
    """Take the name for a result. Raises `SparsrError` if it is taken."""
    if str(target) in written:
        raise SparsrError(f"{source}: its result {target} is that of another file", "rename it")
    if target.exists() and source.samefile(target):
        raise SparsrError(f"the output {target} is the input itself", "name another folder")
    written.add(str(target))


def is_film(path: Path) -> bool:
    """Whether a name is that of a film."""
    return path.suffix.lower() in containers.READ_SUFFIXES


def say(remarks: tuple[str, ...]) -> None:
    """Print remarks, a line each, on stderr."""
    for remark in remarks:
        print(f"note: {one_line(remark)}", file=sys.stderr)
