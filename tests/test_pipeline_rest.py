"""What a stage still has to tell when its stream is over reaches every sink that is for events."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from edgesdk.frames import Frame
from edgesdk.pipeline import (
    Collect,
    Event,
    Packet,
    Pipeline,
    Step,
    Stream,
    event_files,
)
from edgesdk.sinks import SinkFacts, StreamFacts, open_sink
from tests.made_up import IMAGE, Frames, Record


@dataclass(frozen=True)
class Passed(Event):
    label: str


@dataclass(frozen=True)
class Total(Event):
    """How many passed in all; it tells a count, so it is not counted."""

    count: int
    note: float = float("nan")

    @property
    def counted_as(self) -> None:
        return None


def counting() -> Step:
    """Tells every third frame, and at the end how many it told."""
    told: list[int] = []

    def work(packet: Packet) -> Packet:
        index = packet.frame.index
        if index % 3:
            return packet
        told.append(index)
        return replace(packet, events=(Passed(index, index * 100.0, "car"),))

    def rest(last: Packet) -> Sequence[Event]:
        assert last.frame.image.size == 0  # pixels are not held back
        return [Total(last.frame.index, last.frame.time_ns / 1e6, len(told))]

    return Step("count", work, rest)


def test_it_is_told_after_the_last_frame_and_counted_only_where_it_is_an_event_to_count() -> None:
    collect, record = Collect(), Record()
    summary = Pipeline(Frames(8), [counting()], [collect, record]).run()
    assert collect.events[-1] == Total(7, 700.0, 3, collect.events[-1].note)  # type: ignore[attr-defined]
    assert [type(event) for event in collect.events] == [Passed, Passed, Passed, Total]
    assert record.seen == list(range(8))  # a sink for pictures never sees a frame twice
    assert summary.counts == {"passed": {"count": 3}}
    assert summary.frames_processed == 8


def test_it_is_told_also_when_the_run_is_stopped_or_limited() -> None:
    collect = Collect()
    Pipeline(Frames(100), [counting()], [collect]).run(max_frames=4)
    assert [e.count for e in collect.events if isinstance(e, Total)] == [2]
    collect = Collect()
    stopping: list[Pipeline] = []
    source = Frames(10_000, lambda index: stopping[0].stop() if index == 50 else None)
    stopping.append(Pipeline(source, [counting()], [collect]))
    stopping[0].run()
    passed = [e for e in collect.events if isinstance(e, Passed)]
    assert [e.count for e in collect.events if isinstance(e, Total)] == [len(passed)]


def test_each_stream_tells_its_own_under_its_name() -> None:
    collect = Collect()
    streams = [
        Stream(Frames(n, name=name), [counting()], [collect], name=name)
        for name, n in (("gate", 4), ("yard", 10))
    ]
    Pipeline.of(streams).run()
    totals = {e.stream: e.count for e in collect.events if isinstance(e, Total)}
    assert totals == {"gate": 2, "yard": 4}


def test_a_stream_without_a_frame_has_nothing_to_tell() -> None:
    collect = Collect()
    Pipeline(Frames(0), [counting()], [collect]).run()
    assert collect.events == []


def test_a_mistake_in_it_is_raised_with_the_stages_name() -> None:
    def wrong(last: Packet) -> Sequence[Event]:
        raise ValueError("no such interval")

    pipeline = Pipeline(Frames(3), [Step("count", lambda packet: packet, wrong)], [Record()])
    with pytest.raises(Exception, match=r"count.*no such interval"):
        pipeline.run()


def packet(*events: Event) -> Packet:
    return Packet(Frame(IMAGE, 0, 0, 0, "road"), events=events)


@pytest.mark.parametrize("extension", ["csv", "jsonl", "json"])
def test_each_kind_goes_into_a_file_of_its_own(tmp_path: Path, extension: str) -> None:
    files = event_files(tmp_path / f"road.{extension}", (Passed, Total))
    files.accept(packet(Passed(0, 0.0, "car"), Total(0, 0.0, 1)))
    files.tell(packet(Total(5, 200.0, 2)))
    files.close()
    assert [path.name for path in files.paths] == [f"road.{extension}", f"road-total.{extension}"]
    first, second = (path.read_text() for path in files.paths)
    assert "car" in first
    assert "car" not in second
    assert second.count("200.0") == 1
    if extension == "csv":
        assert second.splitlines() == ["frame,time_ms,count,note", "0,0.0,1,", "5,200.0,2,"]


def test_a_kind_that_happens_never_has_an_empty_file_all_the_same(tmp_path: Path) -> None:
    files = event_files(tmp_path / "road.csv", (Passed, Total))
    files.accept(packet())
    files.close()
    assert (tmp_path / "road-total.csv").read_text() == "frame,time_ms,count,note\n"


def facts() -> SinkFacts:
    streams = (StreamFacts("road", (6, 4), 10.0),)
    return SinkFacts("app", Passed, lambda p: p.frame.image, streams, others=(Total,))


def test_each_kind_is_a_table_of_its_own(tmp_path: Path) -> None:
    sink = open_sink(f"sqlite:{tmp_path}/road.db?table=gate", facts())
    sink.accept(packet(Passed(0, 0.0, "car"), Total(0, 0.0, 1)))
    sink.close()
    with closing(sqlite3.connect(tmp_path / "road.db")) as base:
        assert base.execute("SELECT label FROM gate").fetchall() == [("car",)]
        assert base.execute("SELECT count, note FROM gate_total").fetchall() == [(1, None)]
        (one,), (other,) = (
            base.execute(f"SELECT id FROM {t}").fetchone() for t in ("gate", "gate_total")
        )
    assert one != other
