"""A TensorRT session's own logic, with the real pycuda.

On a double of TensorRT (tests/tensorrt_double) and a stand-in for the driver: this shows that
buffers, shapes, errors, threads and lifetimes are handled as both would ask for. It does NOT show
that TensorRT or CUDA works: tests/gpu is for that.
"""

from __future__ import annotations

import ctypes
import gc
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgesdk.backends.tensorrt.cuda import Cuda, Stream
from edgesdk.backends.tensorrt.session import TensorRTSession
from edgesdk.backends.tensorrt.settings import EngineSettings, ShapeRange
from edgesdk.errors import BackendError, UsageError
from tests.cuda.engines import VERSIONS, built, expected, images, many_types, small_net
from tests.cuda.stand_in import ILLEGAL_ADDRESS, LAUNCH_FAILED, NOT_SUPPORTED, StandIn
from tests.tensorrt_double import control

BATCHES = EngineSettings(shapes={"image": ShapeRange((1, 3, 8, 8), (2, 3, 8, 8), (8, 3, 8, 8))})
EACH_VERSION = pytest.mark.parametrize("version", VERSIONS)


@pytest.fixture
def net(cuda: Cuda) -> tuple[Any, TensorRTSession]:
    """The double, and a session of the small net on it."""
    trt, data = built("10.3.0", small_net())
    return trt, TensorRTSession(trt, cuda, data)


@pytest.fixture
def session(net: tuple[Any, TensorRTSession]) -> TensorRTSession:
    return net[1]


@pytest.fixture(autouse=True)
def closed_afterwards(monkeypatch: pytest.MonkeyPatch, driver: StandIn) -> Any:
    """Sessions that a test leaves open are closed, so that each test need not say it."""
    opened: list[TensorRTSession] = []
    original = TensorRTSession.__init__

    def remembered(self: TensorRTSession, *args: Any, **settings: Any) -> None:
        original(self, *args, **settings)
        opened.append(self)

    monkeypatch.setattr(TensorRTSession, "__init__", remembered)
    yield
    for session in opened:
        session.close()


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


# Memory


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
    allocated, nbytes = allocations(driver), driver.bytes()
    for seed in range(20):
        answers = session.run(images(seed))
        assert [id(array) for array in answers.values()] == objects
    assert (allocations(driver), driver.bytes()) == (allocated, nbytes)


def allocations(driver: StandIn) -> int:
    made = ("cuMemAlloc", "cuMemHostAlloc", "cuStreamCreate", "cuEventCreate", "cuModuleLoadData")
    return sum(driver.calls(name) for name in made)


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
    before = (driver.alive(), driver.bytes(), allocations(driver))
    for _ in range(10_000):
        session.run(feeds)
    assert (driver.alive(), driver.bytes(), allocations(driver)) == before
    session.close()
    either.close()
    assert driver.alive() == {}


# Graphs


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
        np.testing.assert_allclose(
            answers["features"], expected(model, images(seed))["features"], rtol=1e-5, atol=1e-6
        )
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
        np.testing.assert_allclose(
            answers["pooled"], expected(small_net(), images(seed))["pooled"], rtol=1e-5, atol=1e-6
        )
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


# Shapes that vary


@EACH_VERSION
def test_each_shape_of_the_range_gets_its_answer(either: Cuda, version: str) -> None:
    model = small_net("N")
    trt, data = built(version, model, BATCHES)
    session = TensorRTSession(trt, either, data)
    assert [str(spec) for spec in session.inputs] == ["image: float32[1..8x3x8x8]"]
    for seed, batch in enumerate([1, 8, 3, 3, 8, 1]):
        answers = session.run(images(seed, batch))
        assert answers["features"].shape == (batch, 4, 8, 8)
        np.testing.assert_allclose(
            answers["features"], expected(model, images(seed, batch))["features"],
            rtol=1e-5, atol=1e-6,
        )  # fmt: skip
    assert not session.uses_graph


