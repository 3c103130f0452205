"""What HDR10 says about the screen a film was made on and about its light (SMPTE ST 2086, CTA-861.3), for x265."""

from __future__ import annotations

import struct
from typing import Any

_COLOUR, _LUMINANCE = 50_000, 10_000  # units of x265's option: 0.00002, and 0.0001 cd/m2


def x265_options(frame: Any) -> str:
    """Options for x265 with the metadata that the frame carries; empty if none."""
    options = []
    if mastering := _mastering(frame.side_data.get("MASTERING_DISPLAY_METADATA")):
        options.append(f"master-display={mastering}")
    light = frame.side_data.get("CONTENT_LIGHT_LEVEL")
    if light is not None:
        options.append("max-cll={},{}".format(*struct.unpack("II", bytes(light)[:8])))
    if options:
        options.append("hdr10=1")
    return ":".join(options)


def _mastering(data: Any) -> str | None:
    """libavutil's AVMasteringDisplayMetadata: x and y of red, green, blue and white, least and most light, flags."""
    if data is None:
        return None
    numbers = struct.unpack("22i", bytes(data)[:88])
    values = [a / b if b else 0.0 for a, b in zip(numbers[:20:2], numbers[1:20:2], strict=True)]
    colours, (least, most), flags = values[:8], values[8:10], numbers[20:22]
    if not all(flags):
        return None
    red, green, blue, white = (
        "({},{})".format(*(round(_COLOUR * value) for value in colours[at : at + 2])) for at in (0, 2, 4, 6)
    )
    luminance = f"({round(_LUMINANCE * most)},{round(_LUMINANCE * least)})"
    return f"G{green}B{blue}R{red}WP{white}L{luminance}"
