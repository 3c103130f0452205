"""Packages of other Debian suites and architectures, unpacked into a cache: the machine's own stay as they are."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from pathlib import Path

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class UnavailableError(Exception):
    """A package or tool that cannot be had here; the text says which, and how to get it."""


def cache() -> Path:
    """Folder of what is fetched and built."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "sparsr" / "android"


def tool(name: str, package: str) -> str:
    """Path of a program. Raises `UnavailableError` naming the package that brings it."""
    found = shutil.which(name)
    if not found:
        raise UnavailableError(f"needs {name} (apt install {package})")
    return found


def unpacked(suite: str, *packages: str) -> Path:
    """A folder with the contents of `packages` (`name` or `name:architecture`) of a suite, fetched once.

    Raises `UnavailableError` where there is no apt, no network, or no such package.
    """
    key = re.sub(r"[^a-z0-9.+-]", "_", "_".join(packages))[:150]
    place = cache() / suite / key
    if place.is_dir():
        return place
    environment = _apt(suite)
    part = place.with_name(f"{place.name}.part{os.getpid()}")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        for package in packages:
            _run(["apt-get", "download", "-qq", package], part, environment, f"{package} of {suite}")
        for archive in sorted(part.glob("*.deb")):
            _run(["dpkg", "-x", archive.name, "."], part, environment, archive.name)
            archive.unlink()
        part.rename(place)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return place


@functools.cache
def _apt(suite: str) -> dict[str, str]:
    """The environment of an apt that knows nothing but one suite, for amd64 and arm64."""
    tool("apt-get", "apt")
    root = cache() / suite / "apt"
    for folder in ("etc/apt/preferences.d", "etc/apt/apt.conf.d", "etc/apt/sources.list.d", "var/lib/apt/lists/partial",
                   "var/lib/dpkg", "var/cache/apt/archives/partial"):  # fmt: skip
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "var/lib/dpkg/status").touch()
    (root / "etc/apt/sources.list").write_text(f"deb [signed-by={KEYRING}] {_mirror()} {suite} main\n")
    settings = [
        f'Dir "{root}";',
        f'Dir::State::status "{root}/var/lib/dpkg/status";',
        'APT::Architecture "amd64";',
        'APT::Architectures {"amd64";"arm64";};',
        'APT::Sandbox::User "root";',
    ]
    (root / "apt.conf").write_text("\n".join(settings) + "\n")
    environment = dict(os.environ, APT_CONFIG=str(root / "apt.conf"))
    if not any((root / "var/lib/apt/lists").glob("*Packages*")):
        _run(["apt-get", "update", "-qq"], root, environment, f"the packages of {suite}")
    return environment


def _mirror() -> str:
    """The mirror this machine is set up with."""
    for path in (*sorted(Path("/etc/apt/sources.list.d").glob("*")), Path("/etc/apt/sources.list")):
        found = re.search(
            r"(?:^URIs:|^deb(?: \[.*?\])?) (\S+/debian)/?\s", path.read_text() if path.is_file() else "", re.M
        )
        if found:
            return found[1]
    raise UnavailableError("needs a Debian mirror in /etc/apt")


def _run(command: list[str], folder: Path, environment: dict[str, str], what: str) -> None:
    try:
        result = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"{what} could not be fetched in time") from error
    if result.returncode:
        raise UnavailableError(f"{what} cannot be had: {(result.stderr.strip().splitlines() or ['?'])[-1]}")
