"""Every use of TensorRT in our sources is one that the real TensorRT of each version has.

The uses are found by themselves (tests.tensorrt_uses), what is real comes from NVIDIA's bindings
(tests/tensorrt_api; 8.5 from their source). It shows that names, signatures and types are right;
it does not show that TensorRT does what we expect of them.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from pathlib import Path

import pytest

import edgesdk.backends.tensorrt
from edgesdk.backends.tensorrt.api import always, from_ten, until_ten
from tests.tensorrt_list import SETTABLE, Api, Overload, api, overloads, versions
from tests.tensorrt_uses import Checked, Subclass, check, integers, subclasses, untyped, uses

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
    for module in SETS
    for cls in vars(module).values()
    if inspect.isclass(cls) and cls.__module__ == module.__name__
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
    tree = ast.parse(inspect.getsource(always))
    for cls in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        for line, following in zip(cls.body, cls.body[1:], strict=False):
            text = getattr(getattr(following, "value", None), "value", "")
            if isinstance(line, ast.AnnAssign) and "Not in 8.5." in str(text):
                found.add((cls.name, ast.unparse(line.target)))
    return found


LATER = later_than_8_5()


def test_what_is_called_later_than_8_5_is_so() -> None:
    oldest = api(ALL[0])
    assert oldest.version.startswith("8.5")
    there = [cls for cls, member in LATER if member in members_of(oldest, cls)]
    assert not there


@pytest.mark.parametrize(("module", "cls"), PROTOCOLS, ids=title)
def test_each_protocol_is_a_class_of_every_version_it_speaks_of(module: object, cls: type) -> None:
    wrong = []
    for version in SETS[module]:  # type: ignore[index]
        names = [*members(cls), *methods(cls)]
        wrong += [lacking(api(version), cls.__name__, name) for name in names]
        if cls.__name__ not in OURS and cls.__name__ not in api(version).classes:
            wrong.append(f"{version} has no class {cls.__name__}")
    assert not list(filter(None, wrong))


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


@pytest.mark.parametrize(("module", "cls"), PROTOCOLS, ids=title)
def test_each_method_takes_and_gives_what_the_real_one_does(module: object, cls: type) -> None:
    wrong = []
    for version in SETS[module]:  # type: ignore[index]
        if cls.__name__ not in api(version).classes:
            continue
        real = api(version).attributes(cls.__name__)
        for name, ours in methods(cls).items():
            ways = overloads(real.get(name, ""))
            good = [way for way in ways if fits(way, ours)]
            if ways and not good:
                wrong.append(f"{version}: {cls.__name__}.{name}{ours} is really {ways}")
            elif good and not any(same_kind(w.returns, str(ours.return_annotation)) for w in good):
                wrong.append(f"{version}: {cls.__name__}.{name} really gives {good[0].returns}")
    assert not wrong


@pytest.mark.parametrize(("module", "cls"), PROTOCOLS, ids=title)
def test_each_attribute_has_the_real_type(module: object, cls: type) -> None:
    wrong = []
    for version in SETS[module]:  # type: ignore[index]
        if cls.__name__ not in api(version).classes:
            continue
        real = api(version).attributes(cls.__name__)
        for name, kind in members(cls).items():
            text = real.get(name, kind)
            if text.startswith("("):
                wrong.append(f"{version}: {cls.__name__}.{name} is a method: {text}")
            elif not same_kind(text.removesuffix(SETTABLE), kind):
                wrong.append(f"{version}: {cls.__name__}.{name} is {text}, not {kind}")
    assert not wrong


@pytest.fixture(scope="module")
def ours() -> Checked:
    files = [p for p in sorted(PACKAGE.rglob("*.py")) if p.parent.name != "api"]
    return check(ROOT, files)


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


def test_every_use_in_our_sources_is_in_every_version_it_is_for(ours: Checked) -> None:
    assert not wrong_uses(ours)


def test_what_our_subclasses_override_is_there_to_override(ours: Checked) -> None:
    assert not [text for one in subclasses(ours, CLASSES) for text in wrong_subclass(one)]


def test_no_untyped_tensorrt_comes_in(ours: Checked) -> None:
    assert not untyped(ours, telling())


def test_no_integer_stands_for_a_member_of_an_enum(ours: Checked) -> None:
    assert not integers(ours)


def test_the_module_is_imported_in_one_place_only() -> None:
    doors = []
    for path in sorted((ROOT / "edgesdk").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "require":
                first = node.args[0]
                if isinstance(first, ast.Constant) and first.value == "tensorrt":
                    doors.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert len(doors) <= 1, doors


HEADER = """\
from typing import Any, cast
from edgesdk.backends.tensorrt.api import from_ten
from edgesdk.backends.tensorrt.api.always import TensorRT


