"""What is exported: a network from wherever it came, as a graph, and as something to compare with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from sparsr.export.ir.graph import DeployGraph
from sparsr.export.ir.layers import Activation, Conv
from sparsr.export.lower.from_ncnn import ncnn_as_onnx
from sparsr.export.lower.from_onnx import lower_probed
from sparsr.export.lower.from_torch import lower
from sparsr.export.lower.onnx_cut import WHOLE, Between
from sparsr.export.lower.onnx_file import image_channels, open_onnx
from sparsr.export.lower.onnx_probe import Probe
from sparsr.export.lower.ranges import on_luma
from sparsr.export.lower.size_rule import Size, SizeRule
from sparsr.export.lower.spandrel_model import spandrel_model
from sparsr.export.lower.torch_module import module_as_onnx
from sparsr.export.parity import mask_flips, stages
from sparsr.export.parity.certificate import Run
from sparsr.export.parity.mask_flips import Settle, as_torch
from sparsr.export.writers.bundle import Description, describe
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.sparsity import Sparsity
from sparsr.train.importers.models import load_model
from sparsr.train.importers.readings import FACTOR, enlargement_error
from sparsr.train.networks.base import LumaNetwork
from sparsr.train.networks.recognition import FAITHFUL, PERCEPTUAL
from sparsr.train.pruning.nm import prune_by_magnitude
from sparsr.train.run.checkpoint import Card

Report = Callable[[str], None]
RANGES = (1.0, 255.0)
_HD = 1280 * 720
_SMALLEST = 16  # side of the image on which a module is read
_LUMA_ONLY = "luma, the colours enlarged bicubically"  # what the card says such a network works on


@dataclass(frozen=True)
class Source:
    """A network to export. `run` computes what its author's code computes, in 0..255; `origin` says with what."""

    description: Description
    graph: DeployGraph
    run: Run
    origin: str
    settle: Settle = as_torch
    remark: str = ""
    """What a user should know of how it was read."""


def from_checkpoint(
    model: Path,
    name: str,
    scale: int | None,
    sparsity: Sequence[str],
    report: Report,
    assume: Mapping[str, Any] | None = None,
) -> Source:
    """A checkpoint of ours or of other authors, pruned on the way if `sparsity` says so."""
    wanted = _sparsity(sparsity) if sparsity else None  # what is wrong is told before the network is read
    network, checkpoint = load_model(model, scale, assume)
    if "imported_from" in checkpoint.training:
        report(f"read as {_read_as(checkpoint)}")
    if wanted:
        pruned = prune_by_magnitude(network, *wanted)
        report(f"kept the largest weights: {_counted(pruned.values())}")
        checkpoint = replace(checkpoint, method=f"one-shot {sparsity[0]}", metrics={})
    graph = lower(network, name)
    run = stages.torch_run(network, graph.value_range)
    if isinstance(network, LumaNetwork) and network.colours == 1:
        checkpoint = replace(checkpoint, training=checkpoint.training | {"works_on": _LUMA_ONLY})
    return Source(describe(network, checkpoint), graph, run, "torch", mask_flips.settler(network, graph.value_range))


def from_spandrel(model: Path, name: str, scale: int | None, report: Report) -> Source:
    """A checkpoint of a network that only spandrel knows."""
    found = spandrel_model(model)
    report(f"read as {found.architecture} x{found.scale}, by spandrel")
    if scale not in (None, found.scale):
        raise SparsrError(f"{model} enlarges x{found.scale}, not x{scale}", "leave out --scale")
    graph = module_as_onnx(found.module, name, found.channels, max(found.minimum_size, _SMALLEST))
    return from_onnx_model(graph, name, found.scale, 1.0, "torch")


def _read_as(checkpoint: Card) -> str:
    """How a file of other authors was read, in words."""
    options = ", ".join(f"{option} {value}" for option, value in checkpoint.options.items())
    training = checkpoint.training
    taken = f"; weights {training['weights']}, {training['weights_left']} left" if "weights" in training else ""
    return f"{checkpoint.architecture} x{checkpoint.scale} ({options}){taken}"


def from_onnx_file(
    model: Path, name: str, scale: int | None, value_range: float | None, between: Between = WHOLE
) -> Source:
    """A user's ONNX file, or what lies between two tensors of it."""
    return _from_onnx(open_onnx(model, between), str(model), name, scale, value_range, "onnx")


def from_ncnn_files(model: Path, name: str, scale: int | None, value_range: float | None) -> Source:
    """A user's ncnn model, either of its two files."""
    return _from_onnx(ncnn_as_onnx(model), str(model), name, scale, value_range, "ncnn")


def from_onnx_model(model: onnx.ModelProto, name: str, scale: int | None, value_range: float, origin: str) -> Source:
    """An opened model, `origin` the name of what made it."""
    return _from_onnx(model, name, name, scale, value_range, origin)


def _from_onnx(
    model: onnx.ModelProto, source: str, name: str, scale: int | None, value_range: float | None, origin: str
) -> Source:
    read = read_graph(model, source, name, scale, value_range)
    description = _describe_graph(read.graph, value_range or 1.0, read.around)
    return Source(description, _for_rgb(read.graph), read.run, origin, remark=read.around)


