"""Measuring: a worker process per bundle and engine, rounds interleaved."""
