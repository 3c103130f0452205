"""Runs exported super-resolution bundles: engines, tiling, video. Needs numpy; never torch or tensorflow."""
