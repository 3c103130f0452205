"""DeployGraph -> TFLite.

Plain builtin operators in versions TFLite 2.14 knows, NHWC, with dynamic height and width. Measured with
tflite_runtime 2.14 and ai_edge_litert 2.3: both hand dynamic graphs to XNNPACK once the input is resized, 4 to 11 times
faster than without. LEDSR, EDSR and CARN-M (grouped convolutions included) run as one partition, RFDN as five: its
resizes, whose size is computed while running, stay outside. 2.14 also leaves out IMDN's means over one axis.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from sparsr.export.forms.tflite import INPUT, OUTPUT, TFLiteForm
from sparsr.export.ir.graph import DeployGraph
from sparsr.export.passes import for_tflite
from sparsr.export.writers import native as native_writer

STREAM = "SparsrStream"


def _form(graph: DeployGraph) -> TFLiteForm:
    """An empty file for `graph`, its shapes those of the smallest image and of a larger one."""
    probes = [graph.shapes(size, size) for size in (graph.minimum_size, graph.minimum_size + 64)]
    shapes = {name: [probe[name] for probe in probes] for name in probes[0]}
    return TFLiteForm(shapes, {graph.input: INPUT, graph.output: OUTPUT})


def write_tflite(graph: DeployGraph, metadata: Mapping[str, str] | None = None) -> bytes:
    """The graph as a TFLite file: float32 `image` [1, height, width, 3] -> `upscaled` [1, s*height, s*width, 3].

    Tensors have the graph's names; values are 0..`graph.value_range`, the result is not clipped. The stored shape
    is the smallest image's; resize the input before allocating. `metadata` becomes named metadata entries.
    Raises `SparsrError` for a layer kind without a form.
    """
    fitted, _ = for_tflite(graph)
    form = _form(fitted)
    form.output(fitted.input)
    for node in fitted.nodes:
        node.layer.tflite(form, node.name, [form.index[name] for name in node.inputs])
    ends = {INPUT: form.index[fitted.input]}, {OUTPUT: form.index[fitted.output]}
    return form.finish(*ends, f"SparSR {graph.name} x{graph.scale}", metadata or {})


def write_tflite_stream(graph: DeployGraph, metadata: Mapping[str, str] | None = None) -> bytes:
    """The graph as a TFLite file of one custom operator, `SparsrStream`, for interpreters with libsparsr.

    Ends and metadata are those of `write_tflite`; the operator's second input is the native engine's model file.
    Raises `SparsrError` for a layer that engine does not know.
    """
    form = _form(graph)
    image = form.output(graph.input)
    program = form.constant("program", np.frombuffer(native_writer.write_native(graph, {}), np.uint8), np.uint8)
    upscaled = form.operator(STREAM, [image, program], form.output(graph.output))
    return form.finish({INPUT: image}, {OUTPUT: upscaled}, f"SparSR {graph.name} x{graph.scale}", metadata or {})


def operators(model: bytes) -> tuple[str, ...]:
    """Names of the operators a TFLite file uses, sorted."""
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    table = schema.Model.GetRootAsModel(model, 0)
    codes = [table.OperatorCodes(i) for i in range(table.OperatorCodesLength())]
    return tuple(sorted((code.CustomCode() or names[code.BuiltinCode()].encode()).decode() for code in codes))
