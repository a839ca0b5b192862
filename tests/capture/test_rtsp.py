"""A real RTSP server that is killed, frozen and resized, read by FFmpeg and by GStreamer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice, pairwise

import pytest

from edgesdk.capture import Camera, Recovery, SourceStats
from edgesdk.errors import DataError
from tests.capture.servers import Server, camera_by, failed_once, number_in, rtsp_server
from tests.capture.traces import held, wait_until

QUICK = Recovery(first_s=0.3, cap_s=1.0, jitter=0.1, open_s=8.0, start_s=20.0)
WATCHDOG_S = 2.0

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    one = rtsp_server()
    yield one
    one.kill()


@pytest.fixture(params=["ffmpeg", "gstreamer"])
def reader(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def nothing_is_left(server: Server) -> Iterator[None]:
    before = held()
    yield
    after = {**held(), "children": before["children"]}  # the server may be another one by now
    assert after == before


def open_at(server: Server, reader: str, path: str = "cam", login: str = "") -> Camera:
    address = f"rtsp://{login}127.0.0.1:{server.port}/{path}?watchdog_ms={WATCHDOG_S * 1000:.0f}"
    return camera_by(reader, address, QUICK)


def opening_times_s(stats: SourceStats) -> list[float]:
    """From each successful try to its first frame."""
    return [
        (after.at_ns - before.at_ns) / 1e9
        for before, after in pairwise(stats.history)
        if (before.state, after.state) == ("connecting", "streaming")
    ]


def states_since_streaming(camera: Camera) -> list[str]:
    states = [change.state for change in camera.stats().history]
    return states[len(states) - states[::-1].index("streaming") :]


def test_the_pictures_are_those_the_server_sends_in_their_order(
    server: Server, reader: str
) -> None:
    with open_at(server, reader) as camera:
        assert camera.size == (320, 240)
        numbers = [number_in(frame.image) for frame in islice(camera, 60)]
        assert all(0 < b - a < 25 for a, b in pairwise(numbers))
        assert camera.stats().corrupt == 0


def test_each_time_the_server_is_killed_the_camera_comes_back(server: Server, reader: str) -> None:
    with open_at(server, reader) as camera:
        stream = iter(camera)
        next(stream)
        for time_number in range(1, 4):
            server.kill()
            assert wait_until(lambda: states_since_streaming(camera).count("waiting") >= 2)
            server.start()
            next(f for f in stream if camera.stats().reconnects == time_number)
        stats = camera.stats()
    assert stats.reconnects == 3
    assert max(opening_times_s(stats)) < 6  # 2 s on an idle machine: benchmarks/pipeline/recovery
    assert stats.last_error


def test_a_frozen_server_is_noticed_in_time_and_comes_back(server: Server, reader: str) -> None:
    with open_at(server, reader) as camera:
        stream = iter(camera)
        last_ns = next(stream).captured_ns
        server.freeze()
        frozen_ns = time.monotonic_ns()
        try:
            assert wait_until(lambda: camera.stats().state != "streaming", 10 * WATCHDOG_S)
            change = next(c for c in camera.stats().history if c.state == "frozen")
        finally:
            server.thaw()
        assert (change.at_ns - max(last_ns, frozen_ns)) / 1e9 <= 1.5 * WATCHDOG_S
        assert "no frame for 2 s" in change.reason
        next(f for f in stream if camera.stats().reconnects == 1)


def test_a_size_that_changes_in_mid_stream_is_followed(reader: str) -> None:
    server = rtsp_server("320x240")
    try:
        with open_at(server, reader) as camera:
            stream = iter(camera)
            assert next(stream).image.shape == (240, 320, 3)
            server.tell("size 480x320")
            frame = next(f for f in stream if f.image.shape == (320, 480, 3))
            following = next(stream)
            assert number_in(following.image) > number_in(frame.image)
            assert camera.stats().resized == 1
    finally:
        server.kill()


def test_another_size_after_a_restart_is_followed(reader: str) -> None:
    server = rtsp_server("320x240")
    try:
        with open_at(server, reader) as camera:
            stream = iter(camera)
            next(stream)
            server.kill()
            server._command[3] = "640x360"
            server.start()
            frame = next(f for f in stream if f.image.shape != (240, 320, 3))
            assert frame.image.shape == (360, 640, 3)
            assert (camera.stats().resized, camera.stats().reconnects) == (1, 1)
    finally:
        server.kill()


def test_a_wrong_path_is_an_error_that_says_so(server: Server, reader: str) -> None:
    camera = camera_by(
        reader, f"rtsp://127.0.0.1:{server.port}/nothing", Recovery(first_s=0.3, start_s=0.5)
    )
    with pytest.raises(DataError, match=r"(?i)404|not found"):
        _ = failed_once(camera).size


def test_a_wrong_password_is_an_error_that_says_so_and_does_not_show_it(
    reader: str, caplog: pytest.LogCaptureFixture
) -> None:
    server = rtsp_server(login="ann:right")
    try:
        address = f"rtsp://ann:wr0ng@127.0.0.1:{server.port}/cam"
        camera = camera_by(reader, address, Recovery(first_s=0.3, start_s=0.5))
        with pytest.raises(DataError, match=r"(?i)401|unauthori") as caught:
            _ = failed_once(camera).size
        assert "wr0ng" not in f"{caught.value} {caplog.text} {camera.name} {camera.stats()}"
        with open_at(server, reader, login="ann:right@") as right:
            assert right.size == (320, 240)
    finally:
        server.kill()