def test_no_graph_is_tried_where_shapes_vary(cuda: Cuda, driver: StandIn) -> None:
    trt, data = built("10.3.0", small_net("N"), BATCHES)
    session = TensorRTSession(trt, cuda, data)
    for _ in range(3):
        session.run(images(0, 8))
    assert (session.uses_graph, driver.calls("cuStreamBeginCapture")) == (False, 0)


def test_shapes_change_without_new_memory(cuda: Cuda, driver: StandIn) -> None:
    trt, data = built("10.3.0", small_net("N"), BATCHES)
    session = TensorRTSession(trt, cuda, data)
    before = allocations(driver)
    for batch in (8, 1, 5, 8):
        session.run(images(0, batch))
    assert allocations(driver) == before


def test_the_same_shape_again_is_not_told_again(cuda: Cuda) -> None:
    trt, data = built("10.3.0", small_net("N"), BATCHES)
    session = TensorRTSession(trt, cuda, data)
    session.run(images(0, 3))
    told = len([c for c in control(trt).calls if "set_input_shape" in c])
    first = session.run(images(0, 3))["features"]
    assert session.run(images(1, 3))["features"] is first
    assert len([c for c in control(trt).calls if "set_input_shape" in c]) == told


@pytest.mark.parametrize("batch", [0, 9])
def test_a_shape_outside_the_range_is_refused_with_the_range(cuda: Cuda, batch: int) -> None:
    trt, data = built("10.3.0", small_net("N"), BATCHES)
    session = TensorRTSession(trt, cuda, data)
    with pytest.raises(BackendError, match=rf"image: float32\[1..8x3x8x8\], found {batch}x3x8x8"):
        session.run(images(0, batch))
    assert session.run(images(0, 2))["pooled"].shape == (2, 4, 1, 1)


# Errors


def test_an_engine_that_tensorrt_refuses_is_an_error_with_its_words(cuda: Cuda) -> None:
    trt, data = built("10.3.0", small_net())
    control(trt).compute_capability = "7.2"
    with pytest.raises(BackendError, match="TensorRT does not take the engine") as caught:
        TensorRTSession(trt, cuda, data)
    assert "7.2" in caught.value.message
    assert "build it again" in caught.value.hint


def test_bytes_that_are_no_engine_are_refused(cuda: Cuda) -> None:
    trt, _ = built("11.4.0", small_net())
    with pytest.raises(BackendError, match="does not take the engine"):
        TensorRTSession(trt, cuda, b"not an engine")


def test_too_little_memory_for_a_context_is_said(cuda: Cuda) -> None:
    trt, data = built("10.3.0", small_net())
    control(trt).fail_context = True
    with pytest.raises(BackendError, match="OutOfMemory") as caught:
        TensorRTSession(trt, cuda, data)
    assert "smaller inputs" in caught.value.hint


def test_too_little_memory_for_the_buffers_frees_what_was_made(driver: StandIn) -> None:
    cuda = Cuda.open()
    trt, data = built("10.3.0", small_net())
    with driver.memory(1000), pytest.raises(BackendError, match="1024 bytes were asked for"):
        TensorRTSession(trt, cuda, data)
    gc.collect()
    assert driver.alive() == {"primary": 1}
    cuda.close()


def test_a_false_of_tensorrt_s_is_an_error_and_the_session_lives_on(
    net: tuple[Any, TensorRTSession],
) -> None:
    trt, session = net
    control(trt).fail_enqueue = "no kernel image"
    with pytest.raises(BackendError, match=r"could not run the engine.*no kernel image"):
        session.run(images(0))
    control(trt).fail_enqueue = ""
    np.testing.assert_allclose(
        session.run(images(1))["pooled"],
        expected(small_net(), images(1))["pooled"], rtol=1e-5, atol=1e-6,
    )  # fmt: skip


def test_each_failure_is_told_in_its_own_words(net: tuple[Any, TensorRTSession]) -> None:
    trt, session = net
    for reason in ("the first reason", "the second reason"):
        control(trt).fail_enqueue = reason
        with pytest.raises(BackendError) as caught:
            session.run(images(0))
        said = caught.value.message
        assert [r for r in ("first", "second") if r in said] == [reason.split()[1]]


