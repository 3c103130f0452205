"""Checkpoint -> DeployGraph -> model files -> parity -> bundle, in one function."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from sparsr.export.ir.graph import DeployGraph
from sparsr.export.lower.from_torch import lower
from sparsr.export.parity import certificate as parity
from sparsr.export.parity import mask_flips, stages
from sparsr.export.passes import optimise
from sparsr.export.writers import native as native_writer
from sparsr.export.writers import onnx as onnx_writer
from sparsr.export.writers import tflite as tflite_writer
from sparsr.export.writers.bundle import ModelFile, make_card, metadata, write_bundle
from sparsr.runtime.engines.native.build import library_path
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.files import atomic_folder
from sparsr.runtime.model.card import CARD_NAME, BundleCard, ModelFormat
from sparsr.train.importers.models import load_model
from sparsr.train.pruning.nm import Sparsity, prune_by_magnitude

Report = Callable[[str], None]
_GENERIC_NAMES = ("best", "last", "pruned")  # what training calls its checkpoints


@dataclass(frozen=True)
class Format:
    """A kind of model file the exporter can write."""

    name: ModelFormat
    layout: Literal["NCHW", "NHWC"]
    summary: str
    write: Callable[[DeployGraph, Mapping[str, str]], bytes]
    operators: Callable[[bytes], tuple[str, ...]]


FORMATS = {
    "onnx": Format(
        "onnx",
        "NCHW",
        f"ONNX opset {onnx_writer.OPSET}: ONNX Runtime, faster with libsparsr",
        onnx_writer.write_onnx,
        onnx_writer.operators,
    ),
    "tflite": Format(
        "tflite",
        "NHWC",
        "TFLite builtin operators of version 2.14: tflite_runtime, LiteRT",
        tflite_writer.write_tflite,
        tflite_writer.operators,
    ),
    "tflite-sparse": Format(
        "tflite-sparse",
        "NHWC",
        "TFLite with libsparsr's operator; comes with tflite",
        tflite_writer.write_tflite_stream,
        tflite_writer.operators,
    ),
    "native": Format(
        "native",
        "NHWC",
        "program and weights of the native engine, which needs a C++ compiler once",
        native_writer.write_native,
        native_writer.operators,
    ),
}
DEFAULT_FORMATS = ("onnx", "tflite", "native")
"""For every engine of the runtime."""


def export_model(
    model: Path,
    out: Path,
    *,
    scale: int | None = None,
    formats: Sequence[str] = DEFAULT_FORMATS,
    sparsity: Sequence[str] = (),
    pictures: Sequence[Path] = (),
    name: str | None = None,
    report: Report = print,
) -> BundleCard:
    """Write the bundle `out` from a checkpoint of ours or an official one and return its card.

    `scale` chooses from a checkpoint for several scales; `sparsity` prunes to N:M by magnitude on the way: `4:32` for
    the whole network, then any number of `LAYER=N:M` or `LAYER=dense`, LAYER a shell pattern; `pictures` are real
    images for the parity certificate besides the random ones; `name` is the network's name in files and tables
    (default: from the file name). Progress goes to `report`, a line each. `out` is replaced if it is a bundle already.
    Raises `SparsrError` for bad input and
    `CheckFailedError` if parity fails; then there is no bundle, or still the one that was there.
    """
    _check_formats(formats)
    if out.resolve() in model.resolve().parents:
        raise SparsrError(f"{model} lies in {out}, which the bundle would replace", "name another output folder")
    with atomic_folder(out, CARD_NAME) as folder:
        report(f"reading {model}")
        network, checkpoint = load_model(model, scale)
        if sparsity:
            pruned = prune_by_magnitude(network, *_sparsity(sparsity))
            report(f"kept the largest weights: {_counted(pruned.values())}")
            checkpoint = replace(checkpoint, method=f"one-shot {sparsity[0]}", metrics={})
        lowered = lower(network, name or _default_name(model))
        graph, _ = optimise(lowered)
        report(f"graph: {len(lowered.nodes)} layers, {len(graph.nodes)} after the passes")
        streams = _streams(graph, report)
        about = metadata(graph, checkpoint)
        files = [_write(kind, graph, about, report) for kind in _with_companions(formats, graph)]
        compared = stages.graph_stages(lowered, graph)
        for file in files:
            compared += stages.file_stages(file.format, file.content, streams)
        torch_run = stages.torch_run(network, graph.value_range)
        images = parity.probes(graph, pictures)
        settle = mask_flips.settler(network, graph.value_range)
        differences = parity.certify(torch_run, compared, images, graph.value_range, report, settle)
        card = make_card(graph, network, checkpoint, files, parity.certificate(differences))
        write_bundle(folder, files, card)
    return card


def _streams(graph: DeployGraph, report: Report) -> bool:
    """Whether libsparsr can run the network here; `report` hears why not."""
    if node := native_writer.unknown_layer(graph):
        report(f"without libsparsr: it does not know the layer {node.layer.kind} ({node.name})")
        return False
    try:
        library_path()
    except SparsrError as error:
        report(f"not checked with libsparsr: {error}")
        return False
    return True


def _write(kind: Format, graph: DeployGraph, about: Mapping[str, str], report: Report) -> ModelFile:
    content = kind.write(graph, about)
    file = ModelFile(kind.name, kind.layout, content, kind.operators(content))
    report(f"wrote {file.name}: {len(content) / 1e6:.2f} MB")
    return file


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


def _check_formats(names: Sequence[str]) -> None:
    unknown = [name for name in names if name not in FORMATS]
    if unknown or not names:
        problem = f"there is no format {unknown[0]!r}" if unknown else "no format given"
        raise SparsrError(problem, f"known: {', '.join(FORMATS)}")


def _with_companions(names: Sequence[str], graph: DeployGraph) -> list[Format]:
    """The formats asked for. TFLite has no operator with a meaning of its own: a second file holds libsparsr's."""
    companion = ["tflite-sparse"] if "tflite" in names and native_writer.unknown_layer(graph) is None else []
    return [FORMATS[name] for name in dict.fromkeys([*names, *companion])]


def _default_name(model: Path) -> str:
    """The checkpoint's file name, or its folder's if that says more."""
    return model.resolve().parent.name if model.stem in _GENERIC_NAMES else model.stem
