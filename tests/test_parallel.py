"""Several frames in the model at once: their order, their failures, their end."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesdk.apps.cores import CoreShares, share_cores
from edgesdk.pipeline import Packet, Pipeline, Stream
from edgesdk.pipeline.errors import StageError
from edgesdk.pipeline.turns import Turns
from tests.made_up import Frames, Record, Shared, our_threads, within


def test_frames_that_finish_out_of_order_are_handed_over_in_order() -> None:
    rng = np.random.default_rng(5)
    waits = rng.random(60) * 0.004

    def work(packets: Sequence[Packet]) -> None:
        time.sleep(waits[packets[0].frame.index])

    seen = Record()
    summary = Pipeline(Frames(60), [Shared(work, parallel=3)], [seen]).run()
    assert seen.seen == list(range(60))
    assert (summary.frames_processed, summary.frames_dropped) == (60, 0)
    assert our_threads() == []


def test_as_many_frames_are_worked_on_at_once_as_was_said() -> None:
    both = threading.Barrier(2)  # Broken, and so a failure, unless two are inside together.

    def work(packets: Sequence[Packet]) -> None:
        both.wait(5)

    seen = Record()
    Pipeline(Frames(8), [Shared(work, parallel=2)], [seen]).run()
    assert seen.seen == list(range(8))


def test_a_single_frame_of_a_slow_camera_does_not_wait_for_the_next() -> None:
    out = threading.Event()

    class Told(Record):
        def accept(self, packet: Packet) -> None:
            super().accept(packet)
            out.set()

    class Camera(Frames):
        def __iter__(self):  # type: ignore[no-untyped-def]
            frames = super().__iter__()
            yield next(frames)
            assert out.wait(5), "the first frame waited for the second"
            yield from frames

    told = Told()
    Pipeline(Camera(2), [Shared(parallel=2)], [told]).run()
    assert told.seen == [0, 1]


def test_a_failure_of_one_frame_ends_the_run_and_lets_go_of_the_others() -> None:
    def work(packets: Sequence[Packet]) -> None:
        if packets[0].frame.index == 3:
            raise ValueError("no such layer")
        time.sleep(0.002)

    seen = Record()
    pipeline = Pipeline(Frames(50), [Shared(work, parallel=3)], [seen])

    def run() -> None:
        with pytest.raises(StageError, match="no such layer"):
            pipeline.run()

    within(4, run)
    assert seen.seen == list(range(len(seen.seen)))
    assert len(seen.seen) <= 3
    assert our_threads() == []


def test_one_that_hangs_does_not_keep_the_run_from_ending(
    caplog: pytest.LogCaptureFixture,
) -> None:
    release = threading.Event()
    hanging = threading.Event()

    def work(packets: Sequence[Packet]) -> None:
        if packets[0].frame.index == 1:
            hanging.set()
            release.wait(30)

    pipeline = Pipeline(Frames(50), [Shared(work, parallel=2)], [Record()], stop_s=0.3)

    def stop() -> None:
        hanging.wait(5)
        pipeline.stop()

    stopper = threading.Thread(target=stop)
    stopper.start()
    within(5, pipeline.run)
    stopper.join()
    left = [line for line in caplog.messages if "left behind" in line]
    release.set()
    assert len(left) == 1, left
    assert "inference-" in left[0]


def test_streams_that_share_the_model_account_for_every_frame() -> None:
    shared = Shared(lambda packets: time.sleep(0.001), parallel=3)
    streams = [
        Stream(Frames(40, name=name), [shared], [Record()], "newest" if i % 2 else "all", name)
        for i, name in enumerate("abcd")
    ]
    summary = Pipeline.of(streams).run()
    for stream in summary.streams:
        assert stream.frames_processed + stream.frames_dropped == stream.frames_captured == 40
    assert [s.frames_dropped for s in summary.streams][::2] == [0, 0]


@pytest.mark.parametrize(
    ("backend", "batch", "parallel", "threads", "cores", "expected"),
    [
        ("onnxruntime", 1, 0, 0, 1, (1, 0)),
        ("onnxruntime", 1, 0, 0, 2, (2, 1)),
        ("onnxruntime", 1, 0, 0, 8, (2, 4)),
        ("onnxruntime", 1, 0, 3, 8, (2, 3)),
        ("onnxruntime", 1, 4, 0, 8, (4, 2)),
        ("onnxruntime", 1, 4, 0, 2, (4, 1)),
        ("onnxruntime", 1, 1, 0, 8, (1, 0)),
        ("onnxruntime", 4, 0, 0, 8, (1, 0)),
        ("tensorrt", 1, 3, 0, 8, (1, 0)),
    ],
)
def test_cores_are_shared_among_frames(
    backend: str, batch: int, parallel: int, threads: int, cores: int, expected: tuple[int, int]
) -> None:
    assert share_cores(backend, batch, parallel, threads, cores) == CoreShares(*expected)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 5), st.lists(st.floats(0, 0.002), min_size=1, max_size=20))
def test_turns_come_in_the_order_in_which_they_were_drawn(workers: int, waits: list[float]) -> None:
    turns, drawing, done = Turns(workers), threading.Lock(), []
    left = iter(waits)

    def work() -> None:
        while True:
            with drawing:
                wait = next(left, None)
                if wait is None:
                    return
                turn = turns.draw()
            time.sleep(wait)
            assert turns.come(turn)
            done.append(turn)
            turns.over()

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == list(range(len(waits)))
