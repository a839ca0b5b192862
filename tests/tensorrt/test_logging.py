"""TensorRT uses one logger for the whole process; who listens hears it.

These tests call the logger as TensorRT would, on a double: they do NOT show that TensorRT works.
tests/tensorrt/test_listeners.py calls it through the real bindings.
"""

from __future__ import annotations

import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from edgesdk.backends.tensorrt.logging import Messages, make_log
from tests.tensorrt_double import make_tensorrt


@pytest.fixture
def trt() -> Any:
    return make_tensorrt("10.3.0")


def test_a_later_build_hears_what_tensorrt_tells_the_first_logger(trt: Any) -> None:
    session, build = Messages(), Messages()
    first = make_log(trt, session)
    make_log(trt, build)
    first.log(trt.ILogger.ERROR, "no implementation for node conv1")
    assert "no implementation for node conv1" in str(build.failed("could not build", ""))


def test_a_session_hears_after_a_build_has_ended(trt: Any) -> None:
    session, build = Messages(), Messages()
    make_log(trt, session)
    log = make_log(trt, build)
    del build
    gc.collect()
    log.log(trt.ILogger.ERROR, "misaligned address")
    assert session.last_errors() == "misaligned address"


def test_the_first_one_may_go_before_the_second(trt: Any) -> None:
    first, second = Messages(), Messages()
    log = make_log(trt, first)
    make_log(trt, second)
    del first
    gc.collect()
    log.log(trt.ILogger.WARNING, "slow")
    assert second.warnings == ("slow",)


def test_messages_that_listen_twice_take_a_line_once(trt: Any) -> None:
    lines: list[str] = []
    messages = Messages(lines.append)
    make_log(trt, messages)
    make_log(trt, messages).log(trt.ILogger.INFO, "once")
    assert lines == ["once"]


def test_a_module_has_one_logger_and_another_module_has_another(trt: Any) -> None:
    other = make_tensorrt("10.3.0")
    start = threading.Barrier(8)

    def made(_: int) -> int:
        start.wait()
        return id(make_log(trt, Messages()))

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(made, range(8)))) == 1
    assert make_log(other, Messages()) is not make_log(trt, Messages())


def test_two_modules_do_not_hear_each_other(trt: Any) -> None:
    here, there = Messages(), Messages()
    make_log(trt, here)
    make_log(make_tensorrt("10.3.0"), there).log(trt.ILogger.ERROR, "elsewhere")
    assert here.last_errors() == ""
    assert there.last_errors() == "elsewhere"
