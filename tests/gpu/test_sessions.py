"""Sessions on this GPU: threads, memory over many runs, CUDA graphs, zero-copy, times."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from statistics import median

import numpy as np
import pytest

from edgesdk.backends.tensorrt.api.always import TensorRT
from edgesdk.backends.tensorrt.api.always.running import IExecutionContext
from edgesdk.backends.tensorrt.backend import TensorRTBackend
from edgesdk.backends.tensorrt.cuda import Cuda, MemoryMode
from edgesdk.backends.tensorrt.runtime.running import Running
from edgesdk.backends.tensorrt.runtime.session import TensorRTSession
from edgesdk.backends.timing import Timed
from edgesdk.errors import BackendError
from edgesdk.model import Model
from edgesdk.tensors import Array
from tests.gpu.conftest import Record
from tests.gpu.nets import make_net, pictures, reference, sqnr_db
from tests.gpu.tolerances import (
    LEAK_BYTES,
    LEAK_RUNS,
    PROFILE_OVER_COMPUTE,
    TOLERANCES,
)

THREADS, RUNS_EACH = 4, 50
OTHERS = "on a Jetson other programs use the same memory: close them and run this again"
INT8 = TOLERANCES["int8"].least_db


@pytest.fixture(scope="module")
def net(opset: int) -> Model:
    return make_net("residual", "int8", opset)


@pytest.fixture(scope="module")
def engine(net: Model) -> bytes:
    return TensorRTBackend().compile(net).data


@pytest.fixture
def session(trt: TensorRT, cuda: Cuda, engine: bytes) -> Iterator[TensorRTSession]:
    with closing(TensorRTSession(trt, cuda, engine)) as opened:
        yield opened


def resident_bytes() -> int:
    """Memory of this process, from proc(5)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def test_each_thread_has_its_own_answers_with_a_session_of_its_own(
    session: TensorRTSession, net: Model
) -> None:
    feeds = [pictures(RUNS_EACH, seed=10 + index) for index in range(THREADS)]

    def work(own: TensorRTSession, mine: list[Array]) -> list[Array]:
        return [own.run({"x": x})["y"].copy() for x in mine]

    sessions = [session, *(session.another() for _ in range(THREADS - 1))]
    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(work, sessions, feeds))
    for opened in sessions[1:]:
        opened.close()
    for mine, found in zip(feeds, answers, strict=True):
        for expected, answer in zip(reference(net, mine), found, strict=True):
            assert sqnr_db(expected, answer) >= INT8


def test_two_threads_in_one_session_get_answers_or_are_told_what_to_do(
    session: TensorRTSession, net: Model
) -> None:
    feeds = pictures(RUNS_EACH, seed=3)

    def refusal(x: Array) -> str:
        """Why there was no answer; empty: there was one."""
        try:
            session.run({"x": x})
        except BackendError as error:
            return str(error)
        return ""

    def work(_: int) -> list[str]:
        # Who is refused asks again: else one thread may use up all its tries while the other runs.
        refused: list[str] = []
        for x in feeds:
            while why := refusal(x):
                refused.append(why)
                time.sleep(0.0002)
        return refused

    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(work, range(2)))
    assert all("session.another()" in text for refused in both for text in refused)
    x = feeds[0]
    assert sqnr_db(reference(net, [x])[0], session.run({"x": x})["y"]) >= INT8


def test_ten_thousand_runs_take_no_more_memory_than_a_few(
    session: TensorRTSession, cuda: Cuda, record: Record
) -> None:
    feeds = pictures(8, seed=4)
    for index in range(200):
        session.run({"x": feeds[index % 8]})
    free, resident = cuda.free_bytes(), resident_bytes()
    for index in range(LEAK_RUNS):
        session.run({"x": feeds[index % 8]})
    lost, grown = free - cuda.free_bytes(), resident_bytes() - resident
    record("device_bytes_lost", lost)
    record("process_bytes_grown", grown)
    assert lost < LEAK_BYTES, OTHERS
    assert grown < LEAK_BYTES


def test_closing_gives_the_memory_back(
    trt: TensorRT, cuda: Cuda, engine: bytes, record: Record
) -> None:
    TensorRTSession(trt, cuda, engine).close()  # what CUDA keeps once and for all
    free = cuda.free_bytes()
    for _ in range(50):
        opened = TensorRTSession(trt, cuda, engine)
        opened.run({"x": pictures(1)[0]})
        opened.close()
        opened.close()
    lost = free - cuda.free_bytes()
    record("device_bytes_lost", lost)
    assert lost < LEAK_BYTES, OTHERS


