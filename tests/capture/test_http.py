"""A real HTTP server of JPEG pictures that is killed, frozen and sends halves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice, pairwise

import pytest

from edgesdk.capture import Camera, Recovery
from edgesdk.errors import DataError
from tests.capture.servers import Server, camera_by, failed_once, mjpeg_server, number_in
from tests.capture.traces import held, wait_until

QUICK = Recovery(first_s=0.3, cap_s=1.0, open_s=8.0, start_s=20.0)
WATCHDOG_S = 2.0

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    one = mjpeg_server()
    yield one
    one.kill()


@pytest.fixture(autouse=True)
def nothing_is_left(server: Server) -> Iterator[None]:
    before = held()
    yield
    assert {**held(), "children": before["children"]} == before


def open_at(
    server: Server, path: str, recovery: Recovery = QUICK, login: str = "", keep: str = "newest"
) -> Camera:
    address = f"http://{login}127.0.0.1:{server.port}/{path}?watchdog_ms={WATCHDOG_S * 1000:.0f}"
    return camera_by("ffmpeg", address, recovery, keep)


def test_the_pictures_are_those_the_server_sends(server: Server) -> None:
    with open_at(server, "cam.mjpg") as camera:
        numbers = [number_in(frame.image) for frame in islice(camera, 40)]
        assert all(0 < b - a < 25 for a, b in pairwise(numbers))


def test_a_killed_server_is_waited_for_and_a_frozen_one_is_noticed(server: Server) -> None:
    with open_at(server, "cam.mjpg") as camera:
        stream = iter(camera)
        next(stream)
        server.kill()
        assert wait_until(lambda: camera.stats().state == "waiting")
        server.start()
        next(f for f in stream if camera.stats().reconnects == 1)
        server.freeze()
        frozen_ns = time.monotonic_ns()
        try:
            assert wait_until(lambda: camera.stats().state != "streaming", 20)
            change = [c for c in camera.stats().history if c.state == "frozen"][-1]
        finally:
            server.thaw()
        assert (change.at_ns - frozen_ns) / 1e9 <= 1.5 * WATCHDOG_S
        next(f for f in stream if camera.stats().reconnects == 2)


def test_halves_of_pictures_are_counted_and_do_not_end_the_stream(server: Server) -> None:
    with open_at(server, "broken.mjpg", keep="all") as camera:
        assert len(list(islice(camera, 50))) == 50
        stats = camera.stats()
        assert stats.corrupt >= 5
        assert [c.state for c in stats.history] == ["connecting", "streaming"]


def test_a_size_that_changes_in_mid_stream_is_followed(server: Server) -> None:
    """FFmpeg does not name the new size of JPEG pictures, and OpenCV scales them to the first."""
    with open_at(server, "cam.mjpg") as camera:
        stream = iter(camera)
        for frame in islice(stream, 5):
            assert frame.image.shape == (240, 320, 3)
        server.tell("size 480x320")
        try:
            frame = next(f for f in stream if f.image.shape == (320, 480, 3))
            following = next(stream)
        finally:
            server.tell("size 320x240")
        assert number_in(following.image) > number_in(frame.image)
        assert camera.stats().resized == 1
        assert "its pictures has changed" in [c.reason for c in camera.stats().history][2]


@pytest.mark.parametrize(("path", "words"), [("nothing", "404"), ("secret.mjpg", "401")])
def test_a_refusal_is_an_error_that_says_which(server: Server, path: str, words: str) -> None:
    camera = open_at(server, path, Recovery(first_s=0.3, start_s=0.5), login="ann:wr0ng@")
    with pytest.raises(DataError, match=words) as caught:
        _ = failed_once(camera).size
    assert "wr0ng" not in f"{caught.value} {camera.name} {camera.stats()}"
