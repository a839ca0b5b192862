"""Which calls the builder makes to each version of TensorRT, seen on a double of it.

These tests do NOT show that TensorRT works: the double answers by its manual, and its "engine" is
a record of what it was asked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from edgesdk.backends.tensorrt.builder import BuildOrder, BuiltEngine, build_engine, settings_for
from edgesdk.backends.tensorrt.features import features_of
from edgesdk.backends.tensorrt.inspector import inspect_bytes
from edgesdk.backends.tensorrt.logging import Messages, make_log
from edgesdk.backends.tensorrt.pools import memory_of
from edgesdk.backends.tensorrt.refit import refit
from edgesdk.backends.tensorrt.settings import DlaSettings, EngineSettings, ShapeRange
from edgesdk.backends.tensorrt.timing_cache import cache_path
from edgesdk.bundle import InputRange, Manifest, Origin, Target, write_bundle
from edgesdk.devices import device_names, load_device
from edgesdk.errors import BackendError, UsageError
from edgesdk.model import Model
from edgesdk.model.prepare import prepare
from edgesdk.quantize.fp16 import write_fp16
from edgesdk.quantize.layers import find_layers
from edgesdk.quantize.qdq import write_qdq
from tests.onnx_graphs import make_model, small_detector
from tests.tensorrt_double import control, make_tensorrt
from tests.tensorrt_double.plan import Plan, read_plan
from tests.tensorrt_list import versions

EIGHT, TEN, ELEVEN = ("8.6.1",), ("10.3.0", "10.13.3", "10.16.1"), ("11.0.0", "11.4.0")
GIB = 1024**3
PLAIN = EngineSettings()
EMPTY = BuildOrder()


def float_net(opset: int = 17) -> Model:
    return prepare(Model.of(small_detector()), opset, {})


def half_net() -> Model:
    return write_fp16(float_net())


def island_net() -> Model:
    return write_fp16(float_net(), {"depthwise": "it overflows"})


def int8_net() -> Model:
    model = float_net()
    layers = find_layers(model, ("Conv",))
    return write_qdq(model, {layer.activation: 4.0 for layer in layers}, layers)


def varying_net() -> Model:
    weight = np.ones((4, 3, 3, 3), np.float32)
    nodes = [helper.make_node("Conv", ["images", "w"], ["out"], "conv")]
    inputs = {"images": ["batch", 3, 32, 32]}
    return Model.of(make_model(nodes, {"w": weight}, inputs, ["out"]))


def build(
    trt: Any, model: Model, settings: EngineSettings = PLAIN, order: BuildOrder = EMPTY
) -> BuiltEngine:
    return build_engine(trt, model, settings, order)


def asked(
    version: str, model: Model, settings: EngineSettings = PLAIN, order: BuildOrder = EMPTY
) -> Plan:
    return read_plan(build(make_tensorrt(version), model, settings, order).data)


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


@pytest.mark.parametrize(
    ("net", "flags"),
    [("fp32", set()), ("fp16", {"FP16"}), ("int8", {"INT8"})],
)
def test_eight_gets_a_flag_for_each_precision_that_the_graph_holds(
    net: str, flags: set[str]
) -> None:
    plan = asked("8.6.1", NETS[net])
    assert plan.network_flags == ("EXPLICIT_BATCH",)
    assert set(plan.flags) == flags


def test_eight_holds_the_float32_islands_of_a_half_precision_graph() -> None:
    plan = asked("8.6.1", island_net())
    assert set(plan.flags) == {"FP16", "OBEY_PRECISION_CONSTRAINTS"}
    trt = make_tensorrt("8.6.1")
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


@pytest.mark.parametrize("version", versions())
def test_level_and_version_compatibility_are_set_when_asked_for(version: str) -> None:
    plan = asked(
        version, float_net(), EngineSettings(optimization_level=5, version_compatible=True)
    )
    assert plan.optimization_level == 5
    assert plan.flags == ("VERSION_COMPATIBLE",)


def test_eight_five_lacks_level_and_version_compatibility() -> None:
    trt = make_tensorrt("8.6.1")
    trt.__version__ = "8.5.2.2"
    del trt.IBuilderConfig.builder_optimization_level, trt.BuilderFlag.VERSION_COMPATIBLE
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


# --- DLA --------------------------------------------------------------------------------------

DLA = EngineSettings(dla=DlaSettings(core=1))


@pytest.mark.parametrize("version", ["8.6.1", "10.3.0"])
def test_dla_takes_half_precision_and_says_what_falls_back(version: str) -> None:
    trt = make_tensorrt(version)
    control(trt).not_on_dla = ("depthwise",)
    built = build(trt, half_net(), DLA)
    plan = read_plan(built.data)
    assert (plan.device, plan.dla_core) == ("DLA", 1)
    assert set(plan.flags) == {"FP16", "GPU_FALLBACK"}
    assert plan.network_flags == ("EXPLICIT_BATCH",), "DLA below 11 is asked by flags"
    assert built.dla is not None
    left = {node for layer in built.dla.on_gpu for node in layer.origin}
    assert {"depthwise", "transpose"} <= left
    assert "first" not in left
    assert "depthwise" in str(built.dla)
    assert {layer.device for layer in built.layers} == {"dla", "gpu"}


def test_a_layer_that_dla_lacks_is_an_error_when_nothing_may_fall_back() -> None:
    trt = make_tensorrt("10.3.0")
    control(trt).not_on_dla = ("depthwise",)
    settings = EngineSettings(dla=DlaSettings(gpu_fallback=False))
    with pytest.raises(BackendError, match=r"none may fall back: .*depthwise \(convolution\)"):
        build(trt, half_net(), settings)


def test_dla_s_pools_are_set_and_refused_sizes_are_found() -> None:
    dla = DlaSettings(sram_bytes=1 << 19, local_bytes=1 << 30, global_bytes=1 << 28)
    pools = asked("10.3.0", half_net(), EngineSettings(dla=dla)).pools
    assert pools == {
        "DLA_MANAGED_SRAM": 1 << 19,
        "DLA_LOCAL_DRAM": 1 << 30,
        "DLA_GLOBAL_DRAM": 1 << 28,
    }
    with pytest.raises(UsageError, match="powers of two"):
        DlaSettings(sram_bytes=3000)


def test_a_size_that_tensorrt_only_logs_about_is_an_error() -> None:
    trt = make_tensorrt("10.3.0")
    trt.IBuilderConfig.set_memory_pool_limit = lambda self, pool, pool_size: self._logger.log(
        trt.ILogger.ERROR, "setMemoryPoolLimit: not this size"
    )
    with pytest.raises(BackendError, match="refuses 1,048,576: setMemoryPoolLimit: not this size"):
        build(trt, float_net(), EngineSettings(workspace_bytes=1 << 20))


@pytest.mark.parametrize("version", ["10.13.3", "10.16.1", "11.0.0", "11.4.0"])
def test_releases_without_dla_are_refused_with_a_sentence(version: str) -> None:
    trt = make_tensorrt(version)
    with pytest.raises(BackendError, match=r"has no DLA: 10\.7 was the last 10\.x with it"):
        build(trt, half_net(), DLA)
    assert control(trt).calls == [], "before any object is made"


@pytest.mark.parametrize(("cores", "said"), [(0, "no DLA"), (1, "1 DLA cores")])
def test_a_device_without_the_core_is_refused(cores: int, said: str) -> None:
    trt = make_tensorrt("10.3.0")
    control(trt).dla_cores = cores
    with pytest.raises(BackendError, match=f"DLA core 1 was asked for, and TensorRT finds {said}"):
        build(trt, half_net(), DLA)


def test_dla_refuses_float32_pairs_and_varying_sizes() -> None:
    trt = make_tensorrt("10.3.0")
    with pytest.raises(BackendError, match="DLA computes in INT8 and FP16 only"):
        build(trt, float_net(), DLA)
    with pytest.raises(BackendError, match="takes no Q/DQ pairs"):
        build(trt, int8_net(), DLA)
    varying = EngineSettings(
        dla=DlaSettings(),
        shapes={"images": ShapeRange((1, 3, 32, 32), (2, 3, 32, 32), (4, 3, 32, 32))},
    )
    with pytest.raises(BackendError, match="DLA takes fixed shapes only"):
        build(trt, varying_net(), varying)


# --- ranges beside the graph ------------------------------------------------------------------

IMPLICIT = EngineSettings(dla=DlaSettings(), implicit_int8=True)
RANGES = BuildOrder(ranges={"images": 1.0, "r1": 4.0, "r2": 4.0}, wanted_int8=("first",))


@pytest.mark.parametrize("version", ["8.6.1", "10.3.0"])
def test_implicit_int8_hands_the_ranges_over_and_no_picture(version: str) -> None:
    plan = asked(version, float_net(), IMPLICIT, RANGES)
    assert {"INT8", "FP16"} <= set(plan.flags)
    assert plan.network_flags == ("EXPLICIT_BATCH",)
    assert plan.calibration_cache.startswith("TRT-")
    assert {line.partition(":")[0] for line in plan.calibration_cache.splitlines()[1:]} == {
        "images",
        "r1",
        "r2",
    }


def test_implicit_int8_needs_ranges_and_a_graph_without_pairs() -> None:
    trt = make_tensorrt("10.3.0")
    with pytest.raises(BackendError, match="needs the ranges of calibration"):
        build(trt, float_net(), IMPLICIT)
    with pytest.raises(BackendError, match="still has Q/DQ pairs"):
        build(trt, int8_net(), IMPLICIT, RANGES)
    with pytest.raises(BackendError, match="takes ranges only inside the graph"):
        build(make_tensorrt("11.0.0"), float_net(), EngineSettings(implicit_int8=True), RANGES)


# --- weights left out -------------------------------------------------------------------------


@pytest.mark.parametrize("version", [*TEN, *ELEVEN])
def test_weights_are_left_out_and_put_back_from_the_bundle(version: str) -> None:
    trt = make_tensorrt(version)
    built = build(trt, float_net(), EngineSettings(strip_weights=True))
    plan = read_plan(built.data)
    also_called = {"WEIGHTLESS"}  # 10.x has an older name for STRIP_PLAN
    assert set(plan.flags) - also_called == {"STRIP_PLAN", "REFIT_IDENTICAL"}
    messages = Messages()
    log = make_log(trt, messages)
    engine = trt.Runtime(log).deserialize_cuda_engine(built.data)
    refit(trt, engine, float_net(), log, messages)
    expected = {t.name: t.raw_data for t in float_net().proto.graph.initializer}
    found = {t.name: t.raw_data for t in engine._plan.model.graph.initializer}
    assert found == expected


def test_weights_of_another_graph_are_refused() -> None:
    trt = make_tensorrt("10.3.0")
    built = build(trt, float_net(), EngineSettings(strip_weights=True))
    messages = Messages()
    log = make_log(trt, messages)
    engine = trt.Runtime(log).deserialize_cuda_engine(built.data)
    with pytest.raises(BackendError, match="weights are not in the bundle") as caught:
        refit(trt, engine, varying_net(), log, messages)
    assert "build it again" in caught.value.hint


def test_eight_has_no_engines_without_weights() -> None:
    with pytest.raises(BackendError, match="has no engines without weights: 10 and later have"):
        build(make_tensorrt("8.6.1"), float_net(), EngineSettings(strip_weights=True))


# --- failures ---------------------------------------------------------------------------------


@pytest.mark.parametrize("version", versions())
def test_a_failed_build_is_told_in_tensorrt_s_words(version: str) -> None:
    trt = make_tensorrt(version)
    control(trt).fail_build = "Error Code 10: Could not find any implementation for node first"
    with pytest.raises(BackendError, match="Could not find any implementation for node first"):
        build(trt, float_net())


@pytest.mark.parametrize("version", versions())
def test_without_a_driver_the_null_pointer_becomes_a_sentence(version: str) -> None:
    trt = make_tensorrt(version)
    control(trt).no_driver = True
    with pytest.raises(BackendError, match="cannot make a builder here") as caught:
        build(trt, float_net())
    assert "edgesdk doctor" in caught.value.hint


@pytest.mark.parametrize(("version", "where"), [("8.6.1", "node "), ("10.3.0", "gadget (Hardmax)")])
def test_the_parser_s_errors_name_the_node_where_the_version_knows_it(
    version: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.tensorrt_double.parser.UNKNOWN", ("Hardmax",))
    nodes = [helper.make_node("Hardmax", ["x"], ["y"], "gadget")]
    model = Model.of(make_model(nodes, {}, {"x": [1, 4]}, ["y"]))
    with pytest.raises(BackendError, match="could not find plugin: Hardmax") as caught:
        build(make_tensorrt(version), model)
    assert where in caught.value.message


# --- timing cache -----------------------------------------------------------------------------


@pytest.mark.parametrize("version", versions())
def test_the_timing_cache_is_begun_then_used_and_grows(version: str, tmp_path: Path) -> None:
    path = cache_path(tmp_path, version, "Orin (nvgpu) sm87")
    assert path.name == f"timing-{version}-orin-nvgpu-sm87.cache"
    order = BuildOrder(timing_cache=path)
    assert build(make_tensorrt(version), float_net(), order=order).warnings == ()
    first = path.read_bytes()
    assert build(make_tensorrt(version), float_net(), order=order).warnings == ()
    second = path.read_bytes()
    assert len(second) > len(first) > 0
    assert [p.name for p in tmp_path.iterdir()] == [path.name], "nothing half-written is left"


def test_a_damaged_cache_is_dropped_with_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "timing.cache"
    path.write_bytes(b"\x00damaged")
    built = build(make_tensorrt("10.3.0"), float_net(), order=BuildOrder(timing_cache=path))
    assert built.warnings == ("the timing cache timing.cache is damaged: kernels are timed anew",)
    assert b"damaged" not in path.read_bytes()


def test_a_foreign_cache_is_dropped_with_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "timing.cache"
    build(make_tensorrt("10.3.0"), float_net(), order=BuildOrder(timing_cache=path))
    trt = make_tensorrt("10.3.0")
    control(trt).refuse = ("IBuilderConfig.set_timing_cache", "ITimingCache.combine")
    built = build(trt, float_net(), order=BuildOrder(timing_cache=path))
    assert "is of another TensorRT or GPU" in built.warnings[0]
    assert built.data


def test_a_cache_that_cannot_be_read_or_written_does_not_fail_the_build(tmp_path: Path) -> None:
    order = BuildOrder(timing_cache=tmp_path)  # a folder
    built = build(make_tensorrt("10.3.0"), float_net(), order=order)
    assert built.data
    assert len(built.warnings) == 2


# --- progress ---------------------------------------------------------------------------------


@pytest.mark.parametrize("version", versions())
def test_progress_never_falls_and_ends_at_one(version: str) -> None:
    seen: list[tuple[str, float]] = []
    order = BuildOrder(progress=lambda name, share, left: seen.append((name, share)))
    build(make_tensorrt(version), float_net(), order=order)
    shares = [share for _, share in seen]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len(set(shares)) > 4, "layer after layer"


@pytest.mark.parametrize("version", [*TEN, *ELEVEN])
def test_a_build_is_stopped_between_two_steps(version: str) -> None:
    with pytest.raises(BackendError, match="the build was stopped"):
        build(make_tensorrt(version), float_net(), order=BuildOrder(stop=lambda: True))


@pytest.mark.parametrize("version", versions())
def test_what_a_listener_raises_arrives_after_the_build_whatever_the_version(version: str) -> None:
    """Nothing may be raised through TensorRT itself; below 10 it cannot even be stopped."""

    def hear(line: str) -> None:
        if "Engine generation" in line:
            raise OSError("the log file is full")

    with pytest.raises(OSError, match="the log file is full"):
        build(make_tensorrt(version), float_net(), order=BuildOrder(hear=hear))


def test_an_engine_that_cannot_be_loaded_has_no_layers() -> None:
    trt = make_tensorrt("10.3.0")
    messages = Messages()
    assert inspect_bytes(trt, b"no engine", make_log(trt, messages)) == ()
    assert "Magic tag does not match" in messages.last_errors()


def test_the_line_of_the_missing_driver_does_not_hide_the_reason() -> None:
    messages = Messages()
    for line in ("a true reason", *["catchCudaError: cudaError 35: insufficient"] * 5):
        messages.error(line)
    assert messages.last_errors() == "a true reason"
    assert "cudaError 35" in str(_only_driver().failed("cannot start", ""))


def _only_driver() -> Messages:
    messages = Messages()
    messages.error("catchCudaError: cudaError 35: insufficient")
    return messages
