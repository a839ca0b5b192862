"""Building for DLA, and INT8 from ranges beside the graph, seen on a double of TensorRT.

These tests do NOT show that TensorRT works: the double answers by its manual, and its "engine" is
a record of what it was asked.
"""

from __future__ import annotations

import pytest

from edgesdk.backends.tensorrt.building.builder import BuildOrder
from edgesdk.backends.tensorrt.settings import DlaSettings, EngineSettings, ShapeRange
from edgesdk.errors import BackendError, UsageError
from tests.tensorrt.nets import (
    EIGHT,
    asked,
    build,
    float_net,
    half_net,
    int8_net,
    varying_net,
)
from tests.tensorrt_double import control, make_tensorrt
from tests.tensorrt_double.plan import read_plan

# --- DLA --------------------------------------------------------------------------------------

DLA = EngineSettings(dla=DlaSettings(core=1))


@pytest.mark.parametrize("version", [*EIGHT, "10.3.0"])
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


@pytest.mark.parametrize("version", [*EIGHT, "10.3.0"])
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
