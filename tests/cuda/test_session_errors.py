"""What a session says when something fails, and that it waits, with the real pycuda.

On a double of TensorRT and a stand-in for the driver: this shows our own logic. It does NOT show
that TensorRT or CUDA works: tests/gpu is for that.
"""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

from edgesdk.backends.tensorrt.cuda import Cuda, Stream
from edgesdk.backends.tensorrt.runtime.session import TensorRTSession
from edgesdk.backends.tensorrt.settings import EngineSettings
from edgesdk.errors import BackendError
from tests.cuda.engines import (
    assert_right,
    built,
    images,
    small_net,
)
from tests.cuda.stand_in import ILLEGAL_ADDRESS, LAUNCH_FAILED, StandIn
from tests.tensorrt_double import control

pytestmark = pytest.mark.usefixtures("closed_afterwards")


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
    assert_right(session.run(images(1)), images(1))


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


def test_a_run_waits_for_its_answer(either: Cuda, driver: StandIn) -> None:
    """In the lazy mode, nothing is done before something waits for it."""
    model = small_net()
    trt, data = built("10.3.0", model)
    with driver.lazy():
        session = TensorRTSession(trt, either, data)
        for seed in range(4):
            assert_right(session.run(images(seed)), images(seed))
            assert driver.waiting() == 0


def test_the_lazy_mode_would_catch_a_run_that_does_not_wait(
    session: TensorRTSession, driver: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = session.run(images(0))["pooled"].copy()
    session.run(images(1))
    with driver.lazy(), monkeypatch.context() as patch:
        patch.setattr(Stream, "synchronize", lambda self: None)
        assert not np.allclose(session.run(images(0))["pooled"], right)


def test_an_engine_without_weights_gets_them_from_the_model(cuda: Cuda) -> None:
    settings = EngineSettings(strip_weights=True)
    trt, data = built("10.3.0", small_net(), settings)
    session = TensorRTSession(trt, cuda, data, settings=settings, model=small_net())
    assert_right(session.run(images(0)), images(0))


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
