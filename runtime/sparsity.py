"""The words of N:M sparsity: of every M consecutive input channels, per filter and tap, at most N weights."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sparsr.runtime.errors import SparsrError

GROUP_SIZES = (4, 8, 16, 32)
"""The M the native engine packs."""
SHARED = (1, 2, 4)
"""How many filters may share one pattern: V."""


@dataclass(frozen=True)
class Sparsity:
    """At most `n` weights other than zero of every `m` consecutive input channels, the same for `shared` filters."""

    n: int
    m: int
    shared: int = 1
    """V: how many consecutive filters share one pattern."""

    def __str__(self) -> str:
        return f"{self.n}:{self.m}" + (f"x{self.shared}" if self.shared > 1 else "")

    @classmethod
    def parse(cls, text: str) -> Sparsity:
        """From `N:M` or `N:MxV`. Raises `SparsrError` unless M is 4, 8, 16 or 32, 1 <= N <= M and V is 1, 2 or 4."""
        found = re.fullmatch(r"(\d{1,2}):(\d{1,2})(?:x(\d))?", text.strip())
        n, m, shared = (int(found[1]), int(found[2]), int(found[3] or 1)) if found else (0, 0, 0)
        if m not in GROUP_SIZES or not 1 <= n <= m or shared not in SHARED:
            raise SparsrError(
                f"{text!r} is not a sparsity N:M",
                "for example 4:32, or 4:32x4 for patterns shared by 4 filters; M is 4, 8, 16 or 32, N at most M",
            )
        return cls(n, m, shared)
