"""Viewers that come, go, stall and are many: the run and its memory do not notice."""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from edgesdk.pipeline import Pipeline, Step
from edgesdk.sinks import open_sink
from edgesdk.web import WebPage
from tests.web.running import (
    ask,
    facts,
    feeding,
    next_event,
    next_jpeg,
    packet,
    page,
    viewing,
)

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
NOISE = np.random.default_rng(0).integers(0, 255, (540, 960, 3), np.uint8)
"""Compresses badly: a stalled viewer's buffers are full at once."""


def port_of(sink: WebPage) -> int:
    port = urlsplit(sink.address).port
    assert port
    return port


def until(true: Callable[[], bool], seconds: float = 15.0) -> bool:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.02)
    return true()


def open_files() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


def stalled(sink: WebPage, path: str = "/stream/0.mjpg") -> socket.socket:
    """A viewer that asks and then reads nothing, with little room in its own buffer."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect(("127.0.0.1", port_of(sink)))
    raw.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return raw


class Camera:
    """Gives a number of frames at its own pace."""

    name, fps, size, count, live = "gate", 50.0, (960, 540), 150, True

    def __iter__(self) -> Iterator[object]:
        start = time.monotonic()
        for index in range(self.count):
            time.sleep(max(start + index / self.fps - time.monotonic(), 0))
            yield packet(index, image=NOISE).frame

    def stop(self) -> None: ...

    def close(self) -> None: ...


def test_two_viewers_and_a_stalled_one_do_not_hold_up_the_run() -> None:
    """A run that waited for the stalled viewer would never come to its end."""
    took_ns: list[int] = []
    sink = open_sink("web://127.0.0.1:0", facts())
    assert isinstance(sink, WebPage)
    stuck = stalled(sink)
    seen = [0, 0]

    def look(viewer: int) -> None:
        with contextlib.suppress(OSError, AssertionError), viewing(sink, "/stream/0.mjpg") as it:
            while next_jpeg(it):
                seen[viewer] += 1

    class Timed:
        name = "web"

        def accept(self, each: object) -> None:
            start = time.perf_counter_ns()
            sink.accept(each)  # type: ignore[arg-type]
            took_ns.append(time.perf_counter_ns() - start)

        def close(self) -> None:
            sink.close()

    looking = [threading.Thread(target=look, args=(viewer,)) for viewer in (0, 1)]
    for thread in looking:
        thread.start()
    work = Step("work", lambda each: each)
    summary = Pipeline(Camera(), [work], [Timed()], policy="newest").run()  # type: ignore[arg-type]
    for thread in looking:
        thread.join()
    stuck.close()
    # 3 s of frames: an idle machine processes all 150, a busy one still most of them.
    assert summary.frames_processed > 100
    assert min(seen) >= 5
    assert sorted(took_ns)[len(took_ns) // 2] < 5e6


def test_one_encoding_serves_all_viewers() -> None:
    with page() as sink, feeding(sink), contextlib.ExitStack() as viewers:
        answers = [viewers.enter_context(viewing(sink, "/stream/0.mjpg")) for _ in range(5)]
        pictures = [[next_jpeg(answer) for _ in range(4)] for answer in answers]
        assert all(len(each) == 4 for each in pictures)
        # Five viewers took 20 pictures; each by itself would have had to be encoded.
        assert sink.pictures.encoded < 20


def test_nothing_is_encoded_while_nobody_looks() -> None:
    with page() as sink:
        with feeding(sink, 100.0) as done:
            assert until(lambda: done[0] > 50)
        assert sink.pictures.encoded == 0


def test_encoding_stops_when_the_last_viewer_leaves() -> None:
    with page() as sink, feeding(sink):
        with viewing(sink, "/stream/0.mjpg") as answer:
            next_jpeg(answer)
        before = -1
        end = time.monotonic() + 20
        while before != sink.pictures.encoded and time.monotonic() < end:
            before = sink.pictures.encoded
            time.sleep(0.5)
        assert before == sink.pictures.encoded


def test_pictures_are_limited_to_the_stated_rate() -> None:
    uri = "web://127.0.0.1:0?fps=5"
    with page(uri) as sink, feeding(sink, 100.0), viewing(sink, "/stream/0.mjpg") as answer:
        next_jpeg(answer)
        start = time.monotonic()
        for _ in range(6):
            next_jpeg(answer)
        assert time.monotonic() - start > 0.9  # six at 5 a second: 1.2 s


def test_a_stalled_viewer_is_let_go() -> None:
    with page() as sink:
        sink.server.door.patience_s = 0.5
        stuck = stalled(sink)
        for index in range(4000):
            sink.accept(packet(index, image=NOISE))
            time.sleep(0.005)
            if index > 50 and len(sink.server.door) == 0:
                break
        assert len(sink.server.door) == 0
        stuck.close()


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: loc"])
def test_half_a_request_does_not_hold_a_connection(sent: bytes) -> None:
    with page() as sink:
        sink.server.door.patience_s = 0.3
        with socket.create_connection(("127.0.0.1", port_of(sink)), timeout=10) as raw:
            raw.sendall(sent)
            assert raw.recv(100) == b""


def test_a_viewer_may_look_for_longer_than_the_patience_with_the_silent() -> None:
    with page() as sink:
        sink.server.door.patience_s = 0.3
        with viewing(sink, "/events") as answer:
            for _ in range(3):
                next_event(answer)


def test_connections_are_limited() -> None:
    with page() as sink, contextlib.ExitStack() as open_ones:
        for _ in range(100):
            raw = open_ones.enter_context(socket.create_connection(("127.0.0.1", port_of(sink))))
            raw.settimeout(10)
        assert until(lambda: len(sink.server.door) == 64)
        with contextlib.suppress(ConnectionResetError):
            assert raw.recv(1) == b""
    with page() as sink:
        assert ask(sink, "/").status == 200


def test_the_port_is_free_within_two_seconds_whoever_looks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    threads = threading.active_count()
    sink = open_sink("web://127.0.0.1:0", facts())
    assert isinstance(sink, WebPage)
    with contextlib.ExitStack() as viewers:
        for path in ("/events", "/stream/0.mjpg", "/stream/0.mjpg"):
            viewers.enter_context(viewing(sink, path))
        half = viewers.enter_context(socket.create_connection(("127.0.0.1", port_of(sink))))
        half.sendall(b"GET / HT")
        stuck = viewers.enter_context(stalled(sink))
        for index in range(30):
            sink.accept(packet(index, image=NOISE))
            time.sleep(0.03)
        start = time.monotonic()
        sink.close()
        assert time.monotonic() - start < 2.0
        assert caplog.text == ""  # nothing had to be given up
        assert threading.active_count() == threads
        assert stuck
        with page(f"web://127.0.0.1:{port_of(sink)}") as next_run:
            assert ask(next_run, "/").status == 200


def test_viewers_are_told_that_the_run_has_ended() -> None:
    sink = open_sink("web://127.0.0.1:0", facts())
    assert isinstance(sink, WebPage)
    with viewing(sink, "/events") as answer:
        next_event(answer)
        sink.close()
        assert b"event: end" in answer.read()


def test_a_thousand_viewers_leave_nothing_behind() -> None:
    with page() as sink, feeding(sink):
        ask(sink, "/state")
        assert until(lambda: len(sink.server.door) == 0)
        threads, files = threading.active_count(), open_files()
        for number in range(1000):
            path = ("/", "/stream/0.mjpg", "/events", "/page.js")[number % 4]
            with socket.create_connection(("127.0.0.1", port_of(sink))) as raw:
                raw.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                raw.recv(10)
        assert until(lambda: len(sink.server.door) == 0)
        assert threading.active_count() == threads
        assert open_files() == files


def test_pages_opened_and_closed_leave_nothing_behind() -> None:
    with page() as sink:
        ask(sink, "/")
    threads, files = threading.active_count(), open_files()
    for _ in range(30):
        with page() as sink:
            sink.accept(packet(0))
            ask(sink, "/picture/0.jpg")
    assert threading.active_count() == threads
    assert open_files() == files
