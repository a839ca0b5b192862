"""Compares protocols, and uses of them, with the lists of the real versions."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import edgesdk.backends.tensorrt
from edgesdk.backends.tensorrt.api import always, from_ten, until_ten
from edgesdk.backends.tensorrt.api.always import running
from tests.tensorrt_list import SETTABLE, Api, Overload, api, overloads, versions
from tests.tensorrt_uses import Checked, Subclass, casts, uses

PACKAGE = Path(edgesdk.backends.tensorrt.__file__).parent
ROOT = PACKAGE.parents[2]
ALL = versions()
SETS = {
    always: ALL,
    until_ten: [v for v in ALL if not v.startswith("11")],
    from_ten: [v for v in ALL if not v.startswith("8")],
}
"""Module of protocols -> the versions it speaks of, as far as there are lists."""
OURS = ("TensorRT", "Flag")
"""Protocols of our own: the module itself, and what all members of enums have."""
PROTOCOLS = [
    (module, cls)
    for module, part in [*((module, module) for module in SETS), (always, running)]
    for cls in vars(part).values()
    if inspect.isclass(cls) and cls.__module__ == part.__name__
]
CPP_NAMES = {"IParserError": "ParserError", "IEngineInspector": "EngineInspector"}
"""Names that pybind11 did not translate, in some versions."""
BASES = {"IInt8EntropyCalibrator2": "IInt8Calibrator"}
"""Where the real attribute takes the base of what our protocol says."""
SIMPLE = ("bool", "int", "float", "str", "None")
COMMON = {"data_type", "elem_type", "op_type", "FLOAT", "FLOAT16", "INT8", "INT32", "INT64"}
"""Names that ONNX uses as well."""


def short(module: object) -> str:
    return str(module.__name__).rpartition(".")[2]  # type: ignore[attr-defined]


def title(value: object) -> str:
    return value.__name__.rpartition(".")[2] if hasattr(value, "__name__") else str(value)


def versions_of(since: str) -> list[str]:
    return next(found for module, found in SETS.items() if short(module) == since)


def members(cls: type) -> dict[str, str]:
    """Attributes of a protocol that are no methods, with their annotations."""
    return {name: str(kind) for name, kind in vars(cls).get("__annotations__", {}).items()}


def methods(cls: type) -> dict[str, inspect.Signature]:
    spared = ("__init_subclass__", "__subclasshook__")
    return {
        name: inspect.signature(value)
        for name, value in vars(cls).items()
        if inspect.isfunction(value)
        and name not in spared
        and not value.__qualname__.startswith("_no_init")
    }


def members_of(listing: Api, cls: str) -> set[str]:
    return {*listing.attributes(cls), *listing.members(cls)}


def lacking(listing: Api, cls: str, member: str) -> str:
    """Why this version has no such member; empty: it has it."""
    if cls == "Flag":
        return "" if member in ("name", "value", "__int__") else "no enum has it"
    if cls == "TensorRT":
        known = member == "__version__" or listing.has(member)
        return "" if known else f"{listing.version} has no {member}"
    if cls not in listing.classes:
        return f"{listing.version} has no class {cls}"
    if listing.version.startswith("8.5") and (cls, member) in LATER:
        return ""
    return "" if member in members_of(listing, cls) else f"{listing.version}: {cls} has no {member}"


def later_than_8_5() -> set[tuple[str, str]]:
    """Class and member of those that the protocols themselves call "Not in 8.5."."""
    found = set()
    bodies = ast.parse(inspect.getsource(always)).body
    bodies += ast.parse(inspect.getsource(running)).body
    for cls in (node for node in bodies if isinstance(node, ast.ClassDef)):
        for line, following in zip(cls.body, cls.body[1:], strict=False):
            text = getattr(getattr(following, "value", None), "value", "")
            if isinstance(line, ast.AnnAssign) and "Not in 8.5." in str(text):
                found.add((cls.name, ast.unparse(line.target)))
    return found


LATER = later_than_8_5()


def fits(real: Overload, ours: inspect.Signature) -> bool:
    """Whether what our protocol allows is a call that the real method takes."""
    wanted = list(ours.parameters.values())[1:]
    if len(wanted) > len(real.parameters):
        return False
    for mine, theirs in zip(wanted, real.parameters, strict=False):
        named = mine.kind is not mine.POSITIONAL_ONLY and mine.kind is not mine.KEYWORD_ONLY
        if named and mine.name != theirs.name and not theirs.name.startswith("arg"):
            return False
        if mine.default is not mine.empty and not theirs.optional:
            return False
    return all(parameter.optional for parameter in real.parameters[len(wanted) :])


def last(kind: str) -> str:
    """nvinfer1::ICudaEngine, until_ten.ICudaEngine | None -> ICudaEngine."""
    bare = kind.strip("'\"").removesuffix(" | None").rpartition("::")[2].rpartition(".")[2]
    return CPP_NAMES.get(bare, bare)


def same_kind(real: str, ours: str) -> bool:
    """For plain types and classes; containers and members of enums are not compared."""
    mine, theirs = last(ours), last(real)
    comparable = theirs in SIMPLE or theirs[:1] == "I"
    same = theirs in (mine, BASES.get(mine))
    return same or not comparable or mine in ("Flag", "float", "object")


CLASSES = {name for version in ALL for name in api(version).classes}


def telling() -> set[str]:
    """Names of members that can only mean TensorRT: with an underscore or a capital in them."""
    names = {
        name
        for version in ALL
        for cls in api(version).classes
        for name in [*api(version).attributes(cls), *api(version).members(cls)]
    }
    return {n for n in names if ("_" in n.strip("_") or n != n.lower())} - COMMON


def wrong_uses(checked: Checked) -> list[str]:
    wrong = []
    for use in uses(checked):
        known = versions_of(use.since)
        lacks = {version: lacking(api(version), use.cls, use.member) for version in known}
        if use.member.startswith("__"):
            continue
        if use.kind == "asked":
            absent = [lacking(api(version), use.cls, use.member) for version in ALL]
            if all(absent):
                wrong.append(f"{use.where}: no version's {use.cls} has {use.member}")
            continue
        wrong += [f"{use.where}: {reason}" for reason in lacks.values() if reason]
        if use.kind == "set":
            wrong += [
                f"{use.where}: {version}: {use.cls}.{use.member} cannot be set"
                for version in known
                if not lacks[version]
                and not api(version)
                .attributes(use.cls)
                .get(use.member, SETTABLE)
                .endswith(SETTABLE)
            ]
    return wrong


def wrong_subclass(one: Subclass) -> list[str]:
    wrong = []
    known = [version for version in ALL if one.base in api(version).classes]
    for version in known:
        real = api(version).attributes(one.base)
        for name, count in one.methods:
            ways = overloads(real.get(name, ""))
            if not ways:
                wrong.append(f"{one.where}: {version}: {one.base} has no {name} to override")
            elif count not in [len(way.parameters) for way in ways]:
                wrong.append(f"{one.where}: {version}: {one.base}.{name} is called as {ways[0]}")
    return wrong


def wrong_casts(checked: Checked) -> list[str]:
    known = {(short(module), cls.__name__) for module, cls in PROTOCOLS}
    return [
        f"{where}: no protocol {a}.{b}" for where, a, b in casts(checked) if (a, b) not in known
    ]
