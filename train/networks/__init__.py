"""The networks: a file per architecture, found by name."""

from sparsr.train.networks.base import SRNetwork
from sparsr.train.networks.registry import ARCHITECTURES, Architecture, build

__all__ = ["ARCHITECTURES", "Architecture", "SRNetwork", "build"]
