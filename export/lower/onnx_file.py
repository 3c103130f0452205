"""Opens a user's ONNX file: what it may not be is refused here, before anything of it is run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import Message
from onnx import TensorProto, numpy_helper
from onnx.external_data_helper import load_external_data_for_model, uses_external_data

from sparsr.export.lower.onnx_cut import WHOLE, Between, cut_out, suggestion
from sparsr.export.lower.onnx_layout import with_channels_first
from sparsr.export.lower.onnx_local_functions import MOST_NODES, without_functions
from sparsr.runtime.errors import SparsrError

OLDEST_OPSET = 9
_MOST_BYTES = 2 << 30
_LONGEST_RANGE = 1 << 20
_TRIED = (64, 64)  # an image that every network for images has room for
_FIXED = "sparsr.fixed_size"  # among the metadata of a model that has been opened
_CONTROL_FLOW = {"If", "Loop", "Scan", "SequenceMap"}
_CONTAINERS = {"ConcatFromSequence", "Optional", "OptionalGetElement", "OptionalHasElement", "SplitToSequence"}
_QUANTISED = ("QLinear", "QuantizeLinear", "DequantizeLinear", "DynamicQuantize", "ConvInteger", "MatMulInteger")


def is_onnx(path: Path) -> bool:
    """By its name: the format has no signature of its own."""
    return path.suffix.lower() == ".onnx"


def open_onnx(path: Path, between: Between = WHOLE) -> onnx.ModelProto:
    """The model, or what lies `between` tensors of it, weights in float32, its image's height and width free.

    Raises `SparsrError` for what is refused: damaged files, weights outside the file's folder, opsets before 9, other
    domains, control flow, int8, several images.
    """
    if not path.is_file():
        raise SparsrError(f"the model {path} {'is a folder' if path.is_dir() else 'does not exist'}", "check the path")
    if path.stat().st_size > _MOST_BYTES:
        raise SparsrError(f"{path} has more than 2 GB, which no ONNX file may have")
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf's own exception types differ by version
        raise SparsrError(f"{path} is not an ONNX file, or damaged ({error})", "export or copy it again") from error
    return checked_onnx(model, str(path), path.parent, between)


def checked_onnx(
    model: onnx.ModelProto, source: str, folder: Path | None = None, between: Between = WHOLE
) -> onnx.ModelProto:
    """The same for a model in memory; `source` names it in messages, `folder` may hold external weights."""
    _check_names(model, source)
    model = without_functions(model, source)
    if between != WHOLE:
        cut_out(model, between, source)
    _check_operators(model, source)
    _load_weights(model, source, folder)
    _check_ranges(model, source)
    for info in model.graph.output:
        info.type.tensor_type.shape.SetInParent()  # which some exporters leave out, and the checker demands
    try:
        onnx.checker.check_model(model)
    except Exception as error:
        reason = str(error).strip().splitlines()[0]
        raise SparsrError(f"{source} is not a valid ONNX model: {reason}", "export it again") from error
    _as_float32(model)
    _free_image(model, source)
    _check_claims(model, source)
    return model


def _check_claims(model: onnx.ModelProto, source: str) -> None:
    """Refuse what takes more than 2 GB for a small image: a few bytes can ask for any number of zeros or any size."""
    tried = onnx.ModelProto()
    tried.CopyFrom(model)
    dimensions = tried.graph.input[0].type.tensor_type.shape.dim
    for dim, side in zip(dimensions, (1, image_channels(model), *_TRIED), strict=True):
        dim.dim_value = side
    counts = any(node.op_type == "Range" for node in model.graph.node)  # the inference itself would write them down
    inferred = onnx.shape_inference.infer_shapes(tried, data_prop=not counts).graph
    for info in (*inferred.value_info, *inferred.output):
        sides = [dim.dim_value for dim in info.type.tensor_type.shape.dim]
        if sides and all(sides) and math.prod(sides) * 4 > _MOST_BYTES:
            raise SparsrError(
                f"{source}: the tensor {info.name} would take more than 2 GB for an image of {_TRIED[1]}x{_TRIED[0]}",
                "export the bare network",
            )


def _check_ranges(model: onnx.ModelProto, source: str) -> None:
    """Refuse Range of more numbers than any image needs, before anything counts them."""
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
        if node.op_type != "Range" or not all(name in constants for name in node.input):
            continue
        start, limit, step = (float(constants[name].reshape(-1)[0]) for name in node.input)
        if not step or not abs((limit - start) / step) <= _LONGEST_RANGE:
            place = f"{source}: node {node.name or node.output[0]}, operator Range"
            raise SparsrError(f"{place}: it counts from {start:g} to {limit:g} by {step:g}", "export the bare network")


def _check_names(model: onnx.ModelProto, source: str) -> None:
    """Refuse names that are no text, which protobuf gives as bytes."""
    if not _is_text(model):
        raise SparsrError(f"{source} is damaged: it holds names that are no text", "export or copy it again")


def _is_text(message: Message) -> bool:
    """Whether every string in it, and in the messages it holds, is one."""
    for field, value in message.ListFields():
        values = [value] if isinstance(value, Message | str | bytes) else value
        if field.type == field.TYPE_STRING and not all(isinstance(text, str) for text in values):
            return False
        if field.type == field.TYPE_MESSAGE and not all(_is_text(part) for part in values):
            return False
    return True


def _check_operators(model: onnx.ModelProto, source: str) -> None:
    if len(model.graph.node) > MOST_NODES:
        raise SparsrError(f"{source} has more than {MOST_NODES} nodes", "that is no network for images")
    versions = {entry.domain: entry.version for entry in model.opset_import}
    version = versions.get("", versions.get("ai.onnx", 0))
    if version < OLDEST_OPSET:
        raise SparsrError(f"{source} is of ONNX opset {version}", f"export it with opset {OLDEST_OPSET} or later")
    for node in model.graph.node:
        place = f"{source}: node {node.name or node.output[0]}, operator {node.op_type}"
        if node.domain not in ("", "ai.onnx"):
            raise SparsrError(f"{place}: the domain {node.domain} is no standard ONNX", suggestion(model))
        if node.op_type in _CONTROL_FLOW:
            raise SparsrError(f"{place}: control flow cannot be exported", "export a network without loops or branches")
        if node.op_type in _CONTAINERS or node.op_type.startswith("Sequence"):
            raise SparsrError(f"{place}: lists of tensors cannot be exported", "export a network without lists")
        if node.op_type.startswith(_QUANTISED):
            raise SparsrError(f"{place}: the network is quantised to integers", "export the float32 network")


def _load_weights(model: onnx.ModelProto, source: str, folder: Path | None) -> None:
    external = [tensor for tensor in _tensors(model) if uses_external_data(tensor)]
    for tensor in external:
        location = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
        if not _lies_in(folder, location):
            raise SparsrError(
                f"{source}: the weights {tensor.name} are said to lie in {location!r}, outside the model's folder",
                "put the file beside the model",
            )
    if external and folder is not None:
        places = {entry.value for tensor in external for entry in tensor.external_data if entry.key == "location"}
        if sum((folder / place).stat().st_size for place in places if (folder / place).is_file()) > _MOST_BYTES:
            raise SparsrError(f"{source}: its external weights have more than 2 GB", "that is no network for images")
        try:
            load_external_data_for_model(model, str(folder))
        except Exception as error:
            raise SparsrError(f"{source}: its external weights cannot be read ({error})", "copy them again") from error
    for tensor in _tensors(model):
        try:
            values = numpy_helper.to_array(tensor)
        except Exception as error:
            raise SparsrError(
                f"{source}: the values of {tensor.name} are damaged ({error})", "export it again"
            ) from error
        numbers = values.astype(np.float32) if values.dtype.kind == "f" else np.zeros(0)
        if np.isnan(numbers).any() or (numbers.size > 1 and not np.isfinite(numbers).all()):  # bounds may be infinite
            raise SparsrError(f"{source}: {tensor.name} holds values that are not numbers", "train the network again")


def _lies_in(folder: Path | None, location: str) -> bool:
    if folder is None or not location or "\0" in location:
        return False
    return (folder / location).resolve().is_relative_to(folder.resolve())


def _tensors(model: onnx.ModelProto) -> Iterator[TensorProto]:
    yield from model.graph.initializer
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                yield attribute.t


def _as_float32(model: onnx.ModelProto) -> None:
    """Turn float16 and bfloat16 weights and ends into float32, in place."""
    half = (TensorProto.FLOAT16, TensorProto.BFLOAT16)
    for tensor in _tensors(model):
        if tensor.data_type in half:
            values = np.asarray(numpy_helper.to_array(tensor), np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    for info in [*model.graph.input, *model.graph.output]:
        if info.type.tensor_type.elem_type in half:
            info.type.tensor_type.elem_type = TensorProto.FLOAT
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i in half:
                attribute.i = TensorProto.FLOAT
    del model.graph.value_info[:]


def _free_image(model: onnx.ModelProto, source: str) -> None:
    """Leave the weights out of the inputs, demand one image, and free its height and width."""
    weights = {tensor.name for tensor in model.graph.initializer}
    for info in [info for info in model.graph.input if info.name in weights]:
        model.graph.input.remove(info)
    images = model.graph.input
    for ends, what, flag in ((images, "takes", "--from"), (model.graph.output, "gives", "--to")):
        if len(ends) != 1:
            names = ", ".join(info.name for info in ends)
            hint = f"choose one by {flag}" if ends else suggestion(model)
            raise SparsrError(f"{source} {what} {len(ends)} tensors ({names})", hint)
        kind = ends[0].type.tensor_type
        if kind.elem_type != TensorProto.FLOAT:
            raise SparsrError(f"{source} {what} no floating-point image", suggestion(model))
    dimensions = images[0].type.tensor_type.shape.dim
    if len(dimensions) == 4 and dimensions[3].dim_value in (1, 3) and dimensions[1].dim_value not in (1, 3):
        with_channels_first(model)
    if len(dimensions) != 4 or dimensions[1].dim_value not in (0, 1, 3) or dimensions[0].dim_value not in (0, 1):
        text = " x ".join(dim.dim_param or str(dim.dim_value) for dim in dimensions)
        raise SparsrError(
            f"{source} takes {text}", "an image [1, channels, height, width] of 1 or 3 channels is handled"
        )
    size = [dim.dim_value for dim in dimensions[2:]]
    if all(size):
        model.metadata_props.add(key=_FIXED, value=" ".join(map(str, size)))
    for index, name in ((0, "batch"), (2, "height"), (3, "width")):
        dimensions[index].dim_param = name
    model.graph.output[0].type.tensor_type.ClearField("shape")


def fixed_size(model: onnx.ModelProto) -> tuple[int, int] | None:
    """Height and width of the image that an opened file was made for; None if they are free."""
    found = next((entry.value.split() for entry in model.metadata_props if entry.key == _FIXED), None)
    return (int(found[0]), int(found[1])) if found else None


def image_channels(model: onnx.ModelProto) -> int:
    """1 or 3; what the first convolution reads where the file leaves it open."""
    channels: int = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    if channels:
        return channels
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    first = next((node for node in model.graph.node if node.op_type == "Conv" and node.input[1] in weights), None)
    return 1 if first is not None and weights[first.input[1]].dims[1] == 1 else 3
