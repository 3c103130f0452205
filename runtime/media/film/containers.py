"""Endings of films: what is read, and what is written in which container."""

READ_SUFFIXES = (
    ".mp4", ".mkv", ".mov", ".m4v", ".avi", ".webm", ".ts", ".m2ts", ".mts", ".wmv", ".asf", ".flv", ".f4v", ".mpg",
    ".mpeg", ".mpe", ".m1v", ".m2v", ".vob", ".3gp", ".3g2", ".ogv", ".ogm", ".mxf", ".divx", ".dv", ".rm", ".rmvb",
    ".nut", ".qt", ".mk3d", ".y4m", ".ivf", ".obu", ".h264", ".264", ".avc", ".h265", ".265", ".hevc", ".mjpeg",
    ".mjpg",
)  # fmt: skip
CONTAINERS = {".mp4": "mp4", ".mkv": "matroska", ".mov": "mov", ".m4v": "mp4", ".webm": "webm"}
"""Of films that are written: FFmpeg's names."""
OUTPUT_SUFFIXES = tuple(CONTAINERS)
DEFAULT_SUFFIX = ".mp4"
"""Of films whose container is not written."""
