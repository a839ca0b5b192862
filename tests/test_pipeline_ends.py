"""A run ends within a bound, whatever hangs, and what the sinks wrote is whole."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgesdk.frames import Frame
from edgesdk.pipeline import Paced, Packet, Pipeline, Step, Stream, VideoFile, open_source
from edgesdk.video import read_video
from tests.made_up import Frames, Record, Shared, our_threads, within

LONG_S = 30.0


@pytest.fixture
def hanging() -> Iterator[threading.Event]:
    """Whoever waits for it hangs until the test is over."""
    event = threading.Event()
    yield event
    event.set()
    for thread in threading.enumerate():
        if thread.name.startswith("edgesdk-"):
            thread.join(10)


class Hangs(Frames):
    """A source that gives some frames and then waits in its driver; so may its `stop`."""

    def __init__(self, count: int, hanging: threading.Event, stop_hangs: bool = False) -> None:
        super().__init__(count + 1, self._hang, live=True, name="camera")
        self._frames = count
        self._hanging = hanging
        self._stop_hangs = stop_hangs
        self.asked_to_stop = threading.Event()

    def _hang(self, index: int) -> None:
        if index == self._frames:
            self._hanging.wait(LONG_S)

    def stop(self) -> None:
        self.asked_to_stop.set()
        if self._stop_hangs:
            self._hanging.wait(LONG_S)


@pytest.mark.parametrize("stop_hangs", [False, True])
def test_stop_returns_in_time_though_a_source_hangs(
    hanging: threading.Event, caplog: pytest.LogCaptureFixture, stop_hangs: bool
) -> None:
    source, record = Hangs(4, hanging, stop_hangs), Record()
    pipeline = Pipeline(source, [Shared()], [record], policy="all", stop_s=0.5)
    threading.Timer(0.3, pipeline.stop).start()
    within(6, pipeline.run)
    assert source.asked_to_stop.is_set()
    assert (record.seen, record.closed) == ([0, 1, 2, 3], 1)
    assert "the source camera did not end within 0.5 s" in caplog.text
    assert "edgesdk-source is left behind" in caplog.text


def test_a_source_that_can_be_stopped_leaves_no_thread() -> None:
    class Camera(Frames):
        """Waits for a frame that never comes, until it is stopped."""

        def __init__(self) -> None:
            super().__init__(10, self._wait, live=True)
            self._stop = threading.Event()

        def _wait(self, index: int) -> None:
            if index == 2:
                self._stop.wait(LONG_S)

        def stop(self) -> None:
            super().stop()
            self._stop.set()

    pipeline = Pipeline(Camera(), [Shared()], [Record()])
    threading.Timer(0.2, pipeline.stop).start()
    within(6, pipeline.run)
    assert not our_threads()


@pytest.mark.parametrize("place", ["before", "inference", "after"])
def test_stop_returns_in_time_though_a_stage_hangs_and_closes_the_sinks(
    hanging: threading.Event, caplog: pytest.LogCaptureFixture, place: str
) -> None:
    def hang(packet: Packet) -> Packet:
        if packet.frame.index == 3:
            hanging.wait(LONG_S)
        return packet

    hangs, passes = Step("hangs", hang), Step("passes", lambda packet: packet)
    shared = Shared(lambda packets: place == "inference" and hang(packets[0]) and None)
    record = Record()
    before = hangs if place == "before" else passes
    stages = [before, shared, hangs if place == "after" else Step("last", lambda packet: packet)]
    pipeline = Pipeline(Frames(100), stages, [record], stop_s=0.5)
    threading.Timer(0.3, pipeline.stop).start()
    within(6, pipeline.run)
    assert (record.seen, record.closed) == ([0, 1, 2], 1)
    assert "did not end within 0.5 s and is left behind" in caplog.text
    figures = pipeline.progress()[0]
    assert figures.frames_captured == 3 + figures.frames_dropped
    hanging.set()
    for thread in threading.enumerate():
        if thread.name.startswith("edgesdk-"):
            thread.join(5)
    assert (record.seen, record.closed) == ([0, 1, 2], 1)  # it does not write to closed sinks
    later = pipeline.progress()[0]
    assert (later.frames_captured, later.frames_dropped) == (
        figures.frames_captured,
        figures.frames_dropped,
    )


def test_a_sink_that_hangs_is_left_as_it_is(
    hanging: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    class Stuck(Record):
        def accept(self, packet: Packet) -> None:
            hanging.wait(LONG_S)

    stuck = Stuck("stuck")
    pipeline = Pipeline(Frames(5), [], [stuck], stop_s=0.3)
    threading.Timer(0.2, pipeline.stop).start()
    within(6, pipeline.run)
    assert stuck.closed == 0
    assert "a sink hangs" in caplog.text


def test_files_are_closed_before_a_sink_that_waits_for_others(hanging: threading.Event) -> None:
    """A broker that is gone may use up all the time that the end has."""

    class Sends(Record):
        flush_s = 2.0

        def close(self) -> None:
            hanging.wait(LONG_S)

    sends, shared_file, own_file = Sends("sends"), Record("file"), Record("own file")
    streams = [
        Stream(Frames(10**9), [], [sends, shared_file], name="gate"),
        Stream(Frames(10**9), [], [sends, shared_file, own_file], name="yard"),
    ]
    pipeline = Pipeline.of(streams, stop_s=0.3)
    threading.Timer(0.2, pipeline.stop).start()
    within(6, pipeline.run)
    assert (shared_file.closed, own_file.closed) == (1, 1)


def test_stop_leaves_a_playable_video_though_the_camera_hangs(
    tmp_path: Path, hanging: threading.Event
) -> None:
    class Camera(Hangs):
        size = (64, 48)

        def __iter__(self) -> Iterator[Frame]:
            picture = np.zeros((48, 64, 3), np.uint8)
            for frame in super().__iter__():
                yield Frame(picture, frame.index, frame.time_ns, frame.captured_ns)

    video = VideoFile(tmp_path / "v.mp4", 10.0, lambda packet: packet.frame.image)
    pipeline = Pipeline(Camera(6, hanging), [Shared()], [video], policy="all", stop_s=0.3)
    threading.Timer(0.5, pipeline.stop).start()
    summary = pipeline.run()
    assert summary.ended == "stopped"
    assert read_video(tmp_path / "v.mp4").count == summary.frames_processed == 6


def test_an_interrupt_of_the_caller_ends_the_run_in_order() -> None:
    """Ctrl-C in a program of one's own, which sets no signal handler."""
    import _thread  # noqa: PLC0415

    record = Record()
    pipeline = Pipeline(Frames(10**9), [Shared()], [record])
    pipeline._lanes[0].stream.stages[0].batches = _Forgets()  # type: ignore[attr-defined]
    # Python loses one that comes while a callback of its garbage collector runs: so once more.
    interrupts = [threading.Timer(after_s, _thread.interrupt_main) for after_s in (0.3, 10)]
    for interrupt in interrupts:
        interrupt.start()
    with pytest.raises(KeyboardInterrupt):
        pipeline.run()
    for interrupt in interrupts:
        interrupt.cancel()
    assert record.closed == 1
    assert not our_threads()


