"""Building adaptive bundles."""
