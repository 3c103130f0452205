"""DeployGraph -> ONNX: one node `sparsr.Stream`, whose meaning a function of standard operators defines.

Where libsparsr is registered its kernel runs the whole network from the program in the node's attribute. Everyone else
(ONNX Runtime since 1.12, onnx.reference, ...) puts the function in the node's place. Both read the same initialisers:
N:M weights are stored once and compressed; the function spreads them out, which is done while a session loads.
A network with layers libsparsr does not know is written without the node, as plain ONNX.

The function is opset 17, NCHW, with dynamic height and width. Writing is a pure function of the graph: same graph, same
bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import onnx
from onnx import TensorProto, helper, numpy_helper

from sparsr.export.forms.content import content
from sparsr.export.forms.onnx import OPSET, OnnxForm, Tensors
from sparsr.export.ir.graph import DeployGraph
from sparsr.export.writers.native import make_program, program_text, unknown_layer

DOMAIN, OPERATOR = "sparsr", "Stream"
IR_VERSION = 8
INPUT, OUTPUT = "image", "upscaled"
_PROBES = ((61, 83), (64, 64), (127, 96))  # image sizes that tell the rule behind each dimension


def _dimension(axis: str, values: Sequence[int], image: Sequence[int]) -> int | str | None:
    """A dimension as netron shows it (number, `height`, `height*2`, unknown) from its value at each probe."""
    if len(set(values)) == 1:
        return values[0]
    factor = values[0] // image[0]
    if all(value == factor * size for value, size in zip(values, image, strict=True)):
        return axis if factor == 1 else f"{axis}*{factor}"
    return None


def _ends(graph: DeployGraph) -> tuple[onnx.ValueInfoProto, onnx.ValueInfoProto]:
    """Type and shape of the image and of the result."""
    probes = [graph.shapes(height, width) for height, width in _PROBES]
    heights, widths = zip(*_PROBES, strict=True)
    infos = []
    for tensor, name in ((graph.input, INPUT), (graph.output, OUTPUT)):
        shape = [
            1,
            probes[0][tensor][0],
            _dimension("height", [probe[tensor][1] for probe in probes], heights),
            _dimension("width", [probe[tensor][2] for probe in probes], widths),
        ]
        infos.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    return infos[0], infos[1]


def _scales(graph: DeployGraph) -> bool:
    """Whether the result of every image is `graph.scale` times as high and wide."""
    sizes = [(size, graph.shapes(*size)[graph.output][1:]) for size in _PROBES]
    return all(result == (graph.scale * height, graph.scale * width) for (height, width), result in sizes)


def _walk(graph: DeployGraph) -> OnnxForm:
    names = {graph.input: INPUT, graph.output: OUTPUT}  # in the file; only the two ends are renamed
    shapes = graph.shapes(*_PROBES[0])
    form = OnnxForm({names.get(name, name): shape[0] for name, shape in shapes.items()})
    for node in graph.nodes:
        inputs = [names.get(name, name) for name in node.inputs]
        node.layer.onnx(form, node.name, inputs, names.get(node.name, node.name))
    return form


def _shared(form: OnnxForm, program: Tensors) -> Tensors:
    """The constants, equal ones once; nodes read the first of them, which is the program's if it holds it."""
    first: dict[bytes, str] = {}
    names = {name: first.setdefault(content(array), name) for name, array in {**program, **form.constants}.items()}
    for node in form.nodes:
        node.input[:] = [names.get(tensor, tensor) for tensor in node.input]
    return {name: array for name, array in form.constants.items() if names[name] == name}


def _stream(graph: DeployGraph, form: OnnxForm) -> tuple[onnx.NodeProto, onnx.FunctionProto, Tensors]:
    """The node, the function that defines it, and the node's constant inputs."""
    program, tensors = make_program(graph)
    attributes: dict[str, Any] = {
        "program": program_text(program | {"tensors": list(tensors)}),
        "channels": form.channels[OUTPUT],
        "scale": graph.scale if _scales(graph) else 0,
    }
    inner = [
        helper.make_node("Constant", [], [name], name, value=numpy_helper.from_array(value, name))
        for name, value in _shared(form, tensors).items()
        if name not in tensors
    ]
    inputs, opsets = [INPUT, *tensors], [helper.make_opsetid("", OPSET)]
    node = helper.make_node(OPERATOR, inputs, [OUTPUT], graph.name, domain=DOMAIN, **attributes)
    function = helper.make_function(DOMAIN, OPERATOR, inputs, [OUTPUT], [*inner, *form.nodes], opsets, list(attributes))
    return node, function, tensors


def write_onnx(graph: DeployGraph, metadata: Mapping[str, str] | None = None) -> bytes:
    """The graph as a checked ONNX file; float32 `image` [1, 3, height, width] -> `upscaled` [1, 3, s*h, s*w].

    Nodes and their outputs have the graph's names, initialisers are the program's tensors by name (a convolution's
    `<node>.weight` and `<node>.bias`); `metadata` becomes the file's metadata_props. Values are 0..`graph.value_range`,
    the result is not clipped. Raises `SparsrError` for a layer kind without a form.
    """
    form = _walk(graph)
    if unknown_layer(graph) is None:
        node, function, constants = _stream(graph, form)
        nodes, functions = [node], [function]
    else:
        nodes, functions, constants = form.nodes, [], _shared(form, {})
    image, upscaled = _ends(graph)
    initialisers = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    body = helper.make_graph(nodes, graph.name, [image], [upscaled], initialisers)
    opsets = [helper.make_opsetid("", OPSET)] + [helper.make_opsetid(DOMAIN, 1)] * len(functions)
    model = helper.make_model(
        body, functions=functions, opset_imports=opsets, ir_version=IR_VERSION, producer_name="SparSR"
    )
    helper.set_model_props(model, dict(sorted((metadata or {}).items())))
    onnx.checker.check_model(model, full_check=True)
    return cast(bytes, model.SerializeToString(deterministic=True))


def operators(model: bytes) -> tuple[str, ...]:
    """Names of the operators an ONNX file uses, those of its functions included, sorted."""
    loaded = onnx.load_from_string(model)
    nodes = [node for part in (loaded.graph, *loaded.functions) for node in part.node]
    return tuple(sorted({".".join(filter(None, (node.domain, node.op_type))) for node in nodes}))
