"""Passes for TFLite files."""
