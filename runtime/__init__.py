"""Runs bundles on pictures and films: engines, tiling, video. Needs numpy; never torch or tensorflow."""
