"""Pruning methods, a file per method, and the channel groups they act on."""