class _Forgets(list[object]):
    def append(self, item: object) -> None:
        pass


def test_one_camera_that_hangs_does_not_hold_up_the_end_of_the_others(
    hanging: threading.Event,
) -> None:
    shared, record = Shared(), Record("other")
    streams = [
        Stream(Hangs(2, hanging), [shared], [Record("hung")], "all", "hung"),
        Stream(Frames(20), [shared], [record], name="other"),
    ]
    pipeline = Pipeline.of(streams, stop_s=0.5)
    threading.Timer(0.5, pipeline.stop).start()
    within(6, pipeline.run)
    hung, other = pipeline.progress()
    assert (hung.ended, hung.frames_processed) == ("stopped", 2)
    assert (other.ended, record.seen) == ("source ended", list(range(20)))


def test_a_file_played_like_a_camera_keeps_its_rate_and_stops_at_once(tmp_path: Path) -> None:
    clip = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter_fourcc(*"MJPG"), 20.0, (64, 48))
    for _ in range(10):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    source = Paced(open_source(str(clip)))
    summary = Pipeline(source, []).run()
    assert source.live
    assert summary.frames_captured == 10
    assert summary.seconds >= 9 / 20 * 0.98
    slow = Paced(open_source(str(clip)))
    slow.stop()
    assert Pipeline(slow, []).run().frames_captured == 0
