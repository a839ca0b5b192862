"""Every captured frame is processed or dropped, whatever happens; the policies keep their word."""

from __future__ import annotations

import sys
import time
import tracemalloc
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgesdk.pipeline import (
    Packet,
    Pipeline,
    SourceStats,
    StageError,
    Step,
    Stream,
    StreamSummary,
)
from edgesdk.pipeline.pipeline import Policy
from edgesdk.pipeline.times import Durations
from tests.made_up import Frames, Record, Shared, broken, our_threads, sleeping


@dataclass(frozen=True)
class Plan:
    """One stream of a random run."""

    frames: int
    policy: Policy
    read_ms: int
    before_ms: int
    after_ms: int
    fails: str
    fails_at: int


PLANS = st.builds(
    Plan,
    frames=st.integers(0, 25),
    policy=st.sampled_from(["newest", "all"]),
    read_ms=st.integers(0, 1),
    before_ms=st.integers(0, 1),
    after_ms=st.integers(0, 1),
    fails=st.sampled_from(["", "", "", "source", "before", "after", "sink"]),
    fails_at=st.integers(0, 25),
)


def stream_of(plan: Plan, name: str, shared: Shared) -> Stream:
    def before(index: int) -> None:
        time.sleep(plan.read_ms / 1e3)
        if plan.fails == "source" and index == plan.fails_at:
            raise ValueError("source")

    class Sink(Record):
        def accept(self, packet: Packet) -> None:
            if plan.fails == "sink" and packet.frame.index == plan.fails_at:
                raise ValueError("sink")
            super().accept(packet)

    def step(place: str) -> Step:
        at = plan.fails_at if plan.fails == place else -1
        return broken(at, ValueError(place), f"{place} work")

    stages = (
        sleeping(plan.before_ms / 1e3, "before"),
        step("before"),
        shared,
        sleeping(plan.after_ms / 1e3, "after"),
        step("after"),
    )
    return Stream(Frames(plan.frames, before), stages, [Sink()], plan.policy, name)


def check(stream: Stream, told: StreamSummary) -> None:
    """The books against what the source and the sink saw themselves."""
    source, sink = stream.source, stream.sinks[0]
    assert isinstance(source, Frames)
    assert isinstance(sink, Record)
    assert told.frames_captured == source.given
    assert told.frames_processed == len(sink.seen)
    assert told.frames_dropped == source.given - len(sink.seen)
    assert sink.seen == sorted(set(sink.seen))
    assert sink.closed == 1
    assert len(source.closed_in) == 1


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
@given(
    plans=st.lists(PLANS, min_size=1, max_size=3),
    batch=st.integers(1, 4),
    infer_ms=st.integers(0, 2),
    stop_after=st.one_of(st.none(), st.integers(0, 20)),
)
def test_captured_is_processed_plus_dropped(
    plans: list[Plan], batch: int, infer_ms: int, stop_after: int | None
) -> None:
    runs = 0

    def infer(packets: object) -> None:
        nonlocal runs
        runs += 1
        time.sleep(infer_ms / 1e3)
        if runs == stop_after:
            pipeline.stop()

    shared = Shared(infer, batch, wait_s=0.002)
    streams = [stream_of(plan, f"s{i}", shared) for i, plan in enumerate(plans)]
    pipeline = Pipeline.of(streams)
    if stop_after == 0:
        pipeline.stop()
    try:
        summary = pipeline.run()
    except StageError:
        told = pipeline.progress()
    else:
        told = summary.streams
        assert summary.frames_captured == summary.frames_processed + summary.frames_dropped
        assert summary.frames_captured == sum(stream.frames_captured for stream in told)
        if summary.ended != "stopped":
            for plan, stream in zip(plans, told, strict=True):
                assert plan.policy == "newest" or stream.frames_dropped == 0
    for stream, figures in zip(streams, told, strict=True):
        check(stream, figures)
    assert not our_threads()


def test_a_slow_model_sees_fresh_frames_of_a_camera_and_old_ones_of_a_file() -> None:
    """1000 frames a second, a model that takes 20 ms: what it gets was captured just before."""
    behind: dict[str, list[int]] = {"newest": [], "all": []}
    for policy in ("newest", "all"):
        source = Frames(200, lambda index: time.sleep(0.001))

        def look(packets: list[Packet], source: Frames = source, policy: str = policy) -> None:
            behind[policy].append(source.given - 1 - packets[0].frame.index)
            time.sleep(0.02 if policy == "newest" else 0.002)

        stages = [sleeping(0, "prepare"), Shared(look)]  # type: ignore[arg-type]
        Pipeline(source, stages, [Record()], policy=policy).run()  # type: ignore[arg-type]
    assert max(behind["newest"][:-1]) <= 12  # at this rate 20 frames come during one inference
    assert len(behind["all"]) == 200


