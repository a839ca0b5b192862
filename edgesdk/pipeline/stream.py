"""One stream of a run: what it is made of, and its books while it runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from edgesdk.pipeline.errors import StageError
from edgesdk.pipeline.packet import Packet
from edgesdk.pipeline.protocols import (
    BatchStage,
    Remembers,
    Sink,
    Source,
    SourceStats,
    Stage,
    Watched,
)
from edgesdk.pipeline.summary import Ended, EventCounts, FrameAge, Policy, StreamSummary, figures
from edgesdk.pipeline.times import Durations


@dataclass(frozen=True)
class Stream:
    """A source with what is done to its frames."""

    source: Source
    stages: Sequence[Stage]
    """In their order. A BatchStage that several streams have is run once for all of them; the
    other stages, such as a tracker, are each stream's own."""
    sinks: Sequence[Sink] = ()
    """A sink may be in several streams; it is closed once."""
    policy: Policy | None = None
    """None: "newest" for a live source, "all" for any other."""
    name: str = ""
    """For messages, reports and events, different in each stream; empty: the source's."""

    @property
    def title(self) -> str:
        """Its name, or the source's."""
        return self.name or self.source.name

    @property
    def chosen_policy(self) -> Policy:
        """The policy, chosen by the source where it is not said."""
        return self.policy or ("newest" if self.source.live else "all")


@dataclass(frozen=True)
class Split:
    """A stream's stages by the thread that runs them."""

    before: tuple[Stage, ...]
    """Ahead of inference; empty as well where there is none."""
    shared: BatchStage | None
    """Inference."""
    joined: tuple[Stage, ...]
    """After it, in its thread."""
    after: tuple[Stage, ...]

    @classmethod
    def of(cls, stages: Sequence[Stage]) -> Split:
        """Cut at the first BatchStage; without one, all is `after`."""
        for i, stage in enumerate(stages):
            if isinstance(stage, BatchStage):
                cut = i + 1 + stage.joined
                return cls(
                    tuple(stages[:i]), stage, tuple(stages[i + 1 : cut]), tuple(stages[cut:])
                )
        return cls((), None, (), tuple(stages))


class Lane:
    """A stream while it runs: every captured frame ends as processed or as dropped."""

    def __init__(self, index: int, stream: Stream, several: bool) -> None:
        """`several`: there are others, so events and errors name the stream."""
        self.index = index
        self.stream = stream
        self.policy = stream.chosen_policy
        self.split = Split.of(stream.stages)
        self.label = stream.title if several else ""
        self.ended: Ended | None = None
        self.failure: StageError | None = None
        self._lock = threading.Lock()
        self._captured = 0
        self._processed = 0
        self._dropped = 0
        self._sealed = False
        self._age = Durations()
        self._events = EventCounts()

    @property
    def remembers(self) -> bool:
        """What its stages ahead of inference have seen may not be dropped."""
        return any(isinstance(stage, Remembers) for stage in self.split.before)

    @property
    def live(self) -> bool:
        """Its source gives frames when it has them, not when they are asked for."""
        return self.stream.source.live

    @property
    def processed(self) -> int:
        """Frames that every sink has."""
        return self._processed

    @property
    def age(self) -> Durations:
        """Of the processed frames."""
        return self._age

    def capture(self) -> None:
        """A frame came out of the source."""
        with self._lock:
            self._captured += not self._sealed

    def drop(self) -> None:
        """A captured frame will not be processed."""
        with self._lock:
            self._dropped += not self._sealed

    def finish(self, packet: Packet) -> int:
        """Every sink has the packet. Returns its age in ns."""
        age_ns = max(time.monotonic_ns() - packet.frame.captured_ns, 0)
        with self._lock:
            if not self._sealed:
                self._processed += 1
                self._age.add(age_ns)
                self._events.add(packet.events)
        return age_ns

    def tell(self, packet: Packet) -> None:
        """Events without a frame of their own went to the sinks."""
        with self._lock:
            if not self._sealed:
                self._events.add(packet.events)

    def seal(self) -> None:
        """The run is over: what a thread that was left behind still holds counts as dropped."""
        with self._lock:
            self._sealed = True
            self.ended = self.ended or "stopped"
            self._dropped = self._captured - self._processed

    def summary(self, seconds: float) -> StreamSummary:
        """The figures, also while it runs."""
        source = self.stream.source
        stats = source.stats() if isinstance(source, Watched) else None
        with self._lock:
            return self._figures(seconds, stats)

    def _figures(self, seconds: float, stats: SourceStats | None) -> StreamSummary:
        within = stats.dropped_at_source if stats else 0
        return StreamSummary(
            name=self.stream.title,
            source=self.stream.source.name,
            policy=self.policy,
            ended=self.ended,
            frames_captured=self._captured + within,
            frames_processed=self._processed,
            frames_dropped=self._dropped + within,
            fps=round(self._processed / seconds, 3) if seconds > 0 else 0.0,
            age=FrameAge(*figures(self._age)),
            counts=self._events.table(),
            state=stats,
            error=self.failure.message if self.failure else "",
        )


@dataclass
class Parcel:
    """A packet on its way, and what it took so far."""

    lane: Lane
    packet: Packet
    timings_ns: dict[str, int] = field(default_factory=dict)
    """The very mapping that stages see in the packet."""

    def take_back(self, packet: Packet) -> None:
        """What a stage made of it; one that made a packet of its own has lost the times."""
        if packet.timings_ns is not self.timings_ns:
            packet = replace(packet, timings_ns=self.timings_ns)
        self.packet = packet
