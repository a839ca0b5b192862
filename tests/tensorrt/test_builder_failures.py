"""Weights left out, failures, timing cache and progress, seen on a double of TensorRT.

These tests do NOT show that TensorRT works: the double answers by its manual, and its "engine" is
a record of what it was asked.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx import helper

from edgesdk.backends.tensorrt.building.builder import BuildOrder
from edgesdk.backends.tensorrt.building.inspector import inspect_bytes
from edgesdk.backends.tensorrt.building.timing_cache import cache_path
from edgesdk.backends.tensorrt.logging import Messages, make_log
from edgesdk.backends.tensorrt.runtime.refit import refit
from edgesdk.backends.tensorrt.settings import EngineSettings
from edgesdk.errors import BackendError
from edgesdk.model import Model
from tests.onnx_graphs import make_model
from tests.tensorrt.nets import (
    EIGHT,
    ELEVEN,
    TEN,
    build,
    float_net,
    varying_net,
)
from tests.tensorrt_double import control, make_tensorrt
from tests.tensorrt_double.plan import read_plan
from tests.tensorrt_list import versions

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


@pytest.mark.parametrize("version", EIGHT)
def test_eight_has_no_engines_without_weights(version: str) -> None:
    with pytest.raises(BackendError, match="has no engines without weights: 10 and later have"):
        build(make_tensorrt(version), float_net(), EngineSettings(strip_weights=True))


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
    with pytest.raises(BackendError, match="unsupported node") as caught:
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
