"""A session's answers, its memory and its graph, with the real pycuda.

On a double of TensorRT and a stand-in for the driver: this shows our own logic. It does NOT show
that TensorRT or CUDA works: tests/gpu is for that.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest

from edgesdk.backends.tensorrt.cuda import Cuda
from edgesdk.backends.tensorrt.runtime.session import TensorRTSession
from edgesdk.errors import BackendError
from tests.cuda.engines import (
    VERSIONS,
    assert_right,
    built,
    expected,
    images,
    many_types,
    small_net,
)
from tests.cuda.stand_in import NOT_SUPPORTED, StandIn
from tests.tensorrt_double import control

EACH_VERSION = pytest.mark.parametrize("version", VERSIONS)
pytestmark = pytest.mark.usefixtures("closed_afterwards")


@EACH_VERSION
def test_its_answers_are_those_of_the_graph(cuda: Cuda, version: str) -> None:
    model = small_net()
    trt, data = built(version, model)
    session = TensorRTSession(trt, cuda, data)
    for seed in range(4):
        answers = session.run(images(seed))
        for name, value in expected(model, images(seed)).items():
            np.testing.assert_allclose(answers[name], value, rtol=1e-6, atol=1e-6)


@EACH_VERSION
def test_each_type_of_numpy_s_goes_in_and_out(cuda: Cuda, version: str) -> None:
    trt, data = built(version, many_types())
    session = TensorRTSession(trt, cuda, data)
    specs = ["h: float16[3]", "i: int32[2]", "flag: bool[5]"]
    assert [str(spec) for spec in session.inputs] == specs
    flags = np.array([True, False, True, True, False])
    answers = session.run(
        {"h": np.array([1, 2, 3], np.float16), "i": np.array([7, -8], np.int32), "flag": flags}
    )
    assert answers["doubled"].dtype == np.float16
    assert answers["doubled"].tolist() == [2, 4, 6]
    assert answers["next"].tolist() == [8, -7]
    assert answers["other"].tolist() == [False, True, False, False, True]


def test_inputs_need_not_be_contiguous(session: TensorRTSession) -> None:
    wide = np.random.default_rng(1).normal(size=(1, 3, 8, 16)).astype(np.float32)[..., ::2]
    answers = session.run({"image": wide})
    again = session.run({"image": wide.copy()})
    np.testing.assert_array_equal(answers["pooled"], again["pooled"])
    np.testing.assert_allclose(
        again["pooled"], expected(small_net(), {"image": wide.copy()})["pooled"], rtol=1e-5
    )


def test_outputs_are_the_session_s_until_its_next_run(session: TensorRTSession) -> None:
    first = session.run(images(0))["features"]
    kept = first.copy()
    second = session.run(images(1))["features"]
    assert second is first
    assert not np.array_equal(first, kept)


def test_an_output_can_be_read_after_the_session_is_closed(
    session: TensorRTSession, driver: StandIn
) -> None:
    answer = session.run(images(0))["pooled"]
    session.close()
    np.testing.assert_allclose(answer, expected(small_net(), images(0))["pooled"], rtol=1e-5)
    assert driver.live("pinned") == 1


@pytest.mark.parametrize("graph", ["auto", "off"])
def test_nothing_is_allocated_for_each_run(either: Cuda, driver: StandIn, graph: Any) -> None:
    trt, data = built("10.3.0", small_net())
    session = TensorRTSession(trt, either, data, graph=graph)
    session.run(images(0))
    answers = session.run(images(0))
    objects = [id(array) for array in answers.values()]
    allocated, nbytes = driver.allocations(), driver.bytes()
    for seed in range(20):
        answers = session.run(images(seed))
        assert [id(array) for array in answers.values()] == objects
    assert (driver.allocations(), driver.bytes()) == (allocated, nbytes)


def test_on_a_jetson_a_run_copies_nothing(driver: StandIn) -> None:
    cuda = Cuda.open()
    trt, data = built("10.3.0", small_net())
    session = TensorRTSession(trt, cuda, data)
    session.run(images(0))
    assert driver.calls("cuMemcpyHtoDAsync") + driver.calls("cuMemcpyDtoHAsync") == 0
    session.close()
    cuda.close()


def test_elsewhere_it_copies_each_tensor_once_at_its_size(driver: StandIn) -> None:
    cuda = Cuda.open(memory="copied")
    trt, data = built("10.3.0", small_net())
    session = TensorRTSession(trt, cuda, data)
    driver.reset()
    session.run(images(0))
    assert (driver.calls("cuMemcpyHtoDAsync"), driver.calls("cuMemcpyDtoHAsync")) == (1, 2)
    session.close()
    cuda.close()


def test_ten_thousand_runs_leave_nothing_behind(either: Cuda, driver: StandIn) -> None:
    trt, data = built("10.3.0", small_net())
    session = TensorRTSession(trt, either, data)
    feeds = images(0)
    for _ in range(10):
        session.run(feeds)
    before = (driver.alive(), driver.bytes(), driver.allocations())
    for _ in range(10_000):
        session.run(feeds)
    assert (driver.alive(), driver.bytes(), driver.allocations()) == before
    session.close()
    either.close()
    assert driver.alive() == {}


@EACH_VERSION
def test_a_graph_gives_each_input_its_own_answer(
    either: Cuda, driver: StandIn, version: str
) -> None:
    model = small_net()
    trt, data = built(version, model)
    session = TensorRTSession(trt, either, data)
    used = []
    for seed in range(5):
        answers = session.run(images(seed))
        used.append(session.uses_graph)
        assert_right(answers, images(seed))
    assert used == [False, True, True, True, True]
    assert driver.calls("cuGraphLaunch") == 4
    assert (session.graph_problem, driver.live("graph")) == ("", 1)


def test_a_graph_can_be_turned_off(cuda: Cuda, driver: StandIn) -> None:
    trt, data = built("10.3.0", small_net())
    session = TensorRTSession(trt, cuda, data, graph="off")
    for seed in range(3):
        session.run(images(seed))
    assert not session.uses_graph
    assert driver.calls("cuStreamBeginCapture") == 0


@pytest.mark.parametrize("call", ["cuStreamBeginCapture", "cuGraphInstantiateWithFlags"])
def test_a_driver_that_cannot_make_a_graph_is_not_the_end(
    session: TensorRTSession, driver: StandIn, call: str
) -> None:
    session.run(images(0))
    driver.fail_next(call, NOT_SUPPORTED)
    for seed in range(1, 4):
        session.run(images(seed))
    assert not session.uses_graph
    assert "operation not supported" in session.graph_problem


def test_an_engine_that_cannot_be_captured_runs_without_and_says_why(
    net: tuple[Any, TensorRTSession], driver: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that waits for the stream in the middle, as an engine with a loop does."""
    trt, session = net
    original = trt.IExecutionContext.execute_async_v3

    def waits(context: Any, stream_handle: int) -> bool:
        done = original(context, stream_handle)
        driver.library.cuStreamSynchronize(ctypes.c_void_p(stream_handle))
        return bool(done)

    monkeypatch.setattr(trt.IExecutionContext, "execute_async_v3", waits)
    session.run(images(0))
    for seed in range(1, 4):
        answers = session.run(images(seed))
        assert_right(answers, images(seed))
    assert not session.uses_graph
    assert "previous error during capture" in session.graph_problem


def test_tensorrt_s_no_while_capturing_is_not_the_end(net: tuple[Any, TensorRTSession]) -> None:
    trt, session = net
    session.run(images(0))
    control(trt).fail_enqueue = "loops cannot be captured"
    with pytest.raises(BackendError, match="loops cannot be captured"):
        session.run(images(1))
    control(trt).fail_enqueue = ""
    session.run(images(1))
    assert "loops cannot be captured" in session.graph_problem
    assert not session.uses_graph
