"""Every use of TensorRT in our sources is one that the real TensorRT of each version has.

The uses are found by themselves (tests.tensorrt_uses), what is real comes from NVIDIA's bindings
(tests/tensorrt_api; 8.5 from their source). It shows that names, signatures and types are right;
it does not show that TensorRT does what we expect of them.
"""

from __future__ import annotations

import ast

import pytest

from tests.tensorrt.conform import (
    ALL,
    CLASSES,
    LATER,
    OURS,
    PACKAGE,
    PROTOCOLS,
    ROOT,
    SETS,
    fits,
    lacking,
    members,
    members_of,
    methods,
    same_kind,
    telling,
    title,
    wrong_casts,
    wrong_subclass,
    wrong_uses,
)
from tests.tensorrt_list import SETTABLE, api, overloads
from tests.tensorrt_uses import Checked, casts, check, integers, subclasses, untyped, uses


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
    files = [p for p in sorted(PACKAGE.rglob("*.py")) if "api" not in p.parts]
    return check(ROOT, files)


def test_the_uses_in_our_sources_are_seen(ours: Checked) -> None:
    """An empty list would pass all that follows."""
    seen = {(use.since, use.cls, use.member) for use in uses(ours)}
    assert len(seen) > 100
    assert ("always", "Builder", "build_serialized_network") in seen
    assert ("always", "IExecutionContext", "execute_async_v3") in seen
    assert ("until_ten", "BuilderFlag", "INT8") in seen
    assert ("from_ten", "NetworkDefinitionCreationFlag", "STRONGLY_TYPED") in seen
    assert {one.base for one in subclasses(ours, CLASSES)} == {
        "ILogger",
        "IProgressMonitor",
        "IProfiler",
        "IInt8EntropyCalibrator2",
    }


def test_casts_name_protocols_that_exist(ours: Checked) -> None:
    assert casts(ours)
    assert not wrong_casts(ours)


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
