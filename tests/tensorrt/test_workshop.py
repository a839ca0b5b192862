"""The store, the builder and the backend together, on a double of TensorRT.

They show when an engine is built, kept, used and refused. They do not show that TensorRT works.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesdk.backends.base import Engine, Probe
from edgesdk.backends.tensorrt.backend import Machinery, TensorRTBackend, TensorRTEngine
from edgesdk.backends.tensorrt.engines.store import EngineStore
from edgesdk.backends.tensorrt.engines.workshop import Workshop
from edgesdk.backends.tensorrt.machine.driver import Driver, Gpu
from edgesdk.backends.tensorrt.settings import DlaSettings, EngineSettings
from edgesdk.bundle import Bundle
from edgesdk.errors import BackendError, UsageError
from tests.tensorrt.boards import ORIN_NX, machinery, orin_nx
from tests.tensorrt.engines import bundle, double
from tests.tensorrt_double import control, make_tensorrt
from tests.tensorrt_list import versions


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGESDK_CACHE", str(tmp_path / "cache"))
    return orin_nx(tmp_path / "board")


@pytest.fixture
def made(tmp_path: Path) -> Bundle:
    return bundle(tmp_path / "model.edge")


def backend(made: Bundle, parts: Machinery) -> TensorRTBackend:
    return TensorRTBackend(made, machinery=parts)


def workshop(made: Bundle, parts: Machinery) -> Workshop:
    return backend(made, parts).workshop(made.graph_digest)


def builds(trt: Any) -> int:
    return sum(call.startswith("Builder.build_serialized_network") for call in control(trt).calls)


@pytest.mark.parametrize("version", versions())
def test_each_tensorrt_builds_once_and_uses_what_it_built(
    version: str, made: Bundle, board: Path
) -> None:
    trt = make_tensorrt(version)
    parts = machinery(board, version, trt=trt)
    first = backend(made, parts).compile(made.model())
    again = backend(made, parts).compile(made.model())
    assert first == again
    assert builds(trt) == 1
    assert first.warnings == ()
    (stored,) = EngineStore.beside(made).stored()
    assert stored.path.read_bytes() == first.data
    host = stored.record.key.host
    assert (host.tensorrt, host.module, host.power_mode) == (trt.__version__, "orin-nx-16gb", "0")
    assert [layer.origin for layer in stored.record.layers] == [("multiply",)]


def test_the_engine_of_another_power_mode_is_used_and_said(made: Bundle, board: Path) -> None:
    trt = make_tensorrt("10.3.0")
    parts = machinery(board, trt=trt)
    backend(made, parts).compile(made.model())
    orin_nx(board, mode=2)
    engine = backend(made, parts).compile(made.model())
    assert builds(trt) == 1
    assert len(engine.warnings) == 1
    assert "power mode 0, expected 2" in engine.warnings[0]


def test_compiling_again_in_that_mode_makes_an_engine_for_it(made: Bundle, board: Path) -> None:
    parts = machinery(board)
    workshop(made, parts).compiled(made.model(), EngineSettings())
    orin_nx(board, mode=2)
    workshop(made, parts).compiled(made.model(), EngineSettings())
    assert len(EngineStore.beside(made).stored()) == 2
    assert backend(made, parts).compile(made.model()).warnings == ()


def test_after_an_update_the_old_engine_is_refused_with_both_versions(
    made: Bundle, board: Path
) -> None:
    backend(made, machinery(board, "8.6.1")).compile(made.model())
    trt = make_tensorrt("10.3.0")
    with pytest.raises(BackendError, match=r"tensorrt 8\.6\.1, expected 10\.3\.0") as caught:
        backend(made, machinery(board, trt=trt)).compile(made.model())
    assert caught.value.hint == f"edgesdk compile {made.path}"
    assert control(trt).calls == []  # TensorRT saw nothing
    workshop(made, machinery(board)).compiled(made.model(), EngineSettings())
    assert backend(made, machinery(board)).compile(made.model()).warnings == ()


def test_engines_of_the_bundle_as_it_was_before_are_refused_with_both_digests(
    made: Bundle, board: Path, tmp_path: Path
) -> None:
    backend(made, machinery(board)).compile(made.model())
    newer = bundle(tmp_path / "model.edge", factor=3.0)
    with pytest.raises(BackendError, match=double(2.0).digest[:12]) as caught:
        backend(newer, machinery(board)).compile(newer.model())
    assert newer.graph_digest[:12] in caught.value.message


def test_an_engine_of_another_module_is_refused_though_the_gpu_has_the_same_name(
    made: Bundle, board: Path
) -> None:
    backend(made, machinery(board)).compile(made.model())
    compatible = board / "proc/device-tree/compatible"
    compatible.write_text("nvidia,p3767-0003\0nvidia,tegra234\0")
    with pytest.raises(BackendError, match="module orin-nx-16gb, expected orin-nano-8gb"):
        backend(made, machinery(board)).compile(made.model())


def test_a_damaged_engine_is_refused_by_run_and_mended_by_compile(
    made: Bundle, board: Path
) -> None:
    parts = machinery(board)
    backend(made, parts).compile(made.model())
    (stored,) = EngineStore.beside(made).stored()
    stored.path.write_bytes(stored.path.read_bytes()[:-1])
    with pytest.raises(BackendError, match="not the engine that was built"):
        backend(made, parts).compile(made.model())
    workshop(made, parts).compiled(made.model(), EngineSettings())
    assert backend(made, parts).compile(made.model()).data == stored.path.read_bytes()


def test_what_was_compiled_last_is_what_runs(made: Bundle, board: Path) -> None:
    parts = machinery(board)
    workshop(made, parts).compiled(made.model(), EngineSettings(optimization_level=5))
    engine = backend(made, parts).compile(made.model())
    assert isinstance(engine, TensorRTEngine)
    assert engine.settings.optimization_level == 5


def test_an_engine_without_weights_takes_the_model_along(made: Bundle, board: Path) -> None:
    parts = machinery(board)
    workshop(made, parts).compiled(made.model(), EngineSettings(strip_weights=True))
    engine = backend(made, parts).compile(made.model())
    assert isinstance(engine, TensorRTEngine)
    assert engine.model is not None
    assert engine.model.digest == made.graph_digest


def test_what_fell_back_from_dla_is_kept(tmp_path: Path, board: Path) -> None:
    made = bundle(tmp_path / "model.edge", dtype=np.float16)
    trt = make_tensorrt("10.3.0")
    control(trt).not_on_dla = ("multiply",)
    asked = EngineSettings(dla=DlaSettings(1))
    stored = workshop(made, machinery(board, trt=trt)).compiled(made.model(), asked)
    assert stored.record.dla is not None
    assert [layer.origin for layer in stored.record.dla.on_gpu] == [("multiply",)]
    (again,) = EngineStore.beside(made).stored()
    assert again.record == stored.record


def test_the_timing_cache_stands_in_the_folder_and_helps_the_next_build(
    made: Bundle, board: Path
) -> None:
    parts = machinery(board)
    place = workshop(made, parts)
    place.compiled(made.model(), EngineSettings())
    place.compiled(made.model(), EngineSettings(optimization_level=1))
    folder = EngineStore.beside(made).folders[0]
    assert [p.name for p in folder.glob("*.cache")] == ["timing-10.3.0-orin-nx-16gb-sm87.cache"]
    assert "IBuilderConfig.create_timing_cache" in str(control(parts.module()).calls)


def test_a_build_that_fails_leaves_nothing_and_says_why(made: Bundle, board: Path) -> None:
    trt = make_tensorrt("10.3.0")
    control(trt).fail_build = "no implementation for node multiply"
    with pytest.raises(BackendError, match="no implementation for node multiply"):
        backend(made, machinery(board, trt=trt)).compile(made.model())
    assert sorted(p.name for p in made.path.parent.iterdir()) == ["board", "model.edge"]


def test_a_build_that_fails_keeps_the_engine_that_was_there(made: Bundle, board: Path) -> None:
    trt = make_tensorrt("10.3.0")
    parts = machinery(board, trt=trt)
    before = workshop(made, parts).compiled(made.model(), EngineSettings())
    control(trt).fail_build = "out of memory"
    with pytest.raises(BackendError, match="out of memory"):
        workshop(made, parts).built(made.model(), EngineSettings())
    assert EngineStore.beside(made).stored() == (before,)


def test_a_build_asked_for_again_replaces_the_engine(made: Bundle, board: Path) -> None:
    parts = machinery(board)
    place = workshop(made, parts)
    first = place.compiled(made.model(), EngineSettings())
    second = place.built(made.model(), EngineSettings())
    assert second.record.created > first.record.created
    assert EngineStore.beside(made).stored() == (second,)


def test_a_model_without_a_bundle_keeps_its_engine_in_the_cache(board: Path) -> None:
    trt = make_tensorrt("10.3.0")
    for _ in range(2):
        TensorRTBackend(machinery=machinery(board, trt=trt)).compile(double())
    assert builds(trt) == 1
    assert len(EngineStore.cached(double().digest).stored()) == 1


def test_another_model_never_gets_the_engines_of_the_bundle(made: Bundle, board: Path) -> None:
    parts = machinery(board)
    backend(made, parts).compile(double(5.0))
    assert EngineStore.beside(made).stored() == ()


def test_another_board_s_engine_in_a_shared_cache_is_no_hindrance(
    made: Bundle, board: Path, tmp_path: Path
) -> None:
    desk = Gpu("NVIDIA RTX A4000", "8.6", False, 16 << 30, 48)
    trt = make_tensorrt("10.3.0")
    control(trt).compute_capability = "8.6"
    TensorRTBackend(machinery=machinery(tmp_path / "no", gpu=desk, trt=trt)).compile(made.model())
    assert backend(made, machinery(board)).compile(made.model()).warnings == ()


def test_an_engine_of_somebody_else_is_never_opened(made: Bundle, board: Path) -> None:
    with pytest.raises(BackendError, match="someone-else"):
        backend(made, machinery(board)).open(Engine("someone-else", b""))


def test_without_a_driver_no_object_of_tensorrt_is_made(made: Bundle, board: Path) -> None:
    trt = make_tensorrt("10.3.0")
    parts = replace(
        machinery(board, trt=trt),
        driver=lambda: Driver(problem="there is no NVIDIA driver"),
        probe=lambda driver: Probe("tensorrt", False, "", driver.problem, "flash JetPack"),
    )
    for attempt in (
        lambda: backend(made, parts).compile(made.model()),
        lambda: backend(made, parts).open(TensorRTEngine("tensorrt", b"")),
    ):
        with pytest.raises(BackendError, match="there is no NVIDIA driver") as caught:
            attempt()
        assert caught.value.hint == "flash JetPack"
    assert control(trt).calls == []


def test_a_gpu_that_is_not_there_is_refused_by_number(made: Bundle, board: Path) -> None:
    with pytest.raises(UsageError, match="no GPU 3"):
        TensorRTBackend(device_index=3, machinery=machinery(board)).gpu()


def test_an_engine_is_built_on_the_gpu_that_was_named(made: Bundle, board: Path) -> None:
    """TensorRT builds and loads on the GPU that is current, whatever its key says."""
    second = replace(ORIN_NX, name="second")
    trt = make_tensorrt("10.3.0")
    order = control(trt).calls

    @contextmanager
    def current(index: int) -> Iterator[None]:
        order.append(f"current {index}")
        yield
        order.append("no longer")

    parts = replace(
        machinery(board, trt=trt), driver=lambda: Driver("12.6", (ORIN_NX, second)), current=current
    )
    shop = TensorRTBackend(made, device_index=1, machinery=parts).workshop(made.graph_digest)
    stored = shop.compiled(made.model(), EngineSettings())
    assert stored.record.key.host.gpu == "second"
    made_here = [i for i, call in enumerate(order) if "Builder" in call or "Runtime" in call]
    assert made_here
    assert order.index("current 1") < made_here[0]
    assert made_here[-1] < order.index("no longer")


def test_a_desk_gpu_has_a_key_of_its_own(made: Bundle, tmp_path: Path) -> None:
    desk = Gpu("NVIDIA RTX A4000", "8.6", False, 16 << 30, 48)
    trt = make_tensorrt("10.3.0")
    control(trt).compute_capability = "8.6"
    parts = machinery(tmp_path / "nothing", gpu=desk, trt=trt)
    backend(made, parts).compile(made.model())
    with pytest.raises(BackendError, match=r"compute capability 8\.6, expected 8\.7"):
        backend(made, machinery(orin_nx(tmp_path / "board"), gpu=ORIN_NX)).compile(made.model())
