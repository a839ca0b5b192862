"""A pipeline loses nothing, or drops and says so; it names what failed, and it stops in time."""

from __future__ import annotations

import threading
import time
import tracemalloc
from dataclasses import dataclass, replace

import pytest

from edgesdk.errors import ConfigError, DataError, EdgeError, UsageError
from edgesdk.pipeline import Collect, Event, Packet, Pipeline, StageError, Step
from tests.made_up import Frames, Record, broken, our_threads, sleeping, within


@dataclass(frozen=True)
class Seen(Event):
    color: str

    @property
    def counted_as(self) -> tuple[str, str]:
        return self.color, "seen"


def emit(packet: Packet) -> Packet:
    color = "red" if packet.frame.index % 3 == 0 else "blue"
    return replace(packet, events=(Seen(packet.frame.index, 0.0, color),))


def source_threads() -> list[str]:
    return [name for name in our_threads() if name == "edgesdk-source"]


def test_every_frame_passes_every_stage_in_order() -> None:
    trace: list[str] = []

    def note(name: str) -> Step:
        def work(packet: Packet) -> Packet:
            trace.append(f"{name}{packet.frame.index}")
            return packet

        return Step(name, work)

    record = Record()
    summary = Pipeline(Frames(3), [note("a"), note("b")], [record]).run()
    assert trace == ["a0", "b0", "a1", "b1", "a2", "b2"]
    assert record.seen == [0, 1, 2]
    assert (summary.frames_captured, summary.frames_processed, summary.frames_dropped) == (3, 3, 0)
    assert summary.ended == "source ended"


def test_a_slow_consumer_of_a_file_misses_nothing() -> None:
    record = Record()
    summary = Pipeline(Frames(40), [sleeping(0.002)], [record]).run()
    assert record.seen == list(range(40))
    assert summary.frames_dropped == 0


def test_a_file_is_not_read_far_ahead_of_the_work() -> None:
    source = Frames(100)
    ahead: list[int] = []

    def look(packet: Packet) -> Packet:
        time.sleep(0.001)
        ahead.append(source.given - packet.frame.index)
        return packet

    Pipeline(source, [Step("look", look)]).run()
    assert max(ahead) <= 7  # in work, four waiting, one in the source's hand, one just taken


def test_a_slow_consumer_of_a_camera_gets_the_newest_frames_and_the_rest_are_counted() -> None:
    """The camera gives 60 frames while the first is worked on; then only the last is left."""
    at_work, given_all = threading.Event(), threading.Event()

    def before(index: int) -> None:
        if index == 1:
            at_work.wait(5)

    def work(packet: Packet) -> Packet:
        if packet.frame.index == 0:
            at_work.set()
            given_all.wait(5)
        return packet

    class Camera(Frames):
        def close(self) -> None:
            given_all.set()

    record = Record()
    summary = Pipeline(Camera(60, before, live=True), [Step("work", work)], [record]).run()
    assert record.seen == [0, 59]
    assert (summary.frames_captured, summary.frames_processed, summary.frames_dropped) == (
        60,
        2,
        58,
    )


def test_the_policy_can_be_chosen_against_the_source() -> None:
    record = Record()
    Pipeline(Frames(30, live=True), [sleeping(0.001)], [record], policy="all").run()
    assert record.seen == list(range(30))


def test_a_frame_limit_reads_no_frame_more() -> None:
    source, record = Frames(100), Record()
    summary = Pipeline(source, [], [record]).run(max_frames=7)
    assert (source.given, record.seen) == (7, list(range(7)))
    assert summary.ended == "frame limit"


def test_events_are_counted_by_row_and_column() -> None:
    collect = Collect()
    summary = Pipeline(Frames(10), [Step("emit", emit)], [collect]).run()
    assert summary.counts == {"blue": {"seen": 6}, "red": {"seen": 4}}
    assert [event.frame for event in collect.events] == list(range(10))


def test_each_stage_and_sink_is_timed() -> None:
    summary = Pipeline(Frames(20), [sleeping(0.004), Step("emit", emit)], [Record()]).run()
    times = {stage.name: stage for stage in summary.stages}
    assert list(times) == ["slow", "emit", "record", "total"]
    assert times["slow"].median_ms >= 0.99 * 4
    assert times["total"].median_ms >= times["slow"].median_ms * 0.98
    assert all(t.median_ms <= t.p95_ms <= t.max_ms for t in summary.stages)


def test_later_stages_can_read_what_earlier_ones_took() -> None:
    seen: list[dict[str, int]] = []

    def look(packet: Packet) -> Packet:
        seen.append(dict(packet.timings_ns))
        return packet

    Pipeline(Frames(1), [sleeping(0.001), Step("look", look)]).run()
    assert list(seen[0]) == ["slow"]
    assert seen[0]["slow"] >= 1_000_000


def test_an_error_in_the_source_comes_after_the_frames_before_it() -> None:
    def before(index: int) -> None:
        if index == 5:
            raise DataError("a.mp4: truncated", "copy it again")

    source, record = Frames(10, before), Record()
    with pytest.raises(StageError, match=r"in 'source': a.mp4: truncated") as caught:
        Pipeline(source, [], [record]).run()
    assert record.seen == [0, 1, 2, 3, 4]
    assert (caught.value.stage, caught.value.hint) == ("source", "copy it again")
    assert isinstance(caught.value.__cause__, DataError)
    assert (record.closed, len(source.closed_in)) == (1, 1)
    assert not source_threads()


