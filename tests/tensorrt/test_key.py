"""What names an engine, and which differences refuse it.

These tests show our rules. That TensorRT itself keeps to them is NVIDIA's word (its support matrix
and its page on engine compatibility); only a board can show it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesdk.backends.tensorrt.engines.key import EngineKey
from edgesdk.backends.tensorrt.machine.driver import Gpu
from edgesdk.backends.tensorrt.machine.host import Host, read_host
from edgesdk.backends.tensorrt.settings import DlaSettings, EngineSettings, ShapeRange
from edgesdk.errors import EdgeError
from tests.tensorrt.engines import ORIN

GRAPH = "ab" * 32
SIZES = st.lists(st.integers(1, 640), min_size=1, max_size=5)
TEXTS = st.text(max_size=12)


@st.composite
def shape_ranges(draw: st.DrawFn) -> ShapeRange:
    low = draw(SIZES)
    middle = [size + draw(st.integers(0, 9)) for size in low]
    high = [size + draw(st.integers(0, 9)) for size in middle]
    return ShapeRange(tuple(low), tuple(middle), tuple(high))


POOLS = st.none() | st.integers(12, 30).map(lambda power: 2**power)
DLA = st.builds(
    DlaSettings, st.integers(0, 1), st.booleans(), sram_bytes=POOLS, local_bytes=POOLS
)  # fmt: skip
SETTINGS = st.builds(
    EngineSettings,
    shapes=st.dictionaries(TEXTS, shape_ranges(), max_size=3),
    workspace_bytes=st.none() | st.integers(0, 2**40),
    optimization_level=st.none() | st.integers(0, 5),
    dla=st.none() | DLA,
    version_compatible=st.booleans(),
    strip_weights=st.booleans(),
    implicit_int8=st.booleans(),
)
HOSTS = st.builds(Host, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, st.integers(0, 200), TEXTS)
KEYS = st.builds(EngineKey, st.text("0123456789abcdef", min_size=64, max_size=64), SETTINGS, HOSTS)


def made(host: Host = ORIN, settings: EngineSettings | None = None) -> EngineKey:
    return EngineKey(GRAPH, settings or EngineSettings(), host)


@given(KEYS)
def test_a_key_survives_its_json(key: EngineKey) -> None:
    again = EngineKey.from_json(json.loads(json.dumps(key.to_json())), "here")
    assert again == key
    assert again.fingerprint == key.fingerprint
    assert again.differences(key) == ()


@given(KEYS, KEYS)
def test_other_keys_have_other_names_and_say_why(one: EngineKey, other: EngineKey) -> None:
    assert (one.fingerprint == other.fingerprint) == (one == other)
    assert (one.differences(other) == ()) == (one == other)


@given(SETTINGS, SETTINGS)
def test_each_setting_that_differs_is_named_once(one: EngineSettings, two: EngineSettings) -> None:
    names = [d.field for d in made(settings=one).differences(made(settings=two))]
    pairs = [(f.name, getattr(one, f.name), getattr(two, f.name)) for f in fields(one)]
    assert sorted(names) == sorted(name for name, a, b in pairs if a != b)


def test_the_name_of_an_engine_is_the_same_in_every_process() -> None:
    # SHA-256 over the JSON with sorted keys and no spaces, written out here; a change makes every
    # engine that is stored anywhere unknown, so it should be on purpose.
    text = (
        '{"graph":"' + GRAPH + '","host":{"compute_capability":"8.7","gpu":"Orin",'
        '"module":"orin-nx-16gb","platform":"linux-aarch64","power_mode":"0","sm_count":8,'
        '"tensorrt":"10.3.0"},"settings":'
    )
    settings = json.dumps(made().to_json()["settings"], sort_keys=True, separators=(",", ":"))
    expected = hashlib.sha256((text + settings + "}").encode()).hexdigest()[:12]
    assert made().fingerprint == expected


@pytest.mark.parametrize(
    ("field", "value", "refuses"),
    [
        ("tensorrt", "10.13.3", True),
        ("compute_capability", "11.0", True),
        ("gpu", "Thor", True),
        ("module", "orin-nano-8gb", True),
        ("platform", "linux-x86_64", True),
        ("sm_count", 4, False),
        ("power_mode", "2", False),
    ],
)
def test_what_a_change_of_the_machine_means(field: str, value: object, refuses: bool) -> None:
    stored = replace(ORIN, **{field: value})  # type: ignore[arg-type]
    (difference,) = made(stored).differences(made())
    assert (difference.field, difference.refuses) == (field, refuses)
    assert (difference.found, difference.expected) == (str(value), str(getattr(ORIN, field)))
    assert str(value) in str(difference)
    assert str(getattr(ORIN, field)) in str(difference)


def test_every_fact_of_the_machine_has_a_meaning_of_its_own() -> None:
    changed = {f.name: 3 if f.name == "sm_count" else "other" for f in fields(Host)}
    found = made(Host(**changed)).differences(made())  # type: ignore[arg-type]
    assert {d.field for d in found} == set(changed)
    assert len({d.meaning for d in found}) == len(changed)


@pytest.mark.parametrize(("stored", "here"), [("", "orin-nx-16gb"), ("orin-nx-16gb", "")])
def test_a_module_that_a_container_hides_is_told_and_does_not_refuse(
    stored: str, here: str
) -> None:
    (found,) = made(replace(ORIN, module=stored)).differences(made(replace(ORIN, module=here)))
    assert not found.refuses
    assert "unknown" in str(found)


def test_what_refuses_comes_before_what_warns() -> None:
    stored = replace(ORIN, power_mode="1", sm_count=4, tensorrt="8.6.2")
    found = made(stored).differences(made())
    assert [d.refuses for d in found] == [True, False, False]


@pytest.mark.parametrize(
    ("built", "running", "loads"),
    [
        ("10.3.0", "10.3.0", True),
        ("10.3.0", "10.13.3", True),
        ("10.13.3", "10.3.0", False),  # never in an older one
        ("8.6.2", "10.3.0", True),  # NVIDIA: 8 in 10
        ("10.16.2", "11.4.1", True),  # NVIDIA: 10 in 11
        ("8.6.2", "11.0.0", False),  # NVIDIA: "a TensorRT 8 engine cannot run with 11"
        ("8.5.2", "8.6.2", False),  # version compatibility began with 8.6
        ("11.0.0", "12.0.0", False),  # nobody has said so
        ("", "10.3.0", False),
    ],
)
def test_a_version_compatible_engine_loads_in_later_versions(
    built: str, running: str, loads: bool
) -> None:
    asked = EngineSettings(version_compatible=True)
    stored = made(replace(ORIN, tensorrt=built), asked)
    found = stored.differences(made(replace(ORIN, tensorrt=running), asked))
    assert any(d.refuses for d in found) != loads
    assert len(found) == (built != running)  # a later version is told, even where it loads


def test_an_ordinary_engine_does_not_load_in_a_later_patch() -> None:
    (found,) = made().differences(made(replace(ORIN, tensorrt="10.3.1")))
    assert found.refuses


def test_settings_are_told_in_words() -> None:
    images = {"images": ShapeRange((1, 3, 416, 416), (4, 3, 416, 416), (8, 3, 416, 416))}
    stored = made(settings=EngineSettings(shapes=images, optimization_level=5))
    told = {d.field: (d.found, d.expected) for d in stored.differences(made())}
    assert told == {
        "shapes": ("images 1x3x416x416 : 4x3x416x416 : 8x3x416x416", "none"),
        "optimization_level": ("5", "TensorRT's own"),
    }


@pytest.mark.parametrize(
    "spoil",
    [
        lambda table: table.update(colour="red"),
        lambda table: table["host"].update(colour="red"),
        lambda table: table["host"].pop("tensorrt"),
        lambda table: table["host"].update(sm_count="8"),
        lambda table: table["settings"].update(optimization_level=9),
        lambda table: table["settings"].update(dla={"sram_bytes": 5000}),
        lambda table: table.update(graph=7),
    ],
    ids=["key", "host key", "missing", "type", "level", "dla", "graph"],
)
def test_json_that_is_no_key_is_refused_by_name(spoil) -> None:  # type: ignore[no-untyped-def]
    table = made().to_json()
    spoil(table)
    with pytest.raises(EdgeError):
        EngineKey.from_json(table, "here")


def test_a_machine_is_read_from_its_files(tmp_path: Path) -> None:
    compatible = tmp_path / "proc/device-tree/compatible"
    compatible.parent.mkdir(parents=True)
    compatible.write_text("nvidia,p3768-0000+p3767-0000\0nvidia,p3767-0000\0nvidia,tegra234\0")
    status = tmp_path / "var/lib/nvpmodel/status"
    status.parent.mkdir(parents=True)
    status.write_text("pmode:0002\n")
    found = read_host("10.3.0", Gpu("Orin", "8.7", True, 16 << 30, 8), tmp_path)
    assert (found.module, found.power_mode, found.sm_count) == ("orin-nx-16gb", "2", 8)
    assert (found.tensorrt, found.gpu, found.compute_capability) == ("10.3.0", "Orin", "8.7")


def test_a_desk_has_no_module_and_no_power_mode(tmp_path: Path) -> None:
    found = read_host("10.3.0", Gpu("RTX A4000", "8.6", False, 16 << 30, 48), tmp_path)
    assert (found.module, found.power_mode) == ("", "")
    assert found.platform.startswith("linux-")
