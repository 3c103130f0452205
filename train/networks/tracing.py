"""What a network computes, as a flat list of operations: a torch.fx trace brought into one normal form.

The channel dependency graph (`train/pruning/channel_groups.py`) and the exporter (`export/lowering.py`) both
read this form, so that an operation is understood in one place.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from runtime.errors import SparsrError

Kind = Literal[
    "conv",
    "relu",
    "leaky_relu",
    "sigmoid",
    "affine",
    "add",
    "mul",
    "concat",
    "slice",
    "mean",
    "std",
    "max_pool",
    "resize",
    "pixel_shuffle",
    "identity",
]


@dataclass(frozen=True)
class Operation:
    """One operation: reads the tensors `inputs`, writes the tensor `name`."""

    name: str
    """Unique: the module's path, or the path of the module whose forward calls the function plus its name."""
    kind: Kind
    inputs: tuple[str, ...]
    channels: int
    """Channels of the tensor it writes."""
    module: str = ""
    """Path of the convolution; several operations share it when the module is called several times."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """leaky_relu: slope; affine: factor, offset; slice: start, stop; max_pool: kernel, stride;
    pixel_shuffle: block."""


@dataclass(frozen=True)
class Trace:
    """Operations in execution order, from the tensor `input` to the tensor `output`."""

    input: str
    input_channels: int
    operations: tuple[Operation, ...]
    output: str


def trace(network: nn.Module) -> Trace:
    """Trace `network`, which takes one image [1, 3, h, w].

    Raises `SparsrError` naming module and operation for anything that has no normal form.
    """
    return _Recorder(network).record()


class _Unsupported(Exception):
    """Raised by a rule below: the operation is known, this use of it is not."""


@dataclass(frozen=True)
class _Ref:
    """A tensor, as the rules below see it."""

    name: str
    channels: int


@dataclass(frozen=True)
class _SizeOf:
    """Height and width of a tensor."""

    tensor: _Ref


_Rule = tuple[Kind, Sequence[_Ref], dict[str, Any]]


# Rules: each is called like the torch function it stands for, with tensors replaced by `_Ref`.


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise _Unsupported(message)


def _identity(x: _Ref) -> _Rule:
    return "identity", [x], {}


def _relu(input: _Ref, inplace: bool = False) -> _Rule:
    return "relu", [input], {}


def _leaky_relu(input: _Ref, negative_slope: float = 0.01, inplace: bool = False) -> _Rule:
    return "leaky_relu", [input], {"slope": float(negative_slope)}


def _sigmoid(input: _Ref) -> _Rule:
    return "sigmoid", [input], {}


def _affine(x: _Ref, factor: float, offset: float) -> _Rule:
    return "affine", [x], {"factor": float(factor), "offset": float(offset)}


def _add(input: _Ref | float, other: _Ref | float) -> _Rule:
    if isinstance(input, _Ref) and isinstance(other, _Ref):
        _require(input.channels == other.channels, "its inputs have different channel counts")
        return "add", [input, other], {}
    if isinstance(input, _Ref):
        return _affine(input, 1.0, other)  # type: ignore[arg-type]
    return _affine(other, 1.0, input)  # type: ignore[arg-type]


def _sub(input: _Ref, other: float) -> _Rule:
    _require(isinstance(input, _Ref) and isinstance(other, int | float), "only tensor - number is handled")
    return _affine(input, 1.0, -other)


def _mul(input: _Ref | float, other: _Ref | float) -> _Rule:
    if isinstance(input, _Ref) and isinstance(other, _Ref):
        _require(input.channels == other.channels, "its inputs have different channel counts")
        return "mul", [input, other], {}
    if isinstance(input, _Ref):
        return _affine(input, other, 0.0)  # type: ignore[arg-type]
    return _affine(other, input, 0.0)  # type: ignore[arg-type]


def _div(input: _Ref, other: float) -> _Rule:
    _require(isinstance(input, _Ref) and isinstance(other, int | float), "only tensor / number is handled")
    return _affine(input, 1.0 / other, 0.0)


def _concat(tensors: Sequence[_Ref], dim: int = 0) -> _Rule:
    _require(dim in (1, -3), f"it joins along dimension {dim}, only channels (1) are handled")
    return "concat", list(tensors), {}


def _slice(x: _Ref, index: Any) -> _Rule:
    index = index if isinstance(index, tuple) else (index,)
    whole = slice(None)
    _require(
        len(index) >= 2 and all(part == whole for i, part in enumerate(index) if i != 1),
        "it is not x[:, a:b]",
    )
    _require(isinstance(index[1], slice) and index[1].step in (None, 1), "it is not x[:, a:b]")
    start, stop, _ = index[1].indices(x.channels)
    return "slice", [x], {"start": start, "stop": stop}


def _split(tensor: _Ref, split_size_or_sections: int | Sequence[int], dim: int = 0) -> list[_Rule]:
    _require(dim in (1, -3), f"it splits along dimension {dim}, only channels (1) are handled")
    sizes = split_size_or_sections
    if isinstance(sizes, int):
        sizes = [min(sizes, tensor.channels - start) for start in range(0, tensor.channels, sizes)]
    stops = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    return [_slice(tensor, (slice(None), slice(stop - size, stop))) for size, stop in zip(sizes, stops, strict=True)]


def _chunk(input: _Ref, chunks: int, dim: int = 0) -> list[_Rule]:
    return _split(input, -(-input.channels // chunks), dim)


def _over_pixels(kind: Kind, x: _Ref, dim: Any, keepdim: bool) -> _Rule:
    dims = {d % 4 for d in dim} if isinstance(dim, Sequence) else set()
    _require(dims == {2, 3} and keepdim, "only dim=(2, 3), keepdim=True is handled")
    return kind, [x], {}


def _mean(input: _Ref, dim: Any = None, keepdim: bool = False) -> _Rule:
    return _over_pixels("mean", input, dim, keepdim)


def _std(
    input: _Ref,
    dim: Any = None,
    unbiased: bool = True,
    *,
    correction: int | None = None,
    keepdim: bool = False,
) -> _Rule:
    _require(correction == 0 or (correction is None and not unbiased), "only correction=0 is handled")
    return _over_pixels("std", input, dim, keepdim)


def _adaptive_avg_pool2d(input: _Ref, output_size: Any) -> _Rule:
    _require(output_size in (1, (1, 1), [1, 1]), "only output size 1 is handled")
    return "mean", [input], {}


def _max_pool2d(
    input: _Ref,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int = 0,
    dilation: int = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> _Rule:
    plain = (padding, dilation, ceil_mode, return_indices) == (0, 1, False, False)
    _require(plain, "padding, dilation, ceil_mode and return_indices are not handled")
    kernel, step = _square(kernel_size), _square(stride or kernel_size)
    return "max_pool", [input], {"kernel": kernel, "stride": step}


def _square(size: int | tuple[int, int]) -> int:
    if isinstance(size, int):
        return size
    _require(size[0] == size[1], "only equal height and width are handled")
    return size[0]


def _interpolate(
    input: _Ref,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> _Rule:
    plain = mode == "bilinear" and not any((scale_factor, align_corners, recompute_scale_factor, antialias))
    _require(
        plain and isinstance(size, _SizeOf),
        "only mode='bilinear' to another tensor's size (size=x.shape[2:]) is handled",
    )
    return "resize", [input, size.tensor], {}


def _pixel_shuffle(input: _Ref, upscale_factor: int) -> _Rule:
    return "pixel_shuffle", [input], {"block": upscale_factor}


_FUNCTIONS: dict[Any, Callable[..., _Rule | list[_Rule]]] = {
    **dict.fromkeys((F.relu, torch.relu, torch.relu_, "relu", "relu_"), _relu),
    F.leaky_relu: _leaky_relu,
    **dict.fromkeys((F.sigmoid, torch.sigmoid, "sigmoid", "sigmoid_"), _sigmoid),
    **dict.fromkeys((operator.add, operator.iadd, torch.add, "add", "add_"), _add),
    **dict.fromkeys((operator.sub, operator.isub, torch.sub, "sub"), _sub),
    **dict.fromkeys((operator.mul, operator.imul, torch.mul, "mul", "mul_"), _mul),
    **dict.fromkeys((operator.truediv, torch.div, "div"), _div),
    **dict.fromkeys((torch.cat, torch.concat), _concat),
    **dict.fromkeys((torch.split, "split"), _split),
    **dict.fromkeys((torch.chunk, "chunk"), _chunk),
    **dict.fromkeys((torch.mean, "mean"), _mean),
    **dict.fromkeys((torch.std, "std"), _std),
    F.adaptive_avg_pool2d: _adaptive_avg_pool2d,
    **dict.fromkeys((F.max_pool2d, torch.max_pool2d), _max_pool2d),
    F.interpolate: _interpolate,
    **dict.fromkeys((F.pixel_shuffle, torch.pixel_shuffle), _pixel_shuffle),
    "contiguous": _identity,
}

_MODULES: dict[type[nn.Module], Callable[[Any, _Ref], _Rule]] = {
    nn.ReLU: lambda module, x: _relu(x),
    nn.LeakyReLU: lambda module, x: _leaky_relu(x, module.negative_slope),
    nn.Sigmoid: lambda module, x: _sigmoid(x),
    nn.Identity: lambda module, x: _identity(x),
    nn.PixelShuffle: lambda module, x: _pixel_shuffle(x, module.upscale_factor),
    nn.AdaptiveAvgPool2d: lambda module, x: _adaptive_avg_pool2d(x, module.output_size),
    nn.MaxPool2d: lambda module, x: _max_pool2d(
        x,
        module.kernel_size,
        module.stride,
        module.padding,
        module.dilation,
        module.ceil_mode,
        module.return_indices,
    ),
}


class _Tracer(fx.Tracer):
    """Every convolution is one operation, whatever its class does inside (weight normalisation)."""

    def is_leaf_module(self, module: nn.Module, qualified_name: str) -> bool:
        return isinstance(module, nn.Conv2d) or super().is_leaf_module(module, qualified_name)


class _Values(fx.Interpreter):
    """Runs the traced network on the smallest image, for channel counts and the values of numbers."""

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        # Only the count is kept, so that feature maps are freed as soon as they are read.
        n.meta["value"] = _Ref("", value.shape[1]) if isinstance(value, Tensor) else value
        return value


class _Recorder:
    """Turns fx nodes into operations, one after the other."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.operations: list[Operation] = []
        self.values: dict[fx.Node, Any] = {}
        """Per fx node: a `_Ref` for a tensor, a list of rules for split and chunk, else the plain value."""
        self.names: set[str] = set()

    def record(self) -> Trace:
        graph, output = self._run(), None
        image = ""
        for node in graph.nodes:
            if node.op == "placeholder":
                _check(not image, "the network takes more than one input")
                image = self._unique("image")
                self.values[node] = _Ref(image, 3)
            elif node.op == "output":
                output = self._resolve(node.args[0])
            else:
                self.values[node] = self._value(node)
        _check(isinstance(output, _Ref), "the network does not return one tensor")
        assert isinstance(output, _Ref)
        return Trace(image, 3, tuple(self.operations), output.name)

    def _run(self) -> fx.Graph:
        """The fx graph with every node's `value` filled in."""
        try:
            graph = _Tracer().trace(self.network)
        except fx.proxy.TraceError as error:
            raise SparsrError(
                f"the network cannot be traced: {error}",
                "its forward must not branch on the image's size or values",
            ) from error
        parameter = next(self.network.parameters())
        side = getattr(self.network, "minimum_size", 1)
        image = torch.zeros(1, 3, side, side, device=parameter.device, dtype=parameter.dtype)
        try:
            with torch.no_grad():
                _Values(fx.GraphModule(self.network, graph)).run(image)
        except RuntimeError as error:
            raise SparsrError(
                f"the network fails on an image of {side}x{side} pixels: {str(error).splitlines()[0]}",
                "its minimum_size must be the smallest side it can take",
            ) from error
        return graph

    def _value(self, node: fx.Node) -> Any:
        args, kwargs = self._resolve(node.args), self._resolve(node.kwargs)
        value = node.meta["value"]
        if node.target is operator.getitem and isinstance(args[0], list):
            return self._append(node, args[0][args[1]])
        if not isinstance(value, _Ref) and not _holds_tensors(value):
            return value
        rule = self._rule(node, args, kwargs)
        return rule if isinstance(rule, list) else self._append(node, rule)

    def _rule(self, node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Rule | list[_Rule]:
        try:
            if node.op == "call_module":
                module = self.network.get_submodule(str(node.target))
                if isinstance(module, nn.Conv2d):
                    return "conv", [args[0]], {}
                _require(type(module) in _MODULES, "no rule for it")
                return _MODULES[type(module)](module, *args, **kwargs)
            if node.target is operator.getitem:
                return _slice(*args)
            _require(node.op != "get_attr" and node.target in _FUNCTIONS, "no rule for it")
            return _FUNCTIONS[node.target](*args, **kwargs)
        except (_Unsupported, TypeError) as error:
            where = _scope(node) or type(self.network).__name__
            raise SparsrError(
                f"{where}: the operation {_operation_name(self.network, node)} is not supported ({error})",
                "use the operations listed in train/networks/tracing.py, or add a rule there",
            ) from error

    def _append(self, node: fx.Node, rule: _Rule) -> _Ref:
        kind, inputs, options = rule
        name, channels = self._unique(_operation_path(node)), node.meta["value"].channels
        module = str(node.target) if kind == "conv" else ""
        reads = tuple(ref.name for ref in inputs)
        self.operations.append(Operation(name, kind, reads, channels, module, options))
        return _Ref(name, channels)

    def _resolve(self, argument: Any) -> Any:
        def value(node: fx.Node) -> Any:
            known = self.values[node]
            is_size = isinstance(known, tuple) and len(known) == 2
            return _SizeOf(self.values[_size_source(node)]) if is_size else known

        return fx.node.map_arg(argument, value)

    def _unique(self, name: str) -> str:
        candidate, count = name, 1
        while candidate in self.names:
            candidate, count = f"{name}_{count}", count + 1
        self.names.add(candidate)
        return candidate


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise SparsrError(message, "a network takes one image and returns one")


def _holds_tensors(value: Any) -> bool:
    return isinstance(value, tuple | list) and any(isinstance(part, Tensor) for part in value)


def _size_source(node: fx.Node) -> fx.Node:
    """The tensor whose size `node` is a part of: x for x.shape[2:]."""
    while not isinstance(node.meta["value"], _Ref):
        node = node.all_input_nodes[0]
    return node


def _scope(node: fx.Node) -> str:
    """Path of the module whose forward made this node."""
    stack = list(node.meta.get("nn_module_stack", {}).values())
    return str(stack[-1][0]) if stack else ""


def _function_name(node: fx.Node) -> str:
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    return "slice" if name == "getitem" else name.strip("_")


def _operation_path(node: fx.Node) -> str:
    """`body.0.body.1` for a module, `body.0.add` for a function called in the forward of body.0."""
    if node.op == "call_module":
        return str(node.target)
    return f"{_scope(node)}.{_function_name(node)}".lstrip(".")


def _operation_name(network: nn.Module, node: fx.Node) -> str:
    if node.op == "call_module":
        return type(network.get_submodule(str(node.target))).__name__
    return _function_name(node)
