"""A training run: recipe, loop, checkpoint, log."""
