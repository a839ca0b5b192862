"""Many streams, one session: fair, in order, each with its own state and its own failures."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgesdk.detections import Detections
from edgesdk.errors import DataError, UsageError
from edgesdk.geometry import Placement
from edgesdk.pipeline import (
    Event,
    Inference,
    Paced,
    Packet,
    Pipeline,
    StageError,
    Step,
    Stream,
    detect_stages,
    open_source,
)
from edgesdk.preprocess import Preprocess
from edgesdk.tensors import Array
from edgesdk.vision.detector import Detector
from tests.made_up import Frames, Record, Shared, broken, our_threads, sleeping, within


def test_each_stream_keeps_its_order_and_its_own_stages() -> None:
    shared, records = Shared(), [Record("a"), Record("b")]
    passed: dict[str, list[int]] = {"a": [], "b": []}

    def own(name: str) -> Step:
        def work(packet: Packet) -> Packet:
            passed[name].append(packet.frame.index)
            return packet

        return Step("own", work)

    streams = [
        Stream(Frames(20), [shared, own("a")], [records[0]], name="a"),
        Stream(Frames(30), [shared, own("b")], [records[1]], name="b"),
    ]
    summary = Pipeline.of(streams).run()
    assert passed == {"a": list(range(20)), "b": list(range(30))}
    assert [record.seen for record in records] == [list(range(20)), list(range(30))]
    assert set(records[1].sources) == {"b"}
    assert [s.frames_processed for s in summary.streams] == [20, 30]
    assert (summary.frames_captured, summary.frames_processed) == (50, 50)
    assert [record.closed for record in records] == [1, 1]
    assert not our_threads()


def test_a_stream_that_gives_much_does_not_keep_others_waiting() -> None:
    order = Record()
    shared = Shared(lambda packets: time.sleep(0.001))
    streams = [
        Stream(Frames(600), [shared], [order], name="much"),
        Stream(Frames(30), [shared], [order], name="little"),
    ]
    Pipeline.of(streams).run()
    last = max(i for i, source in enumerate(order.sources) if source == "little")
    assert last < 150  # taking turns they are through after about 60 of 630
    assert order.closed == 1


def test_events_say_which_stream_they_are_of() -> None:
    def tell(packet: Packet) -> Packet:
        return replace(packet, events=(Event(packet.frame.index, 0.0),))

    seen: list[str] = []

    class Names(Record):
        def accept(self, packet: Packet) -> None:
            seen.extend(event.stream for event in packet.events)

    sink = Names()
    streams = [Stream(Frames(3), [Step("tell", tell)], [sink], name=name) for name in ("a", "b")]
    summary = Pipeline.of(streams).run()
    assert sorted(seen) == ["a"] * 3 + ["b"] * 3
    assert summary.counts == {"event": {"count": 6}}
    assert summary.streams[0].counts == {"event": {"count": 3}}
    seen.clear()
    Pipeline(Frames(2), [Step("tell", tell)], [Names()]).run()
    assert seen == ["", ""]


def test_a_batch_takes_from_every_stream_and_no_longer_than_it_may() -> None:
    """Three streams, batches of four, of live sources that give one frame each."""
    shared = Shared(batch=4, wait_s=30)
    streams = [Stream(Frames(1, live=True), [shared], name=name) for name in "abc"]
    within(10, Pipeline.of(streams).run)
    assert sorted(pair for batch in shared.batches for pair in batch) == [
        ("a", 0),
        ("b", 0),
        ("c", 0),
    ]


def test_a_full_batch_does_not_wait_and_the_deadline_ends_the_wait_for_one() -> None:
    silent = threading.Event()
    shared = Shared(batch=2, wait_s=0.05)

    def before(index: int) -> None:
        if index == 3:
            silent.wait(20)

    def work(packet: Packet) -> Packet:
        if packet.frame.index == 2:
            silent.set()  # The third frame came through although a fourth was still missing.
        return packet

    within(15, Pipeline(Frames(4, before), [shared, Step("work", work)]).run)
    assert [len(batch) for batch in shared.batches][-2:] == [1, 1]
    assert [index for batch in shared.batches for _, index in batch] == [0, 1, 2, 3]


def test_eight_cameras_from_files_are_accounted_for_exactly(tmp_path: Path) -> None:
    clip = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter_fourcc(*"MJPG"), 25.0, (640, 352))
    for i in range(40):
        writer.write(np.full((352, 640, 3), 5 * i, np.uint8))
    writer.release()
    shared = Shared(lambda packets: time.sleep(0.02))
    records = [Record(f"r{i}") for i in range(8)]
    streams = [
        Stream(Paced(open_source(str(clip))), [shared], [record], name=record.name)
        for record in records
    ]
    summary = Pipeline.of(streams).run()
    for stream, record in zip(summary.streams, records, strict=True):
        assert (stream.policy, stream.frames_captured) == ("newest", 40)
        assert stream.frames_processed == len(record.seen) > 0
        assert stream.frames_processed + stream.frames_dropped == 40
        assert record.seen == sorted(set(record.seen))
    assert summary.frames_dropped > 100  # 200 frames a second come, at most 50 are worked on
    assert summary.frames_captured == summary.frames_processed + summary.frames_dropped == 320


def test_a_source_that_fails_ends_its_own_stream_and_is_reported() -> None:
    def before(index: int) -> None:
        if index == 3:
            raise DataError("camera 1 is gone", "plug it in")

    shared, record = Shared(), Record()
    streams = [
        Stream(Frames(10, before), [shared], [Record()], name="one"),
        Stream(Frames(40), [shared], [record], name="two"),
    ]
    summary = Pipeline.of(streams).run()
    one, two = summary.streams
    assert (one.ended, one.frames_processed) == ("failed", 3)
    assert "in 'source' of 'one': camera 1 is gone" in one.error
    assert (two.ended, two.error, record.seen) == ("source ended", "", list(range(40)))
    assert summary.ended == "source ended"


def test_when_every_source_fails_the_first_failure_is_raised() -> None:
    def before(index: int) -> None:
        raise DataError("gone")

    streams = [Stream(Frames(3, before), [], name=name) for name in ("one", "two")]
    with pytest.raises(StageError, match="in 'source' of 'one': gone") as caught:
        Pipeline.of(streams).run()
    assert caught.value.stream == "one"


@pytest.mark.parametrize("place", ["before", "after"])
def test_a_stage_that_fails_ends_the_run_and_names_its_stream(place: str) -> None:
    shared, records = Shared(), [Record("a"), Record("b")]
    bad = broken(5, ValueError("x"))
    broken_stages = [bad, shared] if place == "before" else [shared, bad]
    other = [sleeping(0, "broken"), shared] if place == "before" else [shared]
    streams = [
        Stream(Frames(10**6), broken_stages, [records[0]], name="one"),
        Stream(Frames(10**6), other, [records[1]], name="two"),
    ]
    pipeline = Pipeline.of(streams)
    with pytest.raises(StageError, match="in 'broken' of 'one': ValueError: x") as caught:
        within(10, pipeline.run)
    assert (caught.value.stage, caught.value.stream) == ("broken", "one")
    assert records[0].seen == [0, 1, 2, 3, 4]
    assert [record.closed for record in records] == [1, 1]
    for stream in pipeline.progress():
        assert stream.frames_captured == stream.frames_processed + stream.frames_dropped
    assert not our_threads()


def test_streams_need_names_and_one_shared_stage() -> None:
    with pytest.raises(UsageError, match="each stream needs a name of its own"):
        Pipeline.of([Stream(Frames(1), []), Stream(Frames(1), [])])
    apart = [Stream(Frames(1), [Shared(batch=i + 1)], name=f"{i}") for i in range(2)]
    with pytest.raises(UsageError, match="share one BatchStage"):
        Pipeline.of(apart)
    with pytest.raises(UsageError, match="needs a stream"):
        Pipeline.of([])


class Means:
    """A session that answers with the mean of each picture, and writes over its last answer."""

    def __init__(self, batch: int) -> None:
        self.feeds: list[Array] = []
        self._answer = np.zeros((batch, 1), np.float32)

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        self.feeds.append(feeds["x"].copy())
        self._answer[:] = feeds["x"].mean(axis=(1, 2, 3))[:, None]
        return {"y": self._answer}


class OneBox:
    """A decoder that makes one box whose score is the answer."""

    task = "detect"

    def __init__(self) -> None:
        self.threads: set[str] = set()

    def decode(self, outputs: Mapping[str, Array], placement: Placement) -> Detections:
        self.threads.add(threading.current_thread().name)
        assert outputs["y"].shape == (1, 1)
        score = outputs["y"][0].astype(np.float32)
        return Detections(np.zeros((1, 4), np.float32), score, np.zeros(1, np.int64))

    def groups(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        return dict(outputs)


class Greys(Frames):
    """Frame i is grey of level 10 * i + `offset`."""

    def __init__(self, count: int, offset: int = 0) -> None:
        super().__init__(count)
        self._offset = offset

    def __iter__(self):  # type: ignore[no-untyped-def]
        for frame in super().__iter__():
            level = np.full((8, 8, 3), 10 * frame.index + self._offset, np.uint8)
            yield replace(frame, image=level)


class Scores(Record):
    def __init__(self, name: str = "scores") -> None:
        super().__init__(name)
        self.scores: list[float] = []

    def accept(self, packet: Packet) -> None:
        self.scores.append(round(float(packet.detections.score[0])))


def detector(runner: object, decoder: OneBox | None = None) -> Detector:
    return Detector(Preprocess(8, 8), runner, "x", decoder or OneBox())  # type: ignore[arg-type]


def test_answers_belong_to_their_frames_though_the_session_writes_over_them() -> None:
    decoder, scores = OneBox(), Scores()
    stages = detect_stages(detector(Means(1), decoder))
    Pipeline(Greys(20), stages, [scores]).run()
    assert scores.scores == [10 * i for i in range(20)]
    assert decoder.threads == {"edgesdk-inference"}


def test_outputs_that_are_ours_are_decoded_beside_the_next_inference() -> None:
    class Fresh(Means):
        gives_outputs = True

        def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
            return {"y": super().run(feeds)["y"].copy()}

    decoder, scores = OneBox(), Scores()
    Pipeline(Greys(20), detect_stages(detector(Fresh(1), decoder)), [scores]).run()
    assert scores.scores == [10 * i for i in range(20)]
    assert decoder.threads == {"edgesdk-results"}


def test_a_model_of_batch_four_gives_each_stream_its_answers() -> None:
    runner = Means(4)
    one = detector(runner)
    inference = Inference(one, batch=4, wait_s=0.05)
    sinks: Sequence[Scores] = [Scores(f"s{i}") for i in range(3)]
    streams = [
        Stream(Greys(7, i), detect_stages(one, inference), [sink], name=sink.name)
        for i, sink in enumerate(sinks)
    ]
    Pipeline.of(streams).run()
    for i, sink in enumerate(sinks):
        assert sink.scores == [10 * n + i for n in range(7)]
    assert all(feed.shape == (4, 3, 8, 8) for feed in runner.feeds)
    assert len(runner.feeds) < 21  # they were put together


def test_the_rest_of_a_batch_repeats_the_last_picture() -> None:
    runner = Means(4)
    one = detector(runner)
    scores = Scores()
    Pipeline(Greys(1, 7), detect_stages(one, Inference(one, 4, 0.0)), [scores]).run()
    assert scores.scores == [7]
    assert [feed.mean(axis=(1, 2, 3)).tolist() for feed in runner.feeds] == [[7.0] * 4]


def test_outputs_without_the_batch_are_an_error_that_says_so() -> None:
    class Flat(Means):
        def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
            return {"y": np.zeros((1, 1), np.float32)}

    one = detector(Flat(4))
    with pytest.raises(
        StageError, match="4 pictures at once, but its output 'y' has the shape 1x1"
    ):
        Pipeline(Greys(1), detect_stages(one, Inference(one, 4)), []).run()
