"""What bundles of every kind are to those who open them: commands, measurements, parity."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from sparsr.runtime.model.bundle import Bundle


class Model(Protocol):
    """A bundle on disk whose cards have been read and checked: one network, or several that share a picture out."""

    @property
    def path(self) -> Path:
        """Its folder."""

    @property
    def schema(self) -> str:
        """Of its card; it names the kind of bundle."""

    @property
    def scale(self) -> int:
        """How many pixels a side become of one."""

    @property
    def networks(self) -> tuple[Bundle, ...]:
        """The bundles of its networks, the dearest first; of a bundle with one network, itself."""

    def check_files(self) -> None:
        """Read every file. Raises `SparsrError` if one is not what a card says."""

    def describe(self) -> str:
        """What it holds, in a few lines for people."""

    def to_json(self) -> dict[str, Any]:
        """Its card, for `json.dumps`."""
