"""A camera whose driver hangs, crashes or vanishes does not take the app with it."""

from __future__ import annotations

import json
import logging
import math
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesdk.capture import Camera, Opening, Recovery, child_main, parse_source
from edgesdk.capture import camera as camera_module
from edgesdk.capture import child as child_module
from edgesdk.errors import DataError
from edgesdk.pipeline import Watched
from tests.capture.servers import failed_once
from tests.capture.traces import alive, children, held, wait_until

DEVICES = Path(__file__).with_name("devices.py")
QUICK = Recovery(first_s=0.05, cap_s=0.2, freeze_s=0.6, open_s=3.0, start_s=10.0)


def camera(
    recovery: Recovery = QUICK,
    keep: Any = "newest",
    live: bool = True,
    loop: bool = False,
    function: str = "device",
    **trouble: object,
) -> Camera:
    opening = Opening(json.dumps(trouble), live=live, opener=f"{DEVICES}:{function}")
    return Camera(opening, recovery, name="front door", keep=keep, loop=loop)


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    before = held()
    yield
    wait_until(lambda: held() == before, 3.0)
    assert held() == before


def states(one: Camera) -> list[str]:
    return [change.state for change in one.stats().history]


def test_frames_have_numbers_times_and_whole_pictures() -> None:
    with camera(sizes=[[1280, 720]], fps=200) as one:
        assert (one.size, one.fps, one.live, one.count) == ((1280, 720), 200.0, True, None)
        last = -1
        for frame in islice(one, 100):
            assert frame.index > last
            assert frame.image.min() == frame.image.max() == frame.index % 256
            assert 0 <= time.monotonic_ns() - frame.captured_ns < 5e9
            last = frame.index
        assert isinstance(one, Watched)
        assert one.stats().state == "streaming"


def test_a_slow_reader_gets_the_newest_frame_and_every_other_one_is_counted() -> None:
    with camera(fps=100) as one:
        taken = 0
        for frame in one:
            taken += 1
            if taken == 8:
                break
            time.sleep(0.1)
            assert time.monotonic_ns() - frame.captured_ns < 2e9
        assert frame.index > 30
    stats = one.stats()
    assert stats.captured == taken + stats.dropped_at_source


def test_all_frames_of_a_camera_can_be_asked_for() -> None:
    with camera(keep="all", fps=500, recovery=Recovery(freeze_s=0.2)) as one:
        frames = []
        for frame in islice(one, 60):
            frames.append(frame.index)
            if frame.index == 20:
                time.sleep(0.6)  # longer than the watchdog's time: the silence is ours
        assert frames == list(range(60))
        assert states(one) == ["connecting", "streaming"]


def test_a_camera_that_hangs_is_killed_and_opened_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "edgesdk.capture")
    with camera(hangs=30, fps=100) as one:
        stream = iter(one)
        next(stream)
        (first,) = children()
        indices = [f.index for f in islice(stream, 70)]
        stats = one.stats()
        assert stats.reconnects >= 1
        assert not alive(first)
    assert indices == sorted(set(indices))
    assert [c.state for c in stats.history][:5] == [
        "connecting", "streaming", "frozen", "waiting", "connecting",
    ]  # fmt: skip
    frozen = next(c for c in stats.history if c.state == "frozen")
    assert "no frame for 0.6 s" in frozen.reason
    assert "front door: frozen: open, but no frame for 0.6 s" in caplog.text


def test_a_freeze_is_noticed_within_one_and_a_half_times_the_setting() -> None:
    with camera(Recovery(freeze_s=2), hangs=30, fps=100) as one:
        frames = []
        for frame in one:
            frames.append(frame)
            if one.stats().reconnects:
                break
        changes = one.stats().history
        noticed_ns = next(c.at_ns for c in changes if c.state == "frozen")
        last_ns = max(f.captured_ns for f in frames if f.captured_ns < noticed_ns)
        assert 2 <= (noticed_ns - last_ns) / 1e9 <= 1.5 * 2


def test_a_crash_in_the_driver_is_survived_and_named() -> None:
    with camera(crashes=10) as one:
        frames = list(islice(one, 25))
        assert len(frames) == 25
        assert "SIGSEGV" in one.stats().last_error


def test_an_unplugged_camera_is_waited_for_until_it_is_back(tmp_path: Path) -> None:
    node = tmp_path / "video0"
    node.touch()
    with camera(path=str(node)) as one:
        stream = iter(one)
        next(stream)
        node.unlink()
        assert wait_until(lambda: states(one).count("waiting") >= 3)
        node.touch()
        back = next(f for f in stream if one.stats().reconnects == 1)
        assert back.image.shape == (48, 64, 3)
        assert one.stats().state == "streaming"


