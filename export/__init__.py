"""Turns trained networks into bundles: model files, a card, and proof that they compute the same."""

from sparsr.export.exporter import export_model, export_module

__all__ = ["export_model", "export_module"]
