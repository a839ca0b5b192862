"""A double of TensorRT: any listed version's names, and a small world behind them.

It shows which calls our code makes, with which arguments and in which order. It does NOT show
that TensorRT works, nor that an engine it would build is right or fast: "engines" here are the
ONNX file with a record of what was asked, and running one is ONNX Runtime's work.

    trt = make_tensorrt("10.3.0")
    trt.Builder(logger)...                 as with the real module
    trt.BuilderFlag.NO_SUCH_FLAG           AttributeError, as with the real one of that version

What it takes from the real bindings (tests/tensorrt_api): each name of module, class, enum and
member with its value; each method's argument names, order, count and types, refused by a TypeError
as pybind11 does; which property can be set; which class can be constructed; that a subclass must
call its base's constructor. What it takes from TensorRT's manual: None and False where TensorRT
gives them, always with an error in the logger. tests.tensorrt.answers asks it and the real 11.4 the
same, as far as TensorRT works without a GPU: config, enums, parser, ranges, progress, misuse. What
comes after the build (runtime, engine, context, inspector) has no such witness.
`control(trt)` has the switches that make it fail.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from tests.tensorrt_double import build, engine, listeners, network, parser, run
from tests.tensorrt_double.classes import enum, listed_class
from tests.tensorrt_double.control import Control
from tests.tensorrt_list import Api, api

__all__ = ["Control", "control", "make_tensorrt"]

TYPES = {
    "float32": "FLOAT",
    "float16": "HALF",
    "bfloat16": "BF16",
    "e8m0": "E8M0",
    **{name: name.upper() for name in ("int8", "int32", "int64", "bool", "uint8", "fp8")},
    **{name: name.upper() for name in ("int4", "fp4")},
}
ITEM_BYTES = {"FLOAT": 4, "INT32": 4, "INT64": 8, "HALF": 2, "BF16": 2, "INT4": 0.5, "FP4": 0.5}
BEHAVIOURS: dict[str, type] = {
    cls.__name__: cls
    for module in (build, engine, listeners, network, parser, run)
    for cls in vars(module).values()
    if isinstance(cls, type) and cls.__module__ == module.__name__
}


def make_tensorrt(version: str, switches: Control | None = None) -> Any:
    """The double of `version`, one of tests.tensorrt_list.versions().

    Each call makes a module of its own: what one test does to it, no other sees.
    """
    listing = api(version)
    trt: Any = ModuleType("tensorrt")
    trt.__version__ = listing.version
    trt._control = switches or Control()
    trt._api = listing
    for name in by_depth(listing):
        add_class(trt, listing, name)
    trt.Logger.Severity = trt.ILogger.Severity
    for owner in (trt.ILogger, trt.Logger):
        for level, member in trt.ILogger.Severity.__members__.items():
            setattr(owner, level, member)
    add_names(trt, listing)
    return trt


def control(trt: Any) -> Control:
    """The switches of one double, and the calls it has seen."""
    found: Control = trt._control
    return found


def by_depth(listing: Api) -> list[str]:
    """Bases before what derives from them, owners before what is nested in them."""

    def depth(name: str) -> int:
        bases = [base for base in listing.classes[name].get("bases", []) if base in listing.classes]
        return max((1 + depth(base) for base in bases), default=0)

    return sorted(listing.classes, key=lambda name: (name.count("."), depth(name), name))


def add_class(trt: Any, listing: Api, name: str) -> None:
    owner, _, last = name.rpartition(".")
    members = listing.members(name)
    if members:
        made = enum(name, members)
        if listing.attributes(name)["name"].startswith("("):  # so it is of ErrorCode up to 10.13
            made.name = lambda self: str(self).rpartition(".")[2]  # type: ignore[attr-defined]
        if "itemsize" in listing.attributes(name):
            made.itemsize = property(lambda self: ITEM_BYTES.get(self.name, 1))  # type: ignore[attr-defined]
    else:
        made = listed_class(trt, listing, name, BEHAVIOURS.get(name), trt)
        made._control = trt._control  # type: ignore[attr-defined]
    setattr(getattr(trt, owner) if owner else trt, last, made)


def add_names(trt: Any, listing: Api) -> None:
    """Functions, and the data types by their short names."""

    def nptype(trt_type: Any) -> Any:
        plain = {"FLOAT": "float32", "HALF": "float16"}
        return getattr(np, plain.get(trt_type.name, trt_type.name.lower().replace("bool", "bool_")))

    functions = {
        "nptype": nptype,
        "volume": lambda iterable: int(np.prod(tuple(iterable), dtype=np.int64)),
        "get_nv_onnx_parser_version": lambda: 0,
        "init_libnvinfer_plugins": lambda logger, namespace: True,
        "get_plugin_registry": lambda: None,
        "get_builder_plugin_registry": lambda: None,
    }
    for name in listing.names:
        if name in TYPES:
            setattr(trt, name, getattr(trt.DataType, TYPES[name]))
        else:
            setattr(trt, name, functions.get(name))
