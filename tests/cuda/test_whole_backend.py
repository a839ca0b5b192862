"""The backend as users have it, from a bundle to answers: store, builder, session, pycuda.

TensorRT is its double, the CUDA driver a stand-in below the real pycuda: this shows that our parts
fit together, and that nothing is left behind. It does NOT show that TensorRT or CUDA works.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edgesdk.bench as bench_module
from edgesdk.backends import Backend
from edgesdk.backends.base import Probe, ShowProgress
from edgesdk.backends.tensorrt.backend import Machinery, TensorRTBackend, make_current
from edgesdk.backends.tensorrt.cuda import Cuda
from edgesdk.backends.tensorrt.machine.driver import probe_driver
from edgesdk.backends.tensorrt.settings import EngineSettings
from edgesdk.bench import BenchRequest, bench
from edgesdk.bundle import Bundle
from edgesdk.report import MeasureSettings
from tests.backend_contract import *  # noqa: F403
from tests.cuda.stand_in import StandIn
from tests.tensorrt.boards import orin_nx
from tests.tensorrt.engines import bundle
from tests.tensorrt_double import control, make_tensorrt

Board = Callable[[str], Machinery]


@pytest.fixture
def board(driver: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Board:
    """A board with a TensorRT; the driver and the GPU are what the stand-in says."""
    monkeypatch.setenv("EDGESDK_CACHE", str(tmp_path / "cache"))
    root = orin_nx(tmp_path / "board")

    def made(version: str) -> Machinery:
        trt = make_tensorrt(version)
        (gpu,) = probe_driver().gpus
        control(trt).compute_capability = gpu.compute_capability
        usable = Probe("tensorrt", True, version, "a double")
        return Machinery(probe=lambda driver: usable, module=lambda: trt, root=root)

    return made


@pytest.fixture(params=["8.5.2", "10.3.0", "11.4.0"])
def backend(request: pytest.FixtureRequest, board: Board) -> Backend:
    """For the contract of all backends."""
    return TensorRTBackend(machinery=board(request.param))


def test_a_bundle_s_engine_answers_and_is_taken_again(board: Board, tmp_path: Path) -> None:
    made = bundle(tmp_path / "model.edge")
    parts = board("10.3.0")
    for _ in range(2):
        engine = TensorRTBackend(made, machinery=parts)
        with closing(engine.open(engine.compile(made.model()))) as session:
            answer = session.run({"x": np.array([[1, 2, 3]], np.float32)})["y"]
            np.testing.assert_array_equal(answer, [[2, 4, 6]])
    calls = [c for c in control(parts.module()).calls if "build_serialized_network" in c]
    assert len(calls) == 1


@pytest.mark.parametrize(
    "settings",
    [EngineSettings(strip_weights=True), EngineSettings(version_compatible=True)],
    ids=["without weights", "version compatible"],
)
def test_what_an_engine_was_built_with_is_known_when_it_is_opened(
    board: Board, tmp_path: Path, settings: EngineSettings
) -> None:
    made = bundle(tmp_path / "model.edge")
    backend = TensorRTBackend(made, machinery=board("10.3.0"))
    backend.workshop(made.graph_digest).compiled(made.model(), settings)
    with closing(backend.open(backend.compile(made.model()))) as session:
        answer = session.run({"x": np.array([[1, 2, 3]], np.float32)})["y"]
        np.testing.assert_array_equal(answer, [[2, 4, 6]])


def test_a_version_compatible_engine_runs_after_an_update(board: Board, tmp_path: Path) -> None:
    made = bundle(tmp_path / "model.edge")
    old = TensorRTBackend(made, machinery=board("10.3.0"))
    asked = EngineSettings(version_compatible=True)
    old.workshop(made.graph_digest).compiled(made.model(), asked)
    later = TensorRTBackend(made, machinery=board("10.13.3"))
    engine = later.compile(made.model())
    assert "tensorrt 10.3.0, expected 10.13.3" in engine.warnings[0]
    with closing(later.open(engine)) as session:
        assert session.run({"x": np.ones((1, 3), np.float32)})["y"][0, 0] == 2


def test_a_report_has_the_engine_s_phases_layers_and_what_should_be_known(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = bundle(tmp_path / "model.edge")
    parts = board("10.3.0")
    workshop = TensorRTBackend(made, machinery=parts).workshop(made.graph_digest)
    other = replace(workshop, host=replace(workshop.host, power_mode="2"))
    other.compiled(made.model(), EngineSettings())

    def loaded(
        bundle: Bundle | None, name: str, threads: int = 0, compiling: ShowProgress | None = None
    ) -> Backend:
        return TensorRTBackend(bundle, machinery=parts)

    monkeypatch.setattr(bench_module, "load_backend_for", loaded)
    settings = MeasureSettings(warmup=1, iterations=5)
    report = bench(BenchRequest(made.path, "tensorrt", settings=settings))
    assert report.provenance.processor == "GPU"
    assert report.engine is not None
    assert [(one.precision, one.device) for one in report.engine.layers] == [("fp32", "gpu")]
    (note,) = [finding for finding in report.findings if finding.code == "engine"]
    assert "power mode 2, expected 0" in note.seen


def test_another_gpu_than_the_first_is_current_for_the_length_of_a_build(
    driver: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    only = Cuda.open
    opened: list[int] = []

    def open_it(index: int) -> Cuda:
        opened.append(index)
        return only()  # the stand-in has one

    monkeypatch.setattr(Cuda, "open", open_it)
    with make_current(0):
        assert driver.context_depth() == 0
    with make_current(1):
        assert driver.context_depth() == 1
    assert (opened, driver.context_depth()) == ([1], 0)
