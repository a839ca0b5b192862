"""What a run was, in a few figures whose size does not depend on its length."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from edgesdk.pipeline.packet import Packet
from edgesdk.pipeline.times import Durations

Ended = Literal["source ended", "frame limit", "stopped"]


@dataclass(frozen=True)
class StageTiming:
    """How long one stage took."""

    name: str
    median_ms: float
    """Right to 1 %, as is p95."""
    p95_ms: float
    max_ms: float
    """Exact."""


@dataclass(frozen=True)
class RunSummary:
    """Figures of one run of a pipeline."""

    source: str
    ended: Ended
    """Why it is over; an error is raised instead."""
    frames_read: int
    frames_processed: int
    frames_dropped: int
    """Frames that were read but not processed, because a newer one was there (policy "newest")
    or because the run was stopped."""
    seconds: float
    """From the start of the source to the last frame, by the monotonic clock."""
    fps: float
    """Frames processed in a second of that."""
    stages: tuple[StageTiming, ...]
    """In the order of the work, sinks after stages; the last is "total", their sum by frame."""
    counts: dict[str, dict[str, int]]
    """Events by row and column, e.g. counts["car"]["down"]."""


class Tally:
    """Adds up a run, one packet at a time."""

    def __init__(self) -> None:
        self.frames = 0
        self._stages: dict[str, Durations] = {}
        self._events: Counter[tuple[str, str]] = Counter()

    def add(self, packet: Packet, timings_ns: Mapping[str, int]) -> None:
        """Take in one finished packet and what each stage and sink took for it."""
        self.frames += 1
        for name, duration in (*timings_ns.items(), ("total", sum(timings_ns.values()))):
            self._stages.setdefault(name, Durations()).add(duration)
        self._events.update(event.counted_as for event in packet.events)

    def stages(self) -> tuple[StageTiming, ...]:
        """The timing of each stage."""
        return tuple(
            StageTiming(
                name,
                round(d.quantile_ms(0.5), 4),
                round(d.quantile_ms(0.95), 4),
                round(d.max_ns / 1e6, 4),
            )
            for name, d in self._stages.items()
        )

    def counts(self) -> dict[str, dict[str, int]]:
        """Events by row and column, both sorted."""
        table: dict[str, dict[str, int]] = {}
        for (row, column), count in sorted(self._events.items()):
            table.setdefault(row, {})[column] = count
        return table
