"""Links and commands in the documentation, and that it builds."""

import argparse
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sparsr.__main__ import build_parser

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
LINK = re.compile(r"(?<!\\)\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?```|^(?: {4}|\t).*?$|`[^`\n]+`", re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """As MkDocs and GitHub make them of headings."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


def commands(page: Path) -> list[str]:
    """Lines of code that call `sparsr`, continued ones joined, without comments, pipes and alternatives."""
    text = re.sub(r"\\\n\s*", " ", page.read_text(encoding="utf-8"))
    lines = [line.strip() for line in text.splitlines() if line.startswith(("    ", "\t"))]
    spans = re.findall(r"`(sparsr [^`\n]+)`", text)
    found = [line for line in [*lines, *spans] if re.match(r"sparsr\s+[a-z]", line)]
    return [re.split(r"\s{2,}|\s[#>|]\s", line)[0] for line in found if "|" not in line]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(CODE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


def option_names(parser: argparse.ArgumentParser, words: list[str]) -> tuple[set[str], list[str]]:
    """The options of the command that `words` name, and the words after its name."""
    known = {name for action in parser._actions for name in action.option_strings}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction) and words:
            assert words[0] in action.choices, f"there is no command {words[0]}"
            inner, rest = option_names(action.choices[words[0]], words[1:])
            return known | inner, rest
    return known, words


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_exist_with_their_options(page: Path) -> None:
    pytest.importorskip("torch", reason="train and export tell their options only where torch is installed")
    parser = build_parser(whole=True)
    for command in commands(page):
        words = command.split()[1:]
        if words[0] == "export" and words[1:2] in (["adaptive"], ["curve"]):
            continue  # parsed apart, see below
        known, rest = option_names(parser, words)
        for word in rest:
            if word.startswith("--"):
                assert word.partition("=")[0] in known, f"{page.name}: {command}: {word}"


@pytest.mark.parametrize("name", ["adaptive", "curve"])
def test_commands_of_adaptive_bundles_exist_with_their_options(name: str) -> None:
    pytest.importorskip("torch", reason="export needs torch")
    text = subprocess.run(
        [sys.executable, "-m", "sparsr", "export", name, "--help"], capture_output=True, text=True, check=True
    ).stdout
    for page in PAGES:
        for command in commands(page):
            if command.startswith(f"sparsr export {name}"):
                for option in re.findall(r"--[a-z-]+", command):
                    assert option in text, f"{page.name}: {command}"


def test_targets_of_make_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for page in PAGES:
        for target in re.findall(r"(?:^    |`)(?:[A-Z]+=\S+ )?make ([a-z-]+)", page.read_text(encoding="utf-8"), re.M):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{page.name}: make {target}"


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 90


@pytest.mark.skipif(not importlib.util.find_spec("mkdocs"), reason="mkdocs is not installed")
def test_the_documentation_builds_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "site" / "index.html").is_file()
