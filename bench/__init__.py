"""Measures bundles against dense engines: latency, memory, quality. Needs the runtime; never torch."""