def test_closing_it_while_it_waits_leaves_nothing(tmp_path: Path) -> None:
    node = tmp_path / "video0"
    node.touch()
    with camera(Recovery(first_s=20), path=str(node)) as one:
        next(iter(one))
        node.unlink()
        assert wait_until(lambda: one.stats().state == "waiting")
        assert wait_until(lambda: len(children()) == 1)  # the next process loads meanwhile


def test_the_camera_may_come_after_the_app(tmp_path: Path) -> None:
    node = tmp_path / "video0"
    with camera(path=str(node)) as one:
        threading.Timer(0.5, node.touch).start()
        assert one.size == (64, 48)
        assert one.stats().reconnects == 0


def test_a_camera_that_never_answers_is_an_error_that_says_why(tmp_path: Path) -> None:
    absent = failed_once(camera(Recovery(first_s=0.1, start_s=0.5), path=str(tmp_path / "no")))
    with pytest.raises(DataError, match=r"front door: no picture within 0.5 s.*cannot be opened"):
        iter(absent).__next__()


def test_cameras_open_at_the_same_time_when_they_are_started_beforehand() -> None:
    with camera() as one, camera() as another:
        one.start()
        another.start()
        one.start()
        assert wait_until(lambda: [c.stats().state for c in (one, another)] == ["streaming"] * 2)
        assert one.size == another.size == (64, 48)


def test_a_camera_can_be_waited_for_without_an_end(tmp_path: Path) -> None:
    node = tmp_path / "video0"
    with camera(Recovery(first_s=0.1, start_s=math.inf), path=str(node)) as one:
        threading.Timer(0.5, node.touch).start()
        assert one.size == (64, 48)


def test_the_first_picture_of_a_slow_camera_may_take_as_long_as_the_next_one() -> None:
    slow = Recovery().with_freeze(60)
    assert (slow.freeze_s, slow.open_s, slow.start_s) == (60, 60, 120)
    quick = Recovery(start_s=3).with_freeze(2)
    assert (quick.freeze_s, quick.open_s, quick.start_s) == (2, 10, 3)


def test_the_watchdog_is_the_one_of_the_recovery_where_the_uri_says_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Recovery] = []
    monkeypatch.setattr(camera_module, "choose", lambda *_, **__: None)
    monkeypatch.setattr(camera_module, "opening_of", lambda *_: Opening("none"))
    monkeypatch.setattr(camera_module, "Camera", lambda _, recovery, *__: asked.append(recovery))
    for text in ("gst:videotestsrc ! appsink", "rtsp://host/1"):
        for query in ("", "?watchdog_ms=2000"):
            camera_module.open_camera(parse_source(text + query), Recovery(freeze_s=40))
    assert [each.freeze_s for each in asked] == [40, 2, 40, 2]


def test_an_opening_that_hangs_is_killed() -> None:
    recovery = Recovery(first_s=0.1, open_s=0.5, start_s=0.3)
    with pytest.raises(DataError, match=r"no frame within 0.5 s of opening"):
        _ = failed_once(camera(recovery, hangs_in_open=True)).size


def test_a_change_of_size_in_mid_stream_is_followed_and_counted() -> None:
    with camera(keep="all", sizes=[[64, 48], [320, 240]]) as one:
        shapes = [f.image.shape[:2] for f in islice(one, 50)]  # It may be some frames ahead.
        assert shapes == [(48, 64)] * 20 + [(240, 320)] * 20 + [(48, 64)] * 10
        assert one.stats().resized == 2
        assert states(one) == ["connecting", "streaming"]


def test_gray_pictures_become_bgr() -> None:
    with camera(function="gray") as one:
        frame = next(iter(one))
        assert frame.image.shape == (48, 64, 3)
        assert (frame.image == 7).all()


def test_stop_ends_the_iteration_at_once_while_the_camera_hangs() -> None:
    one = camera(Recovery(freeze_s=60), hangs=5)
    stopper = threading.Timer(1.0, one.stop)
    stopper.start()
    start = time.monotonic()
    list(one)
    assert time.monotonic() - start < 5
    stopper.join()
    start = time.monotonic()
    one.close()
    assert time.monotonic() - start < 4


