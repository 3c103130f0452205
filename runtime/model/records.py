"""JSON into dataclasses: every field of exactly the declared type, or a sentence on which one is not."""

from __future__ import annotations

import dataclasses
import math
import types
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

Record = TypeVar("Record")


def read_record(kind: type[Record], data: Any, *, ignore_unknown: bool = False) -> Record:
    """The dataclass `kind` from what `json.loads` gives; arrays become tuples, objects dataclasses where declared.

    Types may be bool, int, float (finite), str, Any, Literal, `X | None`, tuple[X, ...], dict[str, X] and dataclasses.
    Fields the dataclass does not have are refused unless `ignore_unknown`. Raises ValueError naming the field.
    """
    return _record(kind, data, "", ignore_unknown)


def _record(kind: type[Record], data: Any, where: str, ignore_unknown: bool) -> Record:
    if not isinstance(data, dict):
        raise ValueError(f"{where.rstrip('.') or 'it'} should be an object")
    hints = get_type_hints(kind)
    unknown = [name for name in data if name not in hints]
    if unknown and not ignore_unknown:
        raise ValueError(f"unknown field {where}{unknown[0][:40]}")
    optional = {
        field.name
        for field in dataclasses.fields(kind)  # type: ignore[arg-type]
        if field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
    }
    missing = [name for name in hints if name not in data and name not in optional]
    if missing:
        raise ValueError(f"{where}{missing[0]} is missing")
    names = [name for name in data if name in hints]
    return kind(**{name: _value(hints[name], data[name], f"{where}{name}", ignore_unknown) for name in names})


def _value(hint: Any, value: Any, where: str, ignore_unknown: bool) -> Any:
    """`value` as the declared type `hint`."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if dataclasses.is_dataclass(hint):
        return _record(hint, value, f"{where}.", ignore_unknown)  # type: ignore[arg-type]
    if origin is types.UnionType:  # only `X | None` occurs
        return None if value is None else _value(arguments[0], value, where, ignore_unknown)
    if origin is Literal and value in arguments:
        return value
    if origin is tuple and isinstance(value, list):
        return tuple(
            _value(arguments[0], item, f"{where}[{index}]", ignore_unknown) for index, item in enumerate(value)
        )
    if origin is dict and isinstance(value, dict):
        return {key: _value(arguments[1], item, f"{where}.{key[:40]}", ignore_unknown) for key, item in value.items()}
    if hint is float and type(value) in (int, float) and abs(value) < 1e300 and math.isfinite(value):
        return float(value)
    if hint in (bool, int, str) and type(value) is hint:
        return value
    raise ValueError(f"{where} should be {getattr(hint, '__name__', hint)}, not {str(value)[:40]!r}")