def test_the_age_of_a_frame_is_from_capture_until_the_sinks_have_it() -> None:
    stages = [sleeping(0.004, "a"), Shared(lambda packets: time.sleep(0.004))]
    summary = Pipeline(Frames(10, live=True), stages, [Record()]).run()
    assert 8 <= summary.age.median_ms <= summary.age.p95_ms <= summary.age.max_ms
    assert summary.streams[0].age == summary.age


def test_a_clock_that_is_set_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    def wall_clock() -> float:
        raise AssertionError("a pipeline has no use for the wall clock")

    monkeypatch.setattr(time, "time", wall_clock)
    monkeypatch.setattr(time, "time_ns", wall_clock)
    summary = Pipeline(Frames(20), [Shared()], [Record()]).run()
    assert summary.frames_processed == 20


def test_a_frame_from_the_future_has_no_age() -> None:
    """A camera's driver may stamp with another clock."""

    class Ahead(Frames):
        def __iter__(self):  # type: ignore[no-untyped-def]
            from dataclasses import replace  # noqa: PLC0415

            for frame in super().__iter__():
                yield replace(frame, captured_ns=frame.captured_ns + 10**12)

    assert Pipeline(Ahead(3), [], []).run().age.max_ms == 0


def test_what_a_source_dropped_itself_is_in_the_books() -> None:
    class Watched(Frames):
        def stats(self) -> SourceStats:
            return SourceStats("streaming", captured=self.given + 7, dropped_at_source=7)

    summary = Pipeline(Watched(5), [], []).run()
    assert (summary.frames_captured, summary.frames_processed, summary.frames_dropped) == (12, 5, 7)
    state = summary.streams[0].state
    assert state is not None
    assert state.state == "streaming"


def test_the_busiest_thread_is_the_bottleneck() -> None:
    shared = Shared(lambda packets: time.sleep(0.01))
    stages = [sleeping(0.001, "resize"), shared, sleeping(0.001, "count")]
    summary = Pipeline(Frames(30), stages, [Record()]).run()
    names = [(thread.name, thread.stages) for thread in summary.threads]
    assert names == [
        ("source", ("source",)),
        ("prepare", ("resize",)),
        ("inference", ("inference",)),
        ("results", ("count", "record")),
    ]
    assert summary.bottleneck is not None
    assert summary.bottleneck.name == "inference"
    assert all(0 <= thread.busy <= 1 for thread in summary.threads)


def test_waiting_for_a_camera_is_no_bottleneck() -> None:
    source = Frames(10, lambda index: time.sleep(0.01), live=True)
    summary = Pipeline(source, [sleeping(0.001, "count")]).run()
    assert [thread.name for thread in summary.threads] == ["results"]


def test_the_figures_can_be_read_while_it_runs() -> None:
    seen: list[StreamSummary] = []

    def look(packet: Packet) -> Packet:
        if packet.frame.index == 5:
            seen.extend(pipeline.progress())
        return packet

    pipeline = Pipeline(Frames(10), [Step("look", look)])
    assert pipeline.progress()[0].frames_captured == 0
    pipeline.run()
    assert (seen[0].frames_processed, seen[0].ended) == (5, None)
    assert seen[0].frames_captured >= 6


def test_durations_put_together_are_as_if_counted_in_one() -> None:
    parts, whole = [Durations(), Durations(), Durations()], Durations()
    for i, value in enumerate((3_000, 70_000, 1_000, 9_000_000, 5)):
        parts[i % 2].add(value)
        whole.add(value)
    merged = Durations.merged(parts)
    assert merged.__dict__ == whole.__dict__


def test_fifty_thousand_frames_leave_memory_as_it_was() -> None:
    """Python's objects once the run is warm and 40,000 frames later: not one of them by the frame.

    The process's own size says nothing here, beside thousands of other tests.
    """
    blocks: dict[int, int] = {}

    class Measure(Record):
        def accept(self, packet: Packet) -> None:
            if packet.frame.index in (10_000, 49_999):
                blocks[packet.frame.index] = sys.getallocatedblocks()

    shared = Shared()
    shared.batches = Forgets()
    stages = [sleeping_not("prepare"), shared, sleeping_not("track")]
    summary = Pipeline(Frames(50_000), stages, [Measure()]).run()
    assert summary.frames_processed == 50_000
    assert blocks[49_999] - blocks[10_000] < 4_000


def test_python_keeps_nothing_of_a_frame() -> None:
    def kept(frames: int) -> int:
        shared = Shared()
        shared.batches = Forgets()
        tracemalloc.start()
        Pipeline(Frames(frames), [sleeping_not("prepare"), shared], [Quiet()]).run()
        left, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return left

    kept(50)
    assert kept(4000) < kept(400) + 20_000


class Quiet(Record):
    def accept(self, packet: Packet) -> None:
        pass


class Forgets(list[list[tuple[str, int]]]):
    def append(self, item: object) -> None:
        pass


def sleeping_not(name: str) -> Step:
    return Step(name, lambda packet: packet)
