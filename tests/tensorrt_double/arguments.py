"""Arguments are taken or refused as pybind11 does: by name, order, count and type."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.tensorrt_list import Overload, Parameter

SEQUENCES = re.compile(r"(List|Sequence|list|Iterable)\[?(.*?)\]?$")


def is_buffer(value: Any) -> bool:
    try:
        memoryview(value)
    except TypeError:
        return False
    return True


def is_int(value: Any) -> bool:
    return hasattr(value, "__index__")


PLAIN = {
    "int": is_int,
    "float": lambda value: isinstance(value, (int, float, np.number)),
    "bool": lambda value: isinstance(value, (bool, np.bool_)),
    "str": lambda value: isinstance(value, str),
    "buffer": is_buffer,
    "Buffer": is_buffer,
    "typing_extensions.Buffer": is_buffer,
    "bytes": lambda value: isinstance(value, bytes),
    "tuple": lambda value: isinstance(value, tuple),
    "list": lambda value: isinstance(value, list),
}


def fits(trt: Any, kind: str, value: Any) -> bool:
    """Whether pybind11 would convert `value` to `kind`. What is not known here is taken."""
    if kind in PLAIN:
        return PLAIN[kind](value)
    if kind in ("Dims", "Dims2", "Dims3", "Dims4"):
        return isinstance(value, trt.Dims) or fits(trt, "Sequence[int]", value)
    sequence = SEQUENCES.match(kind)
    if sequence:
        inner = sequence[2]
        is_one = isinstance(value, Sequence) and not isinstance(value, str)
        return is_one and all(not inner or fits(trt, inner, item) for item in value)
    if kind == "Weights":
        return isinstance(value, (trt.Weights, np.ndarray))
    cls = getattr(trt, kind.partition(".")[0], None)
    if "." in kind and cls is not None:
        cls = getattr(cls, kind.partition(".")[2])
    if not isinstance(cls, type):
        return True
    return isinstance(value, cls) or (value is None and not hasattr(cls, "__members__"))


def bound(
    trt: Any, one: Overload, values: tuple[Any, ...], named: dict[str, Any]
) -> dict[str, Any] | None:
    """Arguments by name, or None when this overload does not take them."""
    names = [p.name for p in one.parameters]
    if len(values) > len(names) or set(named) - set(names[len(values) :]):
        return None
    given = dict(zip(names, values, strict=False)) | named
    return given if all(takes(trt, p, given) for p in one.parameters) else None


def takes(trt: Any, parameter: Parameter, given: dict[str, Any]) -> bool:
    if parameter.name not in given:
        return parameter.optional
    value = given[parameter.name]
    return (value is None and parameter.optional) or fits(trt, parameter.kind, value)


def matched(
    trt: Any,
    title: str,
    ways: tuple[Overload, ...],
    values: tuple[Any, ...],
    named: dict[str, Any],
) -> dict[str, Any]:
    """Arguments by name of the first overload that takes them. Raises TypeError as pybind11."""
    for one in ways:
        found = bound(trt, one, values, named)
        if found is not None:
            return found
    supported = "\n".join(f"    {i}. {one}" for i, one in enumerate(ways, 1))
    invoked = ", ".join([*map(repr, values), *(f"{k}={v!r}" for k, v in named.items())])
    raise TypeError(
        f"{title}(): incompatible function arguments. The following argument types are "
        f"supported:\n{supported}\n\nInvoked with: {invoked}"
    )
