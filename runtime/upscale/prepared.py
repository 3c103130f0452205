"""Between a picture file and the network: what the picture becomes for it, and its result for the target's format.

One rule for every format: what the target can hold is kept (16 bits, floating point, grey, alpha, metadata); what it
cannot hold is converted or left out, and said in one line.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sparsr.runtime.media.formats import Format
from sparsr.runtime.media.hidden_colour import covered
from sparsr.runtime.media.images import Picture
from sparsr.runtime.samples import BYTE, Samples, converted

_ROWS = 256  # of a picture, looked at together


class Prepared:
    """A decoded picture on its way through the network into a file of the format `kind`."""

    def __init__(self, picture: Picture, kind: Format) -> None:
        self.remarks = [picture.remark] if picture.remark else []
        self.dtype = self._held(picture, kind)
        rgb, alpha, metadata = picture.rgb, picture.alpha, picture.metadata
        self._one_channel = picture.grey and kind.grey
        if picture.grey and not kind.grey and metadata.icc_profile:
            rgb, metadata = self._toned(converted(rgb, BYTE), metadata.icc_profile), replace(metadata, icc_profile=None)
        self._low, self._high = self._range(rgb)
        if rgb.dtype == np.float32:
            rgb = np.clip((rgb - self._low) / (self._high - self._low), 0, 1)
        self._grey = picture.grey or _is_grey(rgb)
        self.metadata = metadata
        if lost := metadata.lost_in(kind.metadata):
            self.remarks.append(f"a {kind.suffixes[0][1:]} file has no place for: {', '.join(lost)}")
        if alpha is not None:
            rgb = covered(rgb, alpha)
        self.pixels: Samples = rgb if alpha is None else np.dstack([rgb, alpha])
        """For the network: [h, w, 3 or 4]."""

    @property
    def channels(self) -> int:
        """Of the file that is written."""
        return self.pixels.shape[2] - (2 if self._one_channel else 0)

    def finished(self, strip: Samples) -> Samples:
        """Rows of the network's result as rows of the file: grey again, in its range and type of samples."""
        if self._grey:
            strip = self._without_colour(strip)
        if strip.dtype == np.float32:
            strip[..., :3] = strip[..., :3] * (self._high - self._low) + self._low
        return converted(strip, self.dtype)

    def _held(self, picture: Picture, kind: Format) -> np.dtype:
        """The type of samples the file will have."""
        found = picture.rgb.dtype
        if found in kind.depths:
            return found
        deepest = np.dtype(np.uint16 if np.uint16 in kind.depths else np.uint8)
        name = "floating point" if found == np.float32 else "16 bits a channel"
        self.remarks.append(f"{name} cut to {8 * deepest.itemsize} bits: a {kind.suffixes[0][1:]} file holds no more")
        return deepest

    def _toned(self, rgb: Samples, profile: bytes) -> Samples:
        """Grey values of a profile as sRGB, for a format that cannot hold a grey picture's profile."""
        from sparsr.runtime.media.colours import grey_to_srgb  # with LittleCMS, which few pictures need

        tones = grey_to_srgb(profile)
        return rgb if tones is None else tones[rgb]

    def _range(self, rgb: Samples) -> tuple[float, float]:
        """Black and white of floating point, which may go beyond 0..1."""
        if rgb.dtype != np.float32 or self.dtype != np.float32:
            return 0.0, 1.0
        return min(0.0, float(rgb.min())), max(1.0, float(rgb.max()))

    def _without_colour(self, strip: Samples) -> Samples:
        """The mean of the three colours, as one channel or in each of them."""
        total = strip[..., :3].sum(axis=2, dtype=np.float32 if strip.dtype == np.float32 else np.uint32)
        mean = (total / 3 if strip.dtype == np.float32 else (total + 1) // 3).astype(strip.dtype)[..., None]
        if self._one_channel:
            return np.concatenate([mean, strip[..., 3:]], axis=2)
        strip[..., :3] = mean
        return strip


def _is_grey(rgb: Samples) -> bool:
    """Whether all colours are grey; looked at some rows at a time."""
    bands = (rgb[top : top + _ROWS] for top in range(0, len(rgb), _ROWS))
    return all((band[..., :1] == band[..., 1:]).all() for band in bands)
