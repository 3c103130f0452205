"""`ssh:[USER@]HOST[:PORT]`: a board or another computer, by `ssh` with the user's own settings and keys."""

from __future__ import annotations

import re

from sparsr.bench.targets.remote import Remote
from sparsr.runtime.errors import SparsrError

_ADDRESS = re.compile(r"((?:[A-Za-z0-9_][A-Za-z0-9._-]*@)?[A-Za-z0-9_][A-Za-z0-9._-]*)(?::(\d{1,5}))?")


class Ssh(Remote):
    """A computer with Linux."""

    def __init__(self, address: str = "") -> None:
        super().__init__()
        found = _ADDRESS.fullmatch(address)
        if not found:
            raise SparsrError(f"{address[:100]!r} is not an address", "write ssh:USER@HOST or ssh:USER@HOST:PORT")
        self.name = f"ssh:{address}"
        self._host = found[1]
        self._port = ["-p", found[2]] if found[2] else []

    def command(self, line: str) -> list[str]:
        """By `ssh`, which asks nothing: a question would hang the measurement."""
        return ["ssh", "-T", "-o", "BatchMode=yes", *self._port, "--", self._host, line]

    def more_facts(self) -> dict[str, str]:
        """Its name in the network, so that budgets can call it."""
        return {"name": self.shell("uname -n").decode(errors="replace").strip()}