def test_a_session_whose_capture_fails_still_runs(
    session: TensorRTSession, net: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for the stream in the middle, as an engine with a loop does."""
    enqueue = Running._enqueue

    def waits(running: Running, context: IExecutionContext) -> None:
        enqueue(running, context)
        running.stream.synchronize()

    monkeypatch.setattr(Running, "_enqueue", waits)
    feeds = pictures(4, seed=6)
    answers = [session.run({"x": x})["y"].copy() for x in feeds]
    assert not session.uses_graph
    assert session.graph_problem
    for expected, answer in zip(reference(net, feeds), answers, strict=True):
        assert sqnr_db(expected, answer) >= INT8


def test_a_cuda_graph_gives_the_same_answers_as_without(
    trt: TensorRT, cuda: Cuda, engine: bytes, record: Record
) -> None:
    feeds = pictures(20, seed=5)
    with (
        closing(TensorRTSession(trt, cuda, engine, graph="auto")) as with_graph,
        closing(TensorRTSession(trt, cuda, engine, graph="off")) as without,
    ):
        for x in feeds:
            one, other = (s.run({"x": x})["y"].copy() for s in (with_graph, without))
            np.testing.assert_array_equal(one, other)
        record("graph_problem", with_graph.graph_problem)
        assert with_graph.uses_graph, with_graph.graph_problem
        assert not without.uses_graph


@pytest.fixture
def answers_by_memory(
    trt: TensorRT, engine: bytes
) -> Callable[[MemoryMode], tuple[list[Array], float, float]]:
    def answers(memory: MemoryMode) -> tuple[list[Array], float, float]:
        cuda = Cuda.open(memory=memory)
        with closing(cuda), closing(TensorRTSession(trt, cuda, engine)) as session:
            found = [session.run({"x": x})["y"].copy() for x in pictures(20, seed=6)]
            times = [session.timed({"x": pictures(1)[0]})[1] for _ in range(50)]
            h2d = median(one.h2d_ms for one in times)
            return found, h2d, median(one.compute_ms for one in times)

    return answers


def test_zero_copy_gives_the_same_answers_as_copying(
    answers_by_memory: Callable[[MemoryMode], tuple[list[Array], float, float]],
    record: Record,
) -> None:
    mapped, mapped_h2d, mapped_compute = answers_by_memory("mapped")
    copied, copied_h2d, copied_compute = answers_by_memory("copied")
    for one, other in zip(mapped, copied, strict=True):
        np.testing.assert_array_equal(one, other)
    record("mapped_h2d_ms", round(mapped_h2d, 4))
    record("copied_h2d_ms", round(copied_h2d, 4))
    record("mapped_compute_ms", round(mapped_compute, 4))
    record("copied_compute_ms", round(copied_compute, 4))


def test_the_phases_of_a_run_are_plausible(
    session: TensorRTSession, net: Model, record: Record
) -> None:
    feeds = pictures(1, seed=7)
    for _ in range(50):
        session.run({"x": feeds[0]})
    runs = [session.timed({"x": feeds[0]}) for _ in range(200)]
    assert sqnr_db(reference(net, feeds)[0], runs[-1][0]["y"]) >= INT8
    for name in ("enqueue_ms", "h2d_ms", "compute_ms", "d2h_ms"):
        values = [getattr(phases, name) for _, phases in runs]
        record(name, round(median(values), 4))
        assert min(values) >= 0, name
        assert median(values) < 100, name
    assert median(phases.compute_ms for _, phases in runs) > 0


def test_the_layers_of_a_profile_add_up_to_about_the_compute_time(
    session: TensorRTSession, net: Model, real: bool, record: Record
) -> None:
    x = pictures(1, seed=8)[0]
    for _ in range(50):
        session.run({"x": x})
    compute = median(session.timed({"x": x})[1].compute_ms for _ in range(100))
    layers = session.profiled({"x": x}, 50)
    whole = sum(layer.ms_median for layer in layers)
    record("compute_ms", round(compute, 4))
    record("layers_ms", round(whole, 4))
    record("layers", "; ".join(f"{x.name}: {x.ms_median:.4f}" for x in layers))
    assert isinstance(session, Timed)
    assert layers
    assert len({layer.name for layer in layers}) == len(layers)
    low, high = PROFILE_OVER_COMPUTE
    assert low <= whole / compute <= high or not real
    # A profile must not stay on: the run after it answers, and as fast as before.
    assert sqnr_db(reference(net, [x])[0], session.run({"x": x})["y"]) >= INT8
    after = median(session.timed({"x": x})[1].compute_ms for _ in range(100))
    record("compute_after_ms", round(after, 4))
