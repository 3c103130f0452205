"""Endings of films: what is read, and what is written in which container."""

READ_SUFFIXES = (
    ".mp4", ".mkv", ".mov", ".m4v", ".avi", ".webm", ".ts", ".m2ts", ".mts", ".wmv", ".asf", ".flv", ".f4v", ".mpg",
    ".mpeg", ".vob", ".3gp", ".3g2", ".ogv", ".mxf", ".divx", ".y4m",
)  # fmt: skip
CONTAINERS = {".mp4": "mp4", ".mkv": "matroska", ".mov": "mov", ".m4v": "mp4", ".webm": "webm"}
"""Of films that are written: FFmpeg's names."""
OUTPUT_SUFFIXES = tuple(CONTAINERS)
DEFAULT_SUFFIX = ".mp4"
"""Of films whose container is not written."""
