"""The networks: a file per architecture, found by name."""

from .base import SRNetwork
from .registry import ARCHITECTURES, Architecture, build

__all__ = ["ARCHITECTURES", "Architecture", "SRNetwork", "build"]
