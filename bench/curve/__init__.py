"""Quality of adaptive bundles against work and time."""
