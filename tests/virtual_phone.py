"""An emulated phone behind a real adbd, in namespaces of its own; whoever tests on it gives it a folder."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PHONE = ROOT / "tests" / "android_demo" / "phone"
ADBD = ("adbd", "android-libbase", "android-libboringssl", "android-libcutils", "android-liblog")
LIBRARIES = ("libprotobuf32", "liblz4-1", "libbrotli1")
ISOLATED = ("unshare", "-U", "-r", "-m", "-n")
NEEDED = (("adb", "adb"), ("unshare", "util-linux"), ("qemu-aarch64", "qemu-user"), ("ip", "iproute2"))


class VirtualPhone:
    """Runs shell lines beside the phone, which they find at ANDROID_SERIAL; its files lie in `storage`."""

    def __init__(self, folder: Path) -> None:
        """Skips the test where something is missing."""
        for tool, package in NEEDED:
            if not shutil.which(tool):
                pytest.skip(f"needs {tool} (apt install {package})")
        mount = [*ISOLATED, "mount", "-t", "binfmt_misc", "none", "/proc/sys/fs/binfmt_misc"]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("needs namespaces of users, and of binfmt_misc in them (Linux 6.7)")
        daemon, libraries = _unpacked("bookworm-backports", *ADBD), _unpacked("bookworm", *LIBRARIES)
        paths = [root / "usr/lib/x86_64-linux-gnu" / part for root in (daemon, libraries) for part in ("", "android")]
        self.folder, self.storage = folder, folder / "storage"
        self.storage.mkdir()
        self._environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(folder),
            "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache"),
            "ADBD": str(daemon / "usr/lib/android-sdk/platform-tools/adbd"),
            "ADBD_LIBRARIES": ":".join(map(str, paths)),
            "SHIMS": str(PHONE),
            "STORAGE": str(self.storage),
        }
        if self("adb shell true").returncode:
            pytest.skip("adbd does not answer here")

    def __call__(self, lines: str) -> subprocess.CompletedProcess[str]:
        """What the lines end with, and print."""
        command = [*ISOLATED, str(PHONE / "phone.sh"), "bash", "-euc", lines]
        return subprocess.run(
            command, cwd=self.folder, env=self._environment, capture_output=True, text=True, timeout=240, check=False
        )


def _unpacked(suite: str, *packages: str) -> Path:
    sys.path.insert(0, str(ROOT / "android_demo" / "packaging"))
    debian = importlib.import_module("debian")
    try:
        return debian.unpacked(suite, *packages)
    except debian.UnavailableError as error:
        pytest.skip(str(error))