def test_close_ends_a_process_that_does_not_release_its_device() -> None:
    one = camera(stubborn=True)
    next(iter(one))
    (pid,) = children()
    start = time.monotonic()
    one.close()
    one.close()
    assert time.monotonic() - start < 4
    assert not alive(pid)
    assert one.stats().state == "ended"


def test_a_camera_that_was_never_read_starts_nothing() -> None:
    one = camera()
    assert children() == set()
    one.close()
    assert list(one.stats().history)[-1].state == "ended"


def test_a_file_ends_and_is_not_opened_again() -> None:
    with camera(live=False, keep="all", frames=30) as one:
        frames = list(one)
        assert [f.index for f in frames] == list(range(30))
        assert [f.time_ns for f in frames[:3]] == [0, 10_000_000, 20_000_000]
        assert states(one) == ["connecting", "streaming", "ended"]


def test_a_file_in_a_loop_begins_again_without_a_wait() -> None:
    with camera(live=False, keep="all", frames=30, loop=True) as one:
        frames = list(islice(one, 70))
        assert [int(f.image[0, 0, 0]) for f in frames] == [*range(30), *range(30), *range(10)]
        assert [f.index for f in frames] == list(range(70))
        assert one.stats().reconnects == 0
        assert all(b.time_ns > a.time_ns for a, b in pairwise(frames))


def test_a_file_whose_reader_hangs_is_an_error_and_gives_no_frame_twice() -> None:
    seen = []
    with camera(live=False, keep="all", hangs=5) as one:
        with pytest.raises(DataError, match=r"open, but no frame for 0.6 s"):
            seen += [frame.index for frame in one]
        assert one.stats().state == "failed"
    assert len(seen) <= 5


def test_a_file_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="front door: it cannot be opened"):
        _ = camera(live=False, path=str(tmp_path / "no")).size


def test_an_interpreter_without_opencv_is_an_error_at_once(tmp_path: Path) -> None:
    (tmp_path / "cv2.py").write_text("raise ImportError('no cv2 here')")
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path} exec {sys.executable} "$@"\n')
    bare.chmod(0o755)
    with pytest.raises(DataError, match="has no usable OpenCV: no cv2 here"):
        _ = Camera(Opening("rtsp://127.0.0.1:9/x", python=str(bare)), QUICK).size


def test_an_interpreter_that_does_not_exist_is_an_error_at_once() -> None:
    with pytest.raises(DataError, match="/no/python cannot be run"):
        _ = Camera(Opening("x", python="/no/python"), QUICK).size


def test_nothing_is_left_when_the_app_itself_is_killed() -> None:
    code = f"""
import json, os, time
from itertools import islice, pairwise
from pathlib import Path
from edgesdk.capture import Camera, Opening
one = Camera(Opening('{{}}', opener={str(DEVICES) + ":device"!r}))
list(islice(one, 3))
print(one._keeper._child.pid, flush=True)
time.sleep(60)
"""
    before = set(Path("/dev/shm").iterdir())
    app = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert app.stdout is not None
    with app.stdout:
        pid = int(app.stdout.readline())
    assert alive(pid)
    app.send_signal(signal.SIGKILL)
    app.wait()
    assert wait_until(lambda: not alive(pid), 5.0)
    assert set(Path("/dev/shm").iterdir()) <= before


def test_the_capture_process_needs_nothing_of_ours_and_nothing_heavy() -> None:
    code = (
        "import sys, runpy; sys.argv = ['child']\n"
        f"runpy.run_path({child_main.__file__!r}, run_name='child')\n"
        "print(*sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in out.stdout.split()}
    assert not loaded & {"edgesdk", "numpy", "cv2", "onnx", "click", "rich"}


def test_a_process_stuck_in_the_kernel_does_not_hold_up_the_app(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(child_module, "KILLED_S", 0.2)
    one = camera(stubborn=True)
    next(iter(one))
    process = one._keeper._child._process  # type: ignore[union-attr]
    monkeypatch.setattr(process, "kill", lambda: None)  # as if SIGKILL had to wait for the driver
    start = time.monotonic()
    one.close()
    assert time.monotonic() - start < 3
    assert "stuck in the kernel" in caplog.text
    monkeypatch.undo()
    process.kill()
    process.wait()


def test_a_stuck_picture_is_never_torn_under_load() -> None:
    with camera(sizes=[[1920, 1080]], fps=1000) as one:
        for frame in islice(one, 60):
            assert np.ptp(frame.image[::40, ::40]) == 0