def test_after_a_crash_on_the_gpu_closing_still_works(driver: StandIn) -> None:
    """The context is broken: nothing can be freed any more, and the process must end soon."""
    cuda = Cuda.open(memory="copied")
    trt, data = built("10.3.0", small_net())
    session = TensorRTSession(trt, cuda, data)
    session.run(images(0))
    driver.fail_next("cuStreamSynchronize", ILLEGAL_ADDRESS)
    with pytest.raises(BackendError, match="illegal memory access"):
        session.run(images(1))
    for call in ("cuMemFree", "cuMemFreeHost", "cuStreamDestroy", "cuEventDestroy"):
        driver.fail_next(call, ILLEGAL_ADDRESS, times=20)
    session.close()
    cuda.close()
    assert driver.alive().keys() == {"leaked"}
    driver.reset()


def test_a_kernel_that_crashes_says_that_the_process_must_start_again(
    session: TensorRTSession, driver: StandIn
) -> None:
    driver.fail_next("cuStreamSynchronize", LAUNCH_FAILED)
    with pytest.raises(BackendError, match="launch failure") as caught:
        session.run(images(0))
    assert "start it again" in caught.value.hint


# Waiting


def test_a_run_waits_for_its_answer(either: Cuda, driver: StandIn) -> None:
    """In the lazy mode, nothing is done before something waits for it."""
    model = small_net()
    trt, data = built("10.3.0", model)
    with driver.lazy():
        session = TensorRTSession(trt, either, data)
        for seed in range(4):
            np.testing.assert_allclose(
                session.run(images(seed))["pooled"],
                expected(model, images(seed))["pooled"], rtol=1e-5, atol=1e-6,
            )  # fmt: skip
            assert driver.waiting() == 0


