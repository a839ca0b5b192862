"""What a run was, in a few figures whose size does not depend on its length."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from edgesdk.pipeline.packet import Event
from edgesdk.pipeline.protocols import SourceStats
from edgesdk.pipeline.times import Durations

Policy = Literal["newest", "all"]
Ended = Literal["source ended", "frame limit", "stopped", "failed"]


@dataclass(frozen=True)
class StageTiming:
    """How long one stage took."""

    name: str
    median_ms: float
    """Right to 1 %, as is p95. Of a stage that took several frames at once: of all of them."""
    p95_ms: float
    max_ms: float
    """Exact."""


@dataclass(frozen=True)
class FrameAge:
    """Time from capture until every sink has the frame, by the monotonic clock."""

    median_ms: float = 0.0
    """Right to 1 %, as is p95; 0 when no frame was processed."""
    p95_ms: float = 0.0
    max_ms: float = 0.0
    """Exact."""


@dataclass(frozen=True)
class ThreadLoad:
    """How busy one thread of the pipeline was."""

    name: str
    busy: float
    """Share of the run (0..1) that it did not wait for another thread."""
    stages: tuple[str, ...]
    """What it does."""


@dataclass(frozen=True)
class StreamSummary:
    """Figures of one stream: of a run that is over, or so far."""

    name: str
    source: str
    policy: Policy
    ended: Ended | None
    """Why it is over; None: it is not."""
    frames_captured: int
    """By the source: always frames_processed + frames_dropped once the run is over."""
    frames_processed: int
    frames_dropped: int
    """Captured but not processed: a newer one was there (policy "newest"), here or within the
    source, or the run was stopped or failed."""
    fps: float
    """Frames processed in a second of the run."""
    age: FrameAge
    counts: dict[str, dict[str, int]]
    """Events by row and column, e.g. counts["car"]["down"]."""
    state: SourceStats | None = None
    """What the source says of itself; None: it says nothing."""
    error: str = ""
    """Why the source failed; empty: it did not."""


@dataclass(frozen=True)
class RunSummary:
    """Figures of one run of a pipeline; of several streams, the sums."""

    source: str
    """Of several streams: their names."""
    ended: Ended
    """Why it is over; an error is raised instead, unless only some of the streams failed."""
    frames_captured: int
    frames_processed: int
    frames_dropped: int
    """Captured but not processed: captured = processed + dropped."""
    seconds: float
    """From the start of the sources to the last frame, by the monotonic clock."""
    fps: float
    """Frames processed in a second of that."""
    stages: tuple[StageTiming, ...]
    """In the order of the work, sinks after stages; the last is "total", their sum by frame."""
    counts: dict[str, dict[str, int]]
    """Events by row and column, e.g. counts["car"]["down"]."""
    age: FrameAge = FrameAge()
    streams: tuple[StreamSummary, ...] = ()
    threads: tuple[ThreadLoad, ...] = ()
    """In the order of the work, without those that read live sources: to wait for a camera and to
    work on its frame cannot be told apart there."""

    @property
    def bottleneck(self) -> ThreadLoad | None:
        """The thread that waited least for the others; None when there was no frame."""
        return max(self.threads, key=lambda thread: thread.busy, default=None)


class Times:
    """How long each stage took, one packet at a time."""

    def __init__(self) -> None:
        self._stages: dict[str, Durations] = {}

    def add(self, timings_ns: Mapping[str, int]) -> None:
        """Take in what each stage and sink took for one packet."""
        stages = self._stages
        for name, duration in (*timings_ns.items(), ("total", sum(timings_ns.values()))):
            if name not in stages:
                stages[name] = Durations()
            stages[name].add(duration)

    def stages(self) -> tuple[StageTiming, ...]:
        """The timing of each stage, their total last."""
        names = [name for name in self._stages if name != "total"]
        names += ["total"] if self._stages else []
        return tuple(StageTiming(name, *figures(self._stages[name])) for name in names)


def figures(durations: Durations) -> tuple[float, float, float]:
    """Median, 95th percentile and maximum in ms."""
    return (
        round(durations.quantile_ms(0.5), 4),
        round(durations.quantile_ms(0.95), 4),
        round(durations.max_ns / 1e6, 4),
    )


class EventCounts:
    """Events by row and column."""

    def __init__(self) -> None:
        self._events: Counter[tuple[str, str]] = Counter()

    def add(self, events: Iterable[Event]) -> None:
        """Count the events of one packet."""
        places = (event.counted_as for event in events)
        self._events.update(place for place in places if place is not None)

    def table(self) -> dict[str, dict[str, int]]:
        """Events by row and column, both sorted."""
        return count_table(dict(self._events))


def count_table(counts: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    """Counts by row and column, both sorted."""
    table: dict[str, dict[str, int]] = {}
    for (row, column), count in sorted(counts.items()):
        table.setdefault(row, {})[column] = count
    return table


def summed(tables: Iterable[dict[str, dict[str, int]]]) -> dict[str, dict[str, int]]:
    """Tables of counts added up."""
    total: Counter[tuple[str, str]] = Counter()
    for table in tables:
        for row, columns in table.items():
            total.update({(row, column): count for column, count in columns.items()})
    return count_table(total)