def test_an_error_in_a_stage_names_it_and_says_where() -> None:
    source, record = Frames(1000), Record()
    with pytest.raises(EdgeError, match=r"in 'broken': KeyError: 'x' \(made_up.py, line") as e:
        Pipeline(source, [broken(3, KeyError("x"))], [record]).run()
    assert isinstance(e.value.__cause__, KeyError)
    assert (record.seen, record.closed) == ([0, 1, 2], 1)
    assert len(source.closed_in) == 1
    assert not source_threads()


@pytest.mark.parametrize(("returned", "word"), [(None, "None"), ((), "tuple")])
def test_a_stage_that_returns_no_packet_is_named(returned: object, word: str) -> None:
    forgetful = Step("track", lambda packet: returned)  # type: ignore[arg-type, return-value]
    with pytest.raises(StageError, match=f"in 'track': returned {word}; a stage returns") as caught:
        Pipeline(Frames(3), [forgetful]).run()
    assert "return packet" in caught.value.hint


def test_an_error_keeps_its_exit_code() -> None:
    with pytest.raises(StageError) as caught:
        Pipeline(Frames(3), [broken(0, ConfigError("bad"))]).run()
    assert caught.value.exit_code == ConfigError.exit_code == 2


def test_an_error_in_a_sink_names_it_and_closes_the_others() -> None:
    class Full(Record):
        def accept(self, packet: Packet) -> None:
            raise OSError(28, "No space left on device")

    first, full, last = Record("first"), Full("full"), Record("last")
    with pytest.raises(StageError, match="in 'full': OSError"):
        Pipeline(Frames(5), [], [first, full, last]).run()
    assert (first.closed, full.closed, last.closed) == (1, 1, 1)


class Unclosable(Record):
    def close(self) -> None:
        raise DataError("cannot be closed")


def test_an_error_in_closing_a_sink_is_raised_and_the_others_are_closed() -> None:
    first, last = Record("first"), Record("last")
    with pytest.raises(StageError, match="in 'bad': cannot be closed"):
        Pipeline(Frames(5), [], [first, Unclosable("bad"), last]).run()
    assert (first.closed, last.closed) == (1, 1)


def test_the_first_error_is_the_one_that_is_raised(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(StageError, match="in 'broken'"):
        Pipeline(Frames(5), [broken(2, ValueError("first"))], [Unclosable("bad")]).run()
    assert "in 'bad': cannot be closed" in caplog.text


def test_stop_ends_the_run_with_what_was_done() -> None:
    pipeline: Pipeline

    def work(packet: Packet) -> Packet:
        if packet.frame.index == 10:
            pipeline.stop()
        return packet

    record = Record()
    pipeline = Pipeline(Frames(10**9), [Step("work", work)], [record])
    summary = pipeline.run()
    assert summary.ended == "stopped"
    assert (record.seen, record.closed) == (list(range(11)), 1)
    assert not source_threads()


def test_stop_works_while_the_source_is_silent() -> None:
    silent = threading.Event()

    def before(index: int) -> None:
        if index == 3:
            silent.wait(30)

    record = Record()
    pipeline = Pipeline(Frames(10, before, live=True), [], [record])
    threading.Timer(0.2, pipeline.stop).start()
    within(5, pipeline.run)
    silent.set()
    assert record.closed == 1


def test_a_source_that_hangs_is_left_behind_and_named(caplog: pytest.LogCaptureFixture) -> None:
    hanging = threading.Event()
    pipeline = Pipeline(Frames(10, lambda index: hanging.wait(30) and None), [], [])
    pipeline.stop()
    within(5, pipeline.run)
    hanging.set()
    assert "made up did not end within" in caplog.text


def test_an_interrupt_closes_the_sinks_and_passes_on() -> None:
    def work(packet: Packet) -> Packet:
        raise KeyboardInterrupt

    source, record = Frames(1000), Record()
    with pytest.raises(KeyboardInterrupt):
        Pipeline(source, [Step("work", work)], [record]).run()
    assert record.closed == 1
    assert not source_threads()


def test_the_source_is_closed_in_the_thread_that_read_it() -> None:
    source = Frames(3)
    Pipeline(source, []).run()
    assert source.closed_in == ["edgesdk-source"]


def test_two_stages_of_one_name_are_a_misuse() -> None:
    with pytest.raises(UsageError, match="a name of its own"):
        Pipeline(Frames(1), [Step("a", emit), Step("a", emit)])


def test_a_source_without_frames_gives_an_empty_summary() -> None:
    summary = Pipeline(Frames(0), []).run()
    assert (summary.frames_processed, summary.stages, summary.counts) == (0, (), {})


def test_memory_does_not_grow_with_the_number_of_frames() -> None:
    def peak(frames: int) -> int:
        tracemalloc.start()
        Pipeline(Frames(frames), [Step("emit", emit)], [Sink()]).run()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    class Sink(Record):
        def accept(self, packet: Packet) -> None:
            pass

    peak(50)
    assert peak(5000) < peak(500) + 20_000
