"""How figures are written for people."""

from __future__ import annotations

MIB = 2**20


def milliseconds(seconds: float) -> str:
    """`44.3 ms`, three significant digits; seconds from 10 s on."""
    if seconds >= 10:
        return f"{seconds:.1f} s"
    value = seconds * 1000
    return f"{value:.0f} ms" if value >= 100 else f"{value:#.3g} ms"


def mebibytes(size: int) -> str:
    """`122 MiB`, one decimal below 10; `382 KiB`."""
    if size < MIB:
        return f"{size / 2**10:.3g} KiB"
    value = size / MIB
    return f"{value:.0f} MiB" if value >= 10 else f"{value:.1f} MiB"


def times(factor: float) -> str:
    """`3.7×`; two decimals below 2, none from 20 on."""
    digits = 2 if factor < 2 else 1 if factor < 20 else 0
    return f"{factor:.{digits}f}×"


def count(number: float) -> str:
    """`725 K`, `1.52 M`; numbers below 10,000 as they are."""
    if number >= 1e9:
        return f"{number / 1e9:.3g} G"
    if number >= 1e6:
        return f"{number / 1e6:.3g} M"
    return f"{number / 1e3:.0f} K" if number >= 1e4 else f"{number:.0f}"


def percent_floor(share: float) -> str:
    """`99.99 %` of a share 0..1. Cut, not rounded: 100 % means all."""
    return f"{int(share * 1e4) / 1e2:g} %"


def giga(number: float) -> str:
    """`40.7 G` of a number in 10^9; three significant digits, at least all before the point."""
    return f"{number:,.0f} G" if number >= 1000 else f"{number:.3g} G"
