"""Network -> DeployGraph -> model files -> parity -> bundle: the way of every export."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from torch import nn

from sparsr.export.ir.graph import DeployGraph
from sparsr.export.lower.ncnn_file import is_ncnn
from sparsr.export.lower.onnx_cut import WHOLE, Between
from sparsr.export.lower.onnx_file import is_onnx
from sparsr.export.lower.torch_module import module_as_onnx
from sparsr.export.parity import certificate as parity
from sparsr.export.parity import kernel_choice, stages
from sparsr.export.parity.proof import Statement, prove
from sparsr.export.parity.stored import stored_reference
from sparsr.export.passes import for_native, for_tflite, optimise
from sparsr.export.source import (
    Report,
    Source,
    from_checkpoint,
    from_ncnn_files,
    from_onnx_file,
    from_onnx_model,
    from_spandrel,
)
from sparsr.export.writers import native as native_writer
from sparsr.export.writers import onnx as onnx_writer
from sparsr.export.writers import tflite as tflite_writer
from sparsr.export.writers.bundle import ModelFile, make_card, metadata, write_bundle
from sparsr.runtime.arguments import as_path
from sparsr.runtime.engines.native.build import library_path
from sparsr.runtime.errors import CheckFailedError, SparsrError
from sparsr.runtime.files import atomic_folder, check_folder
from sparsr.runtime.model.card import CARD_NAME, BundleCard, ModelFormat
from sparsr.train.importers.official import UnknownNetworkError

Verify = Path | Statement
"""A picture for the certificate, or what the network is stated to make of one."""
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
    model: str | Path,
    out: str | Path,
    *,
    scale: int | None = None,
    value_range: float | None = None,
    assume: Mapping[str, Any] | None = None,
    between: Between = WHOLE,
    formats: Sequence[str] = DEFAULT_FORMATS,
    sparsity: Sequence[str] = (),
    verify: Sequence[Verify] = (),
    name: str | None = None,
    explain: bool = False,
    report: Report = print,
) -> BundleCard:
    """Write the bundle `out` from a checkpoint, ours or other authors', an ONNX file or an ncnn model; return its card.

    `scale` chooses from a checkpoint for several scales; `value_range` is 1 or 255, the largest value in the image of
    an ONNX or ncnn network (1 if not given); `assume` decides what other authors' checkpoint leaves open; `between`
    names the tensors that the network in an ONNX file begins and ends with, if it is not the whole file; `sparsity`
    prunes a checkpoint to N:M by magnitude on the way: `4:32` for the whole network, then any number of `LAYER=N:M` or
    `LAYER=dense`, LAYER a shell pattern; `verify` are real images for the parity certificate besides the random ones,
    and statements to check first; `name` is the network's name in files and tables (default: from the file name);
    `explain`: also report which passes did what and why others did not. Progress goes to `report`, a line each. `out`
    is replaced if it is a bundle already. A file that an engine computes something else from is left out. Raises
    `SparsrError` for bad input and `CheckFailedError` if the graph, every file or a statement fails; then there is no
    bundle, or still the one that was there.
    """
    _check_formats(formats)
    model, out = as_path("the network", model), as_path("the bundle", out)
    if out.resolve() in model.resolve().parents:
        raise SparsrError(f"{model} lies in {out}, which the bundle would replace", "name another output folder")
    check_folder(out, CARD_NAME)
    report(f"reading {model}")
    name = name or _default_name(model)
    if is_onnx(model) or is_ncnn(model):
        if sparsity or assume:
            problem = "cannot be pruned on the way" if sparsity else "leaves nothing open to assume"
            raise SparsrError(f"{model} {problem}", "--sparsity and --assume take checkpoints")
        if is_onnx(model):
            source = from_onnx_file(model, name, scale, value_range, between)
        elif between == WHOLE:
            source = from_ncnn_files(model, name, scale, value_range)
        else:
            raise SparsrError(f"{model} is no ONNX file", "--from and --to take tensors of those")
    elif between != WHOLE:
        raise SparsrError(f"{model} is a checkpoint, all of which is the network", "--from and --to are for ONNX files")
    elif value_range is not None:
        raise SparsrError(f"{model} is a checkpoint, whose range is known", "--range is for ONNX and ncnn files")
    else:
        source = _checkpoint_source(model, name, scale, sparsity, report, assume)
    return _export(source, out, formats, verify, explain, report)


def _checkpoint_source(
    model: Path,
    name: str,
    scale: int | None,
    sparsity: Sequence[str],
    report: Report,
    assume: Mapping[str, Any] | None,
) -> Source:
    """By our own architectures; else by spandrel, where it is installed."""
    try:
        return from_checkpoint(model, name, scale, sparsity, report, assume)
    except UnknownNetworkError:
        if find_spec("spandrel") is None or sparsity:
            raise
        return from_spandrel(model, name, scale, report)


def export_module(
    module: nn.Module,
    out: str | Path,
    *,
    scale: int | None = None,
    value_range: float = 1.0,
    channels: int = 3,
    minimum_size: int = 16,
    formats: Sequence[str] = DEFAULT_FORMATS,
    verify: Sequence[Verify] = (),
    name: str | None = None,
    explain: bool = False,
    report: Report = print,
) -> BundleCard:
    """Write the bundle `out` from any image network in torch and return its card.

    The module maps [1, channels, h, w] float32 in 0..`value_range` to [1, channels, s*h, s*w], channels 3 (RGB) or 1
    (luma: the colours are enlarged bicubically); `scale` is checked if given. It is read by `torch.export` in eval mode
    on an image somewhat larger than `minimum_size`; the module itself is left as it is. The rest is as in
    `export_model`. Raises `SparsrError` for what cannot be read or expressed, naming the operation.
    """
    _check_formats(formats)
    out = as_path("the bundle", out)
    check_folder(out, CARD_NAME)
    name = name or type(module).__name__
    report(f"reading {name}")
    model = module_as_onnx(module, name, channels, minimum_size)
    source = from_onnx_model(model, name, scale, value_range, "torch")
    return _export(source, out, formats, verify, explain, report)


def _export(
    source: Source, out: Path, formats: Sequence[str], verify: Sequence[Verify], explain: bool, report: Report
) -> BundleCard:
    """The part that is the same for every network."""
    if source.remark:
        report(source.remark)
    statements = [entry for entry in verify if isinstance(entry, Statement)]
    with atomic_folder(out, CARD_NAME) as folder:
        proofs = [prove(statement, source.run, source.graph, report) for statement in statements]
        graph, lines = optimise(source.graph)
        report(f"graph: {len(source.graph.nodes)} layers, {len(graph.nodes)} after the passes")
        if explain:
            for line in lines + for_native(graph)[1] + for_tflite(graph)[1]:
                report(f"  {line}")
        streams = _streams(graph, report)
        images = parity.probes(graph, [entry for entry in verify if isinstance(entry, Path)])
        images = parity.with_exact(images, source.graph)
        if streams:
            graph = _with_kernels(graph, images, report)
        about = metadata(graph, source.description)
        files = _written(_expressible(formats, graph, report), formats, graph, about, report)
        expected = [source.run(image.image) for image in images]
        trial = parity.Trial(images, expected, graph.value_range, source.settle, source.origin)
        differences = parity.certify(trial, stages.graph_stages(source.graph, graph), report)
        files, found = _certified(files, trial, streams, report)
        differences += found
        for line in parity.table(differences):
            report(line)
        card = make_card(graph, source.description, files, parity.certificate(differences), proofs, trial.wrong)
        write_bundle(folder, files, card, stored_reference(source.graph, source.run))
    return card


def _certified(
    files: Sequence[ModelFile], trial: parity.Trial, streams: bool, report: Report
) -> tuple[list[ModelFile], list[parity.Difference]]:
    """The files that every engine agrees on: a failing engine costs its file. Raises `CheckFailedError` if all do."""
    kept, differences = [], []
    failure = CheckFailedError("there is no file to write")
    for file in files:
        try:
            differences += parity.certify(trial, stages.file_stages(file.format, file.content, streams), report)
        except CheckFailedError as error:
            report(f"{file.name} is left out: {error}")
            failure = error
        else:
            kept.append(file)
    if not kept:
        raise CheckFailedError(f"no bundle was written: {failure}", failure.hint) from failure
    return kept, differences


def _with_kernels(graph: DeployGraph, images: Sequence[parity.Probe], report: Report) -> DeployGraph:
    """The graph with the layers of the native program that some kernels would round too much in."""
    probe = next(image for image in images if image.wide)
    if probe.exact is None:
        return graph
    choice = kernel_choice.choose(graph, probe.image, probe.exact)
    left = f"{len(choice.kernels)} layers left to exact kernels, " if choice.kernels else ""
    report(f"native kernels: {left}at most {choice.error:.1e} of the value range off float64")
    return replace(graph, kernels=dict(choice.kernels))


def _streams(graph: DeployGraph, report: Report) -> bool:
    """Whether libsparsr can run the network here; `report` hears why not."""
    if node := native_writer.unknown_layer(graph):
        report(f"without libsparsr: it does not know the layer {native_writer.named(node)} ({node.name})")
        return False
    try:
        library_path()
    except SparsrError as error:
        report(f"not checked with libsparsr: {error}")
        return False
    return True


def _written(
    kinds: Sequence[Format], asked: Sequence[str], graph: DeployGraph, about: Mapping[str, str], report: Report
) -> list[ModelFile]:
    """The files whose formats can express the network. Raises `SparsrError` if none can of those asked for."""
    files: list[ModelFile] = []
    failure = SparsrError("no format given")
    for kind in kinds:
        try:
            files.append(_write(kind, graph, about, report))
        except SparsrError as error:
            report(f"no {kind.name} file: {error}")
            failure = error
    if not any(file.format in asked for file in files):
        raise failure
    return files


def _write(kind: Format, graph: DeployGraph, about: Mapping[str, str], report: Report) -> ModelFile:
    content = kind.write(graph, about)
    file = ModelFile(kind.name, kind.layout, content, kind.operators(content))
    report(f"wrote {file.name}: {len(content) / 1e6:.2f} MB")
    return file


def _check_formats(names: Sequence[str]) -> None:
    unknown = [name for name in names if name not in FORMATS]
    if unknown or not names:
        problem = f"there is no format {unknown[0]!r}" if unknown else "no format given"
        raise SparsrError(problem, f"known: {', '.join(FORMATS)}")


def _expressible(names: Sequence[str], graph: DeployGraph, report: Report) -> list[Format]:
    """The formats asked for, without those of the native engine where it does not know a layer.

    TFLite has no operator with a meaning of its own: a second file holds libsparsr's.
    """
    wanted = dict.fromkeys([*names, *(["tflite-sparse"] if "tflite" in names else [])])
    if node := native_writer.unknown_layer(graph):
        reason = f"the native engine does not know the layer {native_writer.named(node)} ({node.name})"
        for name in [name for name in wanted if name in ("native", "tflite-sparse")]:
            del wanted[name]
            report(f"no {name} file: {reason}")
        if not wanted:
            raise SparsrError(reason, "export to onnx or tflite")
    return [FORMATS[name] for name in wanted]


def _default_name(model: Path) -> str:
    """The checkpoint's file name, or its folder's if that says more."""
    return model.resolve().parent.name if model.stem in _GENERIC_NAMES else model.stem
