"""Official checkpoints of other projects, recognised by their keys and shapes and read without executing them."""

from sparsr.train.importers.official import import_official

__all__ = ["import_official"]
