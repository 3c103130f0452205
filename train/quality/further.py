"""Metrics beside PSNR and SSIM, from torchmetrics: each is opened when asked for, or says why it cannot be had."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sparsr.runtime.errors import SparsrError

ByteArray = NDArray[np.uint8]
Metric = Callable[[ByteArray, ByteArray], float]
"""Of two uint8 RGB pictures [h, w, 3], whole; NaN where they are too small for it."""

_MS_SSIM_SIDE = 161  # four halvings leave a window of 11
_VIF_SIDE = 41  # smaller ones have no window left after three halvings


def open_metric(name: str) -> Metric:
    """The metric of that name in `FURTHER`. Raises `SparsrError` for another, and without its package or weights."""
    if name not in FURTHER:
        raise SparsrError(f"there is no metric {name!r}", f"there are {', '.join(FURTHER)}")
    try:
        return FURTHER[name]()
    except ImportError as error:
        raise SparsrError(f"{name} needs the package {error.name}", f"pip install {error.name}") from error
    except Exception as error:  # a download that fails in any of many ways
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise SparsrError(f"{name} cannot be had: {reason}", "its network's weights come from the internet") from error


def _ms_ssim() -> Metric:
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as measure

    return lambda sr, hr: (
        math.nan if min(hr.shape[:2]) < _MS_SSIM_SIDE else _value(measure(*_both(sr, hr), data_range=1.0))
    )


def _vif() -> Metric:
    from torchmetrics.functional.image import visual_information_fidelity as measure

    return lambda sr, hr: math.nan if min(hr.shape[:2]) < _VIF_SIDE else _value(measure(*_both(sr, hr)))


def _lpips() -> Metric:
    """LPIPS by AlexNet (Zhang et al., The Unreasonable Effectiveness of Deep Features, CVPR 2018); lower is better."""
    import torchvision  # noqa: F401 - torchmetrics names what is missing less well
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

    measure = LearnedPerceptualImagePatchSimilarity("alex", normalize=True)
    return lambda sr, hr: _value(measure(*_both(sr, hr)))


FURTHER: dict[str, Callable[[], Metric]] = {"ms_ssim": _ms_ssim, "vif": _vif, "lpips": _lpips}


def _both(sr: ByteArray, hr: ByteArray) -> tuple[Tensor, Tensor]:
    one, other = (torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None] / 255 for image in (sr, hr))
    return one, other


@torch.no_grad()
def _value(result: Any) -> float:
    return float(result)