def test_the_lazy_mode_would_catch_a_run_that_does_not_wait(
    session: TensorRTSession, driver: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = session.run(images(0))["pooled"].copy()
    session.run(images(1))
    with driver.lazy(), monkeypatch.context() as patch:
        patch.setattr(Stream, "synchronize", lambda self: None)
        assert not np.allclose(session.run(images(0))["pooled"], right)


# Threads


def in_thread(work: Callable[[], object]) -> list[object]:
    found: list[object] = []

    def kept() -> None:
        try:
            found.append(work())
        except BackendError as error:
            found.append(error)

    thread = threading.Thread(target=kept)
    thread.start()
    thread.join()
    return found


def test_any_thread_may_run_it(session: TensorRTSession, driver: StandIn) -> None:
    (answers,) = in_thread(lambda: session.run(images(3)))
    there = answers["pooled"].copy()  # type: ignore[index]
    np.testing.assert_array_equal(there, session.run(images(3))["pooled"])
    assert driver.context_depth() == 0


def test_two_threads_at_once_are_told_to_open_another(session: TensorRTSession) -> None:
    met: list[object] = []

    def fill(address: int, stream: Stream) -> None:
        met.extend(in_thread(lambda: session.run(images(0))))

    session.run_with({"image": fill})
    (error,) = met
    assert isinstance(error, BackendError)
    assert error.message == "another thread is running this session"
    assert error.hint == (
        "one session runs one thread at a time: open one for each with session.another()"
    )


def test_threads_with_a_session_each_share_the_engine(
    net: tuple[Any, TensorRTSession], driver: StandIn
) -> None:
    trt, first = net
    control(trt).calls.clear()
    sessions = [first, first.another(), first.another()]
    assert not [call for call in control(trt).calls if "deserialize_cuda_engine" in call]
    wrong: list[int] = []

    def work(session: TensorRTSession, start: int) -> None:
        for seed in range(start, start + 30):
            right = expected(small_net(), images(seed))["pooled"]
            if not np.allclose(session.run(images(seed))["pooled"], right, rtol=1e-5, atol=1e-6):
                wrong.append(seed)

    threads = [
        threading.Thread(target=work, args=(session, 100 * number))
        for number, session in enumerate(sessions)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    first.close()
    sessions[1].run(images(0))  # the engine lives as long as one of them


# Closing


def test_closing_frees_everything_and_running_is_refused(
    net: tuple[Any, TensorRTSession], driver: StandIn, cuda: Cuda
) -> None:
    _, session = net
    session.run(images(0))
    session.run(images(1))
    session.close()
    session.close()
    assert driver.alive() == {"primary": 1}
    uses: list[Callable[[], object]] = [
        lambda: session.run(images(0)),
        lambda: session.timed(images(0)),
        lambda: session.profiled(images(0), 1),
        lambda: session.run_with({}, images(0)),
        session.another,
    ]
    for use in uses:
        with pytest.raises(BackendError, match="this session is closed"):
            use()


def test_another_thread_may_close_it(session: TensorRTSession, driver: StandIn) -> None:
    session.run(images(0))
    in_thread(session.close)
    assert driver.alive() == {"primary": 1}
    with pytest.raises(BackendError, match="closed"):
        session.run(images(0))


def test_the_gpu_may_be_closed_first(
    net: tuple[Any, TensorRTSession], cuda: Cuda, driver: StandIn
) -> None:
    _, session = net
    session.run(images(0))
    cuda.close()
    with pytest.raises(BackendError, match="this GPU is closed"):
        session.run(images(0))
    session.close()
    assert driver.alive() == {}


def test_a_gpu_that_only_the_session_holds_is_given_back_with_it(driver: StandIn) -> None:
    trt, data = built("10.3.0", small_net())
    session = TensorRTSession(trt, Cuda.open(), data)
    session.run(images(0))
    session.close()
    assert driver.alive() == {}


def test_a_session_that_nobody_holds_is_freed(driver: StandIn) -> None:
    script = """
from edgesdk.backends.tensorrt.cuda import Cuda
from edgesdk.backends.tensorrt.session import TensorRTSession
from tests.cuda.engines import built, images, small_net
from tests.cuda.stand_in import StandIn
trt, data = built("10.3.0", small_net())
session = TensorRTSession(trt, Cuda.open(), data)
session.run(images(0))
del session
print(StandIn().alive())
"""
    assert output_of(script) == ("{}\n", "")


def test_a_program_that_ends_without_closing_ends_silently() -> None:
    script = """
from edgesdk.backends.tensorrt.cuda import Cuda
from edgesdk.backends.tensorrt.session import TensorRTSession
from tests.cuda.engines import built, images, small_net
trt, data = built("10.3.0", small_net())
session = TensorRTSession(trt, Cuda.open(), data)
session.run(images(0))
session.run(images(0))
"""
    assert output_of(script) == ("", "")


def output_of(script: str) -> tuple[str, str]:
    command = [sys.executable, "-W", "error", "-c", script]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    return ended.stdout, ended.stderr


# Inputs that the GPU writes


def sent_by_the_gpu(source: Any) -> Callable[[int, Stream], None]:
    """A copy on the device: what a preprocessing kernel would do."""

    def fill(address: int, stream: Stream) -> None:
        from pycuda import driver as pycuda  # noqa: PLC0415

        pycuda.memcpy_dtod_async(address, source.device, source.nbytes, stream.raw)

    return fill


def test_an_input_can_be_written_on_the_gpu(cuda: Cuda, session: TensorRTSession) -> None:
    source, stream = cuda.buffer(3 * 8 * 8 * 4), cuda.stream()
    for seed in range(3):
        source.host.view(np.float32)[:] = images(seed)["image"].ravel()
        source.upload(stream)
        stream.synchronize()
        answers = session.run_with({"image": sent_by_the_gpu(source)})
        np.testing.assert_allclose(
            answers["pooled"], expected(small_net(), images(seed))["pooled"], rtol=1e-5, atol=1e-6
        )


def test_a_filled_input_is_not_sent_from_the_host(driver: StandIn) -> None:
    cuda = Cuda.open(memory="copied")
    trt, data = built("10.3.0", small_net())
    session = TensorRTSession(trt, cuda, data)
    source = cuda.buffer(3 * 8 * 8 * 4)
    driver.reset()
    session.run_with({"image": sent_by_the_gpu(source)})
    assert driver.calls("cuMemcpyHtoDAsync") == 0
    session.close()
    cuda.close()


def nothing(address: int, stream: Stream) -> None:
    pass


def test_a_fill_for_an_unknown_input_is_refused(session: TensorRTSession) -> None:
    with pytest.raises(BackendError, match="inputs are image; found picture"):
        session.run_with({"picture": nothing}, images(0))


def test_an_input_that_is_neither_fed_nor_filled_is_refused(session: TensorRTSession) -> None:
    with pytest.raises(BackendError, match="image"):
        session.run_with({})


def test_an_input_of_varying_size_cannot_be_filled(cuda: Cuda) -> None:
    trt, data = built("10.3.0", small_net("N"), BATCHES)
    session = TensorRTSession(trt, cuda, data)
    with pytest.raises(BackendError, match="varying size cannot be filled"):
        session.run_with({"image": nothing})


# Times


def test_a_timed_run_gives_the_answer_and_its_phases(session: TensorRTSession) -> None:
    for seed in range(3):
        answers, phases = session.timed(images(seed))
        np.testing.assert_allclose(
            answers["pooled"], expected(small_net(), images(seed))["pooled"], rtol=1e-5, atol=1e-6
        )
        parts = (phases.h2d_ms, phases.compute_ms, phases.d2h_ms)
        assert min(parts) >= 0
        assert phases.latency_ms == sum(parts)
        assert phases.enqueue_ms > 0
    assert session.uses_graph


def test_the_time_of_computing_is_in_the_phase_of_computing(
    net: tuple[Any, TensorRTSession], driver: StandIn
) -> None:
    """Computing is ONNX Runtime's here; copies of 768 bytes take next to nothing."""
    _, session = net
    session.run(images(0))
    phases = [session.timed(images(seed))[1] for seed in range(20)]
    compute = sorted(p.compute_ms for p in phases)[10]
    copies = sorted(p.h2d_ms + p.d2h_ms for p in phases)[10]
    assert compute > copies


def test_a_profile_has_each_layer_s_time_in_each_run(net: tuple[Any, TensorRTSession]) -> None:
    _, session = net
    session.run(images(0))
    times = session.profiled(images(0), runs=3)
    assert [len(layer.ms) for layer in times] == [3] * len(times)
    assert any("conv" in layer.name for layer in times)
    # afterwards runs are as before, without the profiler and with the graph
    session.run(images(1))
    assert session.uses_graph


def test_a_profile_of_no_runs_is_refused(session: TensorRTSession) -> None:
    with pytest.raises(UsageError, match="at least one run"):
        session.profiled(images(0), runs=0)


# Engines that need more than their bytes


def test_an_engine_without_weights_gets_them_from_the_model(cuda: Cuda) -> None:
    settings = EngineSettings(strip_weights=True)
    trt, data = built("10.3.0", small_net(), settings)
    session = TensorRTSession(trt, cuda, data, settings=settings, model=small_net())
    np.testing.assert_allclose(
        session.run(images(0))["pooled"],
        expected(small_net(), images(0))["pooled"], rtol=1e-5, atol=1e-6,
    )  # fmt: skip


def test_an_engine_without_weights_and_without_a_model_is_refused(cuda: Cuda) -> None:
    settings = EngineSettings(strip_weights=True)
    trt, data = built("10.3.0", small_net(), settings)
    with pytest.raises(BackendError, match="no model was given"):
        TensorRTSession(trt, cuda, data, settings=settings)


def test_a_version_compatible_engine_may_run_its_code(cuda: Cuda) -> None:
    settings = EngineSettings(version_compatible=True)
    trt, data = built("10.3.0", small_net(), settings)
    session = TensorRTSession(trt, cuda, data, settings=settings)
    assert session.run(images(0)).keys() == {"features", "pooled"}
