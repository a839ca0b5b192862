"""Threads, and the end of a session, with the real pycuda.

On a double of TensorRT and a stand-in for the driver: this shows our own logic. It does NOT show
that TensorRT or CUDA works: tests/gpu is for that.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgesdk.backends.tensorrt.cuda import Cuda, Stream
from edgesdk.backends.tensorrt.runtime.session import TensorRTSession
from edgesdk.errors import BackendError
from tests.cuda.engines import (
    built,
    expected,
    images,
    small_net,
)
from tests.cuda.stand_in import StandIn
from tests.tensorrt_double import control

pytestmark = pytest.mark.usefixtures("closed_afterwards")


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
from edgesdk.backends.tensorrt.runtime.session import TensorRTSession
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
from edgesdk.backends.tensorrt.runtime.session import TensorRTSession
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
