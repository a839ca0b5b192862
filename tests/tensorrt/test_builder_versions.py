"""Which calls the builder makes to each version of TensorRT, seen on a double of it.

These tests do NOT show that TensorRT works: the double answers by its manual, and its "engine" is
a record of what it was asked.
"""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from edgesdk.backends.tensorrt.building.builder import BuildOrder, settings_for
from edgesdk.backends.tensorrt.building.pools import memory_of
from edgesdk.backends.tensorrt.features import features_of
from edgesdk.backends.tensorrt.settings import EngineSettings
from edgesdk.bundle import InputRange, Manifest, Origin, Target, write_bundle
from edgesdk.devices import device_names, load_device
from edgesdk.errors import BackendError
from edgesdk.model import Model
from tests.tensorrt.nets import (
    EIGHT,
    ELEVEN,
    GIB,
    TEN,
    asked,
    build,
    float_net,
    half_net,
    int8_net,
    island_net,
    varying_net,
)
from tests.tensorrt_double import control, make_tensorrt
from tests.tensorrt_double.plan import read_plan
from tests.tensorrt_list import versions


def test_the_versions_here_are_those_of_the_lists() -> None:
    assert set(versions()) == {*EIGHT, *TEN, *ELEVEN}


# --- precision --------------------------------------------------------------------------------

NETS = {"fp32": float_net(), "fp16": half_net(), "int8": int8_net()}


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("version", [*TEN, *ELEVEN])
def test_from_ten_on_networks_are_strongly_typed_and_no_precision_flag_is_set(
    version: str, net: str
) -> None:
    plan = asked(version, NETS[net])
    assert plan.network_flags == ("STRONGLY_TYPED",)
    assert plan.flags == ()


@pytest.mark.parametrize("version", EIGHT)
@pytest.mark.parametrize(
    ("net", "flags"),
    [("fp32", set()), ("fp16", {"FP16"}), ("int8", {"INT8"})],
)
def test_eight_gets_a_flag_for_each_precision_that_the_graph_holds(
    version: str, net: str, flags: set[str]
) -> None:
    plan = asked(version, NETS[net])
    assert plan.network_flags == ("EXPLICIT_BATCH",)
    assert set(plan.flags) == flags


@pytest.mark.parametrize("version", EIGHT)
def test_eight_holds_the_float32_islands_of_a_half_precision_graph(version: str) -> None:
    plan = asked(version, island_net())
    assert set(plan.flags) == {"FP16", "OBEY_PRECISION_CONSTRAINTS"}
    trt = make_tensorrt(version)
    built = build(trt, island_net())
    assert not [line for line in built.warnings if "stay in float" in line], "its layer was found"


def test_islands_whose_layers_are_not_found_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.tensorrt_double.network.title_of", lambda node, i: f"renamed {i}")
    built = build(make_tensorrt("8.6.1"), island_net())
    assert "1 operators that should stay in float may run in fewer bits" in " ".join(built.warnings)
    assert "depthwise" in " ".join(built.warnings)


@pytest.mark.parametrize("version", versions())
def test_int8_that_is_not_honoured_comes_first_among_the_warnings(version: str) -> None:
    trt = make_tensorrt(version)
    control(trt).not_in_int8 = ("depthwise",)
    built = build(trt, int8_net())
    assert built.warnings[0].startswith("INT8 NOT HONOURED: 1 of 3 layers asked for: depthwise")
    assert len(built.layers) == len(read_plan(built.data).layers)
    assert build(make_tensorrt(version), int8_net()).warnings == ()


# --- shapes, pools, levels, options -----------------------------------------------------------


@pytest.mark.parametrize("version", versions())
def test_ranges_of_the_bundle_reach_the_builder(version: str, tmp_path: Path) -> None:
    batches = InputRange((1, 3, 32, 32), (2, 3, 32, 32), (4, 3, 32, 32))
    manifest = Manifest(
        name="net",
        sdk_version="0",
        created="now",
        precision="fp32",
        origin=Origin("net", "0", 17),
        target=Target("agx-orin-64gb", "6.2", version, 17),
        spec=None,
        shapes={"images": batches},
    )
    bundle = write_bundle(tmp_path / "net.edge", varying_net(), manifest)
    plan = asked(version, bundle.model(), settings_for(bundle))
    assert plan.profiles == ({"images": [[1, 3, 32, 32], [2, 3, 32, 32], [4, 3, 32, 32]]},)


@pytest.mark.parametrize("device", device_names())
def test_the_workspace_is_a_quarter_of_the_device_s_memory(device: str) -> None:
    profile = load_device(device)
    order = BuildOrder(memory_bytes=memory_of(profile))
    assert asked("10.3.0", float_net(), order=order).pools == {
        "WORKSPACE": profile.memory_gb * GIB // 4
    }


@pytest.mark.parametrize("version", versions())
def test_what_nothing_is_known_of_stays_as_tensorrt_has_it(version: str) -> None:
    plan = asked(version, float_net())
    assert (plan.pools, plan.profiles, plan.flags) == ({}, (), ())
    assert plan.optimization_level == 3
    assert plan.verbosity == "DETAILED", "else no one could say later what runs in INT8"


@pytest.mark.parametrize("version", ["8.6.1", *TEN, *ELEVEN])
def test_level_and_version_compatibility_are_set_when_asked_for(version: str) -> None:
    plan = asked(
        version, float_net(), EngineSettings(optimization_level=5, version_compatible=True)
    )
    assert plan.optimization_level == 5
    assert plan.flags == ("VERSION_COMPATIBLE",)


def test_eight_five_lacks_level_and_version_compatibility() -> None:
    trt = make_tensorrt("8.5.2")
    assert build(trt, float_net()).data
    for settings in (EngineSettings(optimization_level=2), EngineSettings(version_compatible=True)):
        with pytest.raises(BackendError, match=r"TensorRT 8\.5\.2 has no .*: 8\.6 and later"):
            build(trt, float_net(), settings)


def test_a_tensorrt_before_eight_five_is_refused() -> None:
    trt = make_tensorrt("8.6.1")
    trt.__version__ = "8.4.1"
    del trt.ICudaEngine.num_io_tensors
    with pytest.raises(BackendError, match=r"8\.4\.1 is too old"):
        features_of(trt)


@pytest.mark.parametrize(("version", "opset"), [("8.6.1", 17), ("10.3.0", 20), ("11.4.0", 25)])
def test_a_graph_of_a_later_operator_set_than_the_parser_s_is_refused(
    version: str, opset: int
) -> None:
    proto = onnx.ModelProto()
    proto.CopyFrom(float_net().proto)
    proto.opset_import[0].version = opset + 1
    with pytest.raises(BackendError, match=f"operator set {opset + 1}; the target takes {opset}"):
        build(make_tensorrt(version), Model.of(proto))
