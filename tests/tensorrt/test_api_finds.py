"""What test_api must find in sources is found: each wrong use, planted alone, and no right one.

These tests are about our own checks; nothing of TensorRT runs.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.tensorrt.conform import CLASSES, telling, wrong_casts, wrong_subclass, wrong_uses
from tests.tensorrt_uses import Checked, check, integers, subclasses, untyped, uses

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
CAST = '    cast("until_ten.IBilder", trt)'
BODIES = [RIGHT, CAST, *USES, *INTEGERS, *DOORS, *OVERRIDES]
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


def test_a_cast_to_no_protocol_is_found(planted: Planted) -> None:
    (found,) = wrong_casts(planted(CAST))
    assert "no protocol until_ten.IBilder" in found


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
