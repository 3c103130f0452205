"""Names of the architectures, and building one by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sparsr.runtime.errors import SparsrError
from sparsr.runtime.nearest import meant
from sparsr.train.networks import (
    carn,
    compact,
    dmphn,
    dncnn,
    edsr,
    efdn,
    espcn,
    fsrcnn,
    imdn,
    pan,
    rfdn,
    rlfn,
    rrdb,
    smsr,
    span,
    spanf,
    spanv2,
    srn,
    unet,
)
from sparsr.train.networks.base import SRNetwork
from sparsr.train.networks.recognition import Recogniser


@dataclass(frozen=True)
class Architecture:
    """An entry of the registry."""

    build: Callable[..., SRNetwork]
    """Called with `scale` and the network's own options as keywords."""
    scales: tuple[int, ...]
    summary: str
    recognise: Recogniser
    """Knows the authors' files by the names and shapes of their weights."""


_ANY = (1, 2, 3, 4, 5, 6, 7, 8)

ARCHITECTURES: dict[str, Architecture] = {
    "ledsr": Architecture(
        edsr.LEDSR,
        (2, 3, 4),
        "ASSL's network: residual body, one-convolution tail (256 channels dense)",
        edsr.recognise_ledsr,
    ),
    "edsr": Architecture(edsr.EDSR, (2, 3, 4), "EDSR-baseline: 16 residual blocks of 64 channels", edsr.recognise_edsr),
    "imdn": Architecture(
        imdn.IMDN, (2, 3, 4), "IMDN: 6 blocks that set channels aside, contrast attention", imdn.recognise
    ),
    "carn": Architecture(carn.CARN, (2, 3, 4), "CARN: three cascading blocks of residual blocks", carn.recognise),
    "carn_m": Architecture(
        carn.CARNM, (2, 3, 4), "CARN-M: cascading blocks of grouped convolutions, shared weights", carn.recognise_mobile
    ),
    "rfdn": Architecture(
        rfdn.RFDN, (2, 3, 4), "RFDN: 4 residual distillation blocks, spatial attention", rfdn.recognise
    ),
    "smsr": Architecture(
        smsr.SMSR, (2, 3, 4), "SMSR: 5 modules with learned spatial and channel masks, or without", smsr.recognise
    ),
    "compact": Architecture(
        compact.Compact,
        _ANY,
        "Compact (SRVGGNetCompact): a chain of convolutions, PReLU, nearest skip",
        compact.recognise,
    ),
    "rrdb": Architecture(
        rrdb.RRDB, (1, 2, 4, 8), "RRDBNet (ESRGAN, Real-ESRGAN): 23 residual-in-residual dense blocks", rrdb.recognise
    ),
    "span": Architecture(span.SPAN, _ANY, "SPAN: 6 blocks with parameter-free attention", span.recognise),
    "spanf": Architecture(spanf.SPANF, _ANY, "SPANF: 5 blocks of SPAN, the image joined as channels", spanf.recognise),
    "spanv2": Architecture(spanv2.SPANV2, _ANY, "SPANV2: 5 gated blocks, depthwise tail", spanv2.recognise),
    "rlfn": Architecture(rlfn.RLFN, _ANY, "RLFN: 6 residual local blocks, spatial attention", rlfn.recognise),
    "efdn": Architecture(efdn.EFDN, _ANY, "EFDN: 4 distillation cells, PReLU, spatial attention", efdn.recognise),
    "pan": Architecture(pan.PAN, (2, 3, 4), "PAN: 16 self-calibrated blocks, pixel attention", pan.recognise),
    "dncnn": Architecture(dncnn.DnCNN, (1,), "DnCNN: the noise found by a chain of convolutions", dncnn.recognise),
    "fsrcnn": Architecture(
        fsrcnn.FSRCNN, (2, 3, 4), "FSRCNN: narrow convolutions, one transposed convolution", fsrcnn.recognise
    ),
    "espcn": Architecture(espcn.ESPCN, _ANY, "ESPCN: three or four convolutions, pixel shuffle", espcn.recognise),
    "unet": Architecture(unet.UNet, (1,), "UNet for deblurring: residual blocks at three sizes", unet.recognise),
    "srn": Architecture(srn.SRN, (1,), "SRN without LSTM: one encoder-decoder, three times", srn.recognise),
    "dmphn": Architecture(dmphn.DMPHN, (1,), "DMPHN: parts of the picture deblurred, then the whole", dmphn.recognise),
}


def build(architecture: str, scale: int, **options: Any) -> SRNetwork:
    """A freshly initialised network. Raises `SparsrError` for an unknown name, scale or option."""
    if architecture not in ARCHITECTURES:
        raise SparsrError(f"there is no architecture {architecture!r}", meant(architecture, sorted(ARCHITECTURES)))
    entry = ARCHITECTURES[architecture]
    if scale not in entry.scales:
        raise SparsrError(f"{architecture} has no scale {scale}", f"its scales are {', '.join(map(str, entry.scales))}")
    try:
        return entry.build(scale=scale, **options)
    except TypeError as error:
        raise SparsrError(
            f"{architecture} cannot be built with {options}: {error}", "see `sparsr train list`"
        ) from error
