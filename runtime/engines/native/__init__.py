"""libsparsr, this project's own engine: building, loading, and what it costs."""