def talk(trt: TensorRT) -> None:
"""
RIGHT = """\
    config = trt.Builder(None).create_builder_config()
    config.set_flag(trt.BuilderFlag.GPU_FALLBACK)
    config.DLA_core = 0
    if hasattr(trt.BuilderFlag, "FP16"):
        both = trt.NetworkDefinitionCreationFlag
        kinds = cast("type[from_ten.NetworkDefinitionCreationFlag]", both)
        trt.Builder(None).create_network(1 << int(kinds.STRONGLY_TYPED))
"""
USES = {
    "    print(trt.BuilderFlag.FP16)": "11.0.0.114: BuilderFlag has no FP16",
    "    trt.Bilder()": "has no Bilder",
    "    config = trt.Builder(None).create_builder_config()\n    config.set_flags(1)": (
        "IBuilderConfig has no set_flags"
    ),
    '    flags = cast("type[from_ten.BuilderFlag]", trt.BuilderFlag)\n    print(flags.STRIP)': (
        "BuilderFlag has no STRIP"
    ),
    '    hasattr(trt.BuilderFlag, "STRIPPED")': "no version's BuilderFlag has STRIPPED",
    "    trt.Builder(None).create_builder_config().num_optimization_profiles = 2": (
        "num_optimization_profiles cannot be set"
    ),
}
"""What is wrong -> what is said of it."""
INTEGERS = {
    "    trt.Builder(None).create_network(1)": "has a number for an enum",
    "    trt.Builder(None).create_network(flags=1 << 0)": "has a number for an enum",
    "    print(1 << int(len('a')))": "is made of no enum's member",
    "    print(int(trt.DeviceType.DLA) == 1)": "compares a member with a number",
}
DOORS = [
    "    pass\n\ndef more(config: Any) -> None:\n    pass",
    "    pass\n\ndef more(engine) -> None:\n    pass",
    "    pass\n\nclass Keeper:\n    context: Any = None",
    "    pass\n\ndef more(thing: Any) -> None:\n    thing.set_memory_pool_limit(1, 2)",
]
OVERRIDES = {
    "    class Log(trt.ILogger):\n        def lgo(self, severity, msg):\n            pass": (
        "ILogger has no lgo to override"
    ),
    "    class Log(trt.ILogger):\n        def log(self, severity):\n            pass": (
        "ILogger.log is called as"
    ),
}
BODIES = [RIGHT, *USES, *INTEGERS, *DOORS, *OVERRIDES]

Planted = Callable[[str], Checked]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """Sources with one thing wrong in each, and one with nothing wrong."""
    folder = tmp_path_factory.mktemp("planted")
    paths = [folder / f"planted{number}.py" for number in range(len(BODIES))]
    for path, body in zip(paths, BODIES, strict=True):
        path.write_text(HEADER + body)
    whole = check(folder, paths)

    def one(body: str) -> Checked:
        return Checked([whole.sources[BODIES.index(body)]], whole.result)

    return one


def test_right_uses_are_no_findings(planted: Planted) -> None:
    checked = planted(RIGHT)
    assert len(uses(checked)) == 12
    assert not wrong_uses(checked)
    assert not untyped(checked, telling())
    assert not integers(checked)


@pytest.mark.parametrize("body", USES)
def test_a_wrong_use_is_found(planted: Planted, body: str) -> None:
    found = wrong_uses(planted(body))
    assert found
    assert all(USES[body] in text for text in found if "11.0" in text or "8.6" in text), found


@pytest.mark.parametrize("body", INTEGERS)
def test_an_integer_for_an_enum_is_found(planted: Planted, body: str) -> None:
    (found,) = integers(planted(body))
    assert INTEGERS[body] in found


@pytest.mark.parametrize("body", DOORS)
def test_an_untyped_door_is_found(planted: Planted, body: str) -> None:
    assert len(untyped(planted(body), telling())) == 1


@pytest.mark.parametrize("body", OVERRIDES)
def test_a_method_that_overrides_nothing_is_found(planted: Planted, body: str) -> None:
    (one,) = subclasses(planted(body), CLASSES)
    wrong = wrong_subclass(one)
    assert wrong
    assert all(OVERRIDES[body] in text for text in wrong)
