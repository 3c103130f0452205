"""Bundles: the folder a runtime needs, with everything known about the network in its card.

Nothing in a bundle depends on when or where it was written: the same checkpoint and tools give the same bytes.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from sparsr.export.ir.graph import DeployGraph
from sparsr.export.ir.layers import Conv, MaskedBlock
from sparsr.export.ir.receptive import peak_activation_bytes, receptive_radius
from sparsr.runtime.model.card import CARD_NAME, SCHEMA, BundleCard, BundleFile, MaskedWork, ModelFormat, ParityEntry
from sparsr.runtime.model.reference import Reference
from sparsr.train.networks import SRNetwork
from sparsr.train.networks.weight_norm import merge_weight_norm
from sparsr.train.quality.complexity import gmacs_720p, parameters
from sparsr.train.run.checkpoint import Card

_TOOLS = ("torch", "numpy", "onnx", "onnxruntime", "onnxsim", "flatbuffers", "ai-edge-litert", "tflite-runtime")
_PROBE_SIDE = 96
_SUFFIXES = {"native": "safetensors", "tflite-sparse": "sparse.tflite"}


@dataclass(frozen=True)
class ModelFile:
    """A model file in memory."""

    format: ModelFormat
    layout: Literal["NCHW", "NHWC"]
    content: bytes
    operators: tuple[str, ...]

    @property
    def name(self) -> str:
        """File name in the bundle."""
        return f"model.{_SUFFIXES.get(self.format, self.format)}"

    def entry(self) -> BundleFile:
        """The card's entry of this file."""
        digest = hashlib.sha256(self.content).hexdigest()
        return BundleFile(self.name, self.format, self.layout, len(self.content), digest, self.operators)


@dataclass(frozen=True)
class Description:
    """What is known of a network besides its graph."""

    architecture: str
    method: str
    parameters: int
    gmacs_720p: float
    """Multiply-adds (10^9, convolution weights only) for a 1280x720 output."""
    nonzero: float
    """Share (0..1) of them whose weight is not zero."""
    training: dict[str, Any]
    task: str = "super_resolution"


def describe(network: SRNetwork, checkpoint: Card) -> Description:
    """Of a network from a checkpoint."""
    plain = copy.deepcopy(network)
    merge_weight_norm(plain)  # its scales are no parameters of the deployed network
    dense = gmacs_720p(plain)
    return Description(
        architecture=checkpoint.architecture,
        method=checkpoint.method,
        parameters=parameters(plain),
        gmacs_720p=round(dense, 6),
        nonzero=round(gmacs_720p(plain, nonzero=True) / dense, 6),
        training=checkpoint.training | ({"metrics": checkpoint.metrics} if checkpoint.metrics else {}),
        task=network.task,
    )


def metadata(graph: DeployGraph, about: Description) -> dict[str, str]:
    """What a model file says about itself when it has lost its bundle."""
    radius = receptive_radius(graph)
    return {
        "sparsr.schema": SCHEMA,
        "sparsr.name": graph.name,
        "sparsr.architecture": about.architecture,
        "sparsr.method": about.method,
        "sparsr.task": about.task,
        "sparsr.scale": str(graph.scale),
        "sparsr.value_range": f"{graph.value_range:g}",
        "sparsr.minimum_size": str(graph.minimum_size),
        "sparsr.receptive_radius": "whole image" if radius is None else str(radius),
        "sparsr.color": "RGB",
    }


def make_card(
    graph: DeployGraph,
    about: Description,
    files: Sequence[ModelFile],
    parity: Sequence[ParityEntry],
    proofs: Sequence[str] = (),
    wrong_engines: Mapping[str, str] | None = None,
) -> BundleCard:
    """The card of a bundle that holds `files`, all written from `graph`; `proofs` are sentences on what was shown,
    `wrong_engines` those that compute something else from a file, and what."""
    side = max(_PROBE_SIDE, graph.minimum_size)
    return BundleCard(
        name=graph.name,
        architecture=about.architecture,
        scale=graph.scale,
        method=about.method,
        value_range=graph.value_range,
        minimum_size=graph.minimum_size,
        receptive_radius=receptive_radius(graph),
        parameters=about.parameters,
        gmacs_720p=about.gmacs_720p,
        peak_activation_bytes_per_pixel=-(-peak_activation_bytes(graph, side, side) // side**2),
        widths={node.name: len(node.layer.bias) for node in graph.nodes if isinstance(node.layer, Conv)},
        files=tuple(file.entry() for file in files),
        parity=tuple(parity),
        training=about.training,
        tools=_versions(_TOOLS),
        nonzero=about.nonzero,
        masked=_masked_work(graph, about.gmacs_720p),
        kernels=dict(graph.kernels),
        proofs=tuple(proofs),
        task=about.task,
        wrong_engines=dict(wrong_engines or {}),
    )


def _versions(packages: Sequence[str]) -> dict[str, str]:
    """Of those that are installed: some have no wheels for every Python, and none is needed by every format."""
    found = {}
    for name in packages:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _masked_work(graph: DeployGraph, dense: float) -> MaskedWork | None:
    """Of a network that takes `dense` 10^9 multiply-adds without masks."""
    blocks = [node.layer for node in graph.nodes if isinstance(node.layer, MaskedBlock)]
    if not blocks:
        return None
    pixels = 1280 * 720 / graph.scale**2
    spared = sum(_full_weights(block) - _dense_weights(block) for block in blocks) * pixels / 1e9
    return MaskedWork(*(round(dense - share * spared, 6) for share in (1, 0.5, 0)))


def _full_weights(block: MaskedBlock) -> int:
    """What an important pixel takes."""
    return sum(weight.size for weight in block.weights) + block.fuse_weight.size


def _dense_weights(block: MaskedBlock) -> int:
    """What any other pixel takes."""
    counts = [block.dense.shape[1], *(int(dense.sum()) for dense in block.dense)]
    return sum(9 * a * b for a, b in pairwise(counts)) + len(block.fuse_bias) * sum(counts[1:])


def write_bundle(
    folder: Path, files: Sequence[ModelFile], card: BundleCard, reference: Reference | None = None
) -> None:
    """Write model files, reference and card into the existing, empty `folder`.

    The card keeps its order (fields as declared, convolutions as executed) and is written last. Raises OSError with
    the file's name if the disk is full or the folder cannot be written.
    """
    text = json.dumps(card.to_json(), indent=2, allow_nan=False) + "\n"
    contents = {file.name: file.content for file in files} | (reference.files() if reference else {})
    for name, content in (contents | {CARD_NAME: text.encode()}).items():
        try:
            (folder / name).write_bytes(content)
        except OSError as error:
            # A failed write, unlike a failed open, does not say which file it was.
            error.filename = error.filename or str(folder / name)
            raise