@dataclass(frozen=True)
class ReadGraph:
    """A network that came as ONNX: its graph, of one channel if it is for luma, and what computes the same of RGB."""

    graph: DeployGraph
    run: Run
    around: str
    """What is done to images that the network does not take as they are; empty if nothing."""


def read_graph(
    model: onnx.ModelProto, source: str, name: str, scale: int | None, asked_range: float | None
) -> ReadGraph:
    """An opened model; image and result hold 0..255. asked_range: of the model's own values, 1 if None.

    Raises `SparsrError` for a range that is none, where none is asked for and 1 is plainly wrong, and naming node,
    operator and reason for what cannot be expressed.
    """
    value_range = asked_range or 1.0
    if value_range not in RANGES:
        raise SparsrError(f"a network's values lie in 0..1 or 0..255, not 0..{value_range:g}", "give --range 1 or 255")
    fixed, graph, rule = _read(model, name, source, scale, value_range)
    run = stages.onnx_run(model.SerializeToString(), graph, value_range, rule)
    if fixed:
        height, width = (side - 2 * rule.margin for side in fixed)
        run = stages.onnx_run_of_one_size(run, _for_rgb(graph), (height, width), source)
    if asked_range is None and _is_of_bytes(run, graph.scale):
        raise SparsrError(
            f"{source} seems to be made for values of 0..255: an enlarged smooth image is plainly wrong in 0..1 only",
            "give --range 255, or --range 1 if you know that",
        )
    return ReadGraph(graph, run, rule.sentence())


def _is_of_bytes(run: Run, scale: int) -> bool:
    """Whether a model that `run` runs as one of 0..1 enlarges a smooth image rightly in 0..255, and wrongly in 0..1."""

    def error(value_range: float) -> float:
        factor = 255 * value_range
        return enlargement_error(lambda image: torch.from_numpy(run((image * factor).numpy())) / factor, scale)

    right, wrong = error(255.0), error(1.0)
    return right <= PERCEPTUAL and wrong > FAITHFUL and wrong >= FACTOR * right


def _for_rgb(graph: DeployGraph) -> DeployGraph:
    return on_luma(graph) if graph.input_channels == 1 else graph


def _read(
    model: onnx.ModelProto, name: str, source: str, scale: int | None, value_range: float
) -> tuple[Size | None, DeployGraph, SizeRule]:
    """The only size the model takes, if there is one, its graph and how large its results are.

    Damaged files can make any step fail in any way: that becomes a `SparsrError`.
    """
    try:
        probe = Probe(model, image_channels(model), source)
        return probe.fixed, *lower_probed(probe, name, source, scale, value_range)
    except (SparsrError, MemoryError):
        raise
    except Exception as error:
        if "Failed to allocate memory" in str(error):
            raise SparsrError(
                f"{source} takes more memory to be looked at than this machine has left",
                "end other programs, or export it where there is more; attention over all pixels is not handled at all",
            ) from error
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise SparsrError(f"{source} cannot be read as a network ({reason})", "export it again") from error


def _describe_graph(graph: DeployGraph, value_range: float, around: str) -> Description:
    convs = {node.name: node.layer for node in graph.nodes if isinstance(node.layer, Conv)}
    slopes = [node.layer.slopes for node in graph.nodes if isinstance(node.layer, Activation)]
    parameters = sum(conv.weight.size + conv.bias.size for conv in convs.values())
    parameters += sum(slope.size for slope in slopes if slope is not None)
    side = 64 + graph.minimum_size
    pixels = {name: shape[1] * shape[2] for name, shape in graph.shapes(side, side).items()}
    dense = sum(conv.weight.size * pixels[name] for name, conv in convs.items())
    kept = sum(int(np.count_nonzero(conv.weight)) * pixels[name] for name, conv in convs.items())
    colours = _LUMA_ONLY if graph.input_channels == 1 else "RGB"
    return Description(
        architecture="foreign",
        method="imported",
        parameters=parameters,
        gmacs_720p=round(dense / side**2 * _HD / graph.scale**2 / 1e9, 6),
        nonzero=round(kept / max(dense, 1), 6),
        training={"value_range": f"0..{value_range:g}", "works_on": colours} | ({"borders": around} if around else {}),
        task="super_resolution" if graph.scale > 1 else "restoration",
    )


def _sparsity(parts: Sequence[str]) -> tuple[Sparsity, dict[str, Sparsity | None]]:
    """The network's sparsity and those of single layers. Raises `SparsrError` for anything else."""
    layers: dict[str, Sparsity | None] = {}
    for part in parts[1:]:
        pattern, sign, text = part.partition("=")
        if not (sign and pattern):
            raise SparsrError(f"{part!r} is not LAYER=N:M", "for example --sparsity 4:32,body.*=8:32,tail.*=dense")
        layers[pattern] = None if text == "dense" else Sparsity.parse(text)
    return Sparsity.parse(parts[0]), layers


def _counted(sparsities: Iterable[Sparsity]) -> str:
    counts = Counter(str(sparsity) for sparsity in sparsities)
    return ", ".join(f"{text} in {count} layers" for text, count in counts.items()) or "nothing to prune"
