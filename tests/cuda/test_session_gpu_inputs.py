"""Inputs that the GPU writes, and where the time of a run goes, with the real pycuda.

On a double of TensorRT and a stand-in for the driver: this shows our own logic. It does NOT show
that TensorRT or CUDA works: tests/gpu is for that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgesdk.backends.tensorrt.cuda import Cuda, Stream
from edgesdk.backends.tensorrt.runtime.session import TensorRTSession
from edgesdk.errors import BackendError, UsageError
from tests.cuda.engines import (
    BATCHES,
    assert_right,
    built,
    images,
    small_net,
)
from tests.cuda.stand_in import StandIn

pytestmark = pytest.mark.usefixtures("closed_afterwards")


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
        assert_right(answers, images(seed))


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


def test_a_timed_run_gives_the_answer_and_its_phases(session: TensorRTSession) -> None:
    for seed in range(3):
        answers, phases = session.timed(images(seed))
        assert_right(answers, images(seed))
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
