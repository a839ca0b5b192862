"""What a sink may know of the run that it is part of."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from edgesdk.pipeline.packet import Event
from edgesdk.pipeline.protocols import Source
from edgesdk.pipeline.sinks import Draw


def new_run_id() -> str:
    """A name for one run that no other has: its start in UTC and six random hex digits."""
    return f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


@dataclass(frozen=True)
class StreamFacts:
    """One source of the run."""

    name: str
    """As in `Frame.source` of its frames; also where the frames state another one."""
    size: tuple[int, int]
    """Width and height in pixels; zeros for a camera whose first picture is still to come."""
    fps: float
    """Frames per second of media time; 0 as long."""
    source: Source | None = None
    """The source itself, for its state when it is `Watched`. None: unknown, as in tests."""

    def fps_now(self) -> float:
        """The rate, to be asked for once a frame is there."""
        return self.fps if self.fps or self.source is None else self.source.fps


@dataclass(frozen=True)
class ModelFacts:
    """What the events of a run come from."""

    digest: str = ""
    """Of the bundle, or of the float model."""
    what: str = ""
    """For people: a bundle or a float model, and its precision."""
    backend: str = ""
    """Its name and version."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The app's, as they were set for the run."""
    finder_digest: str = ""
    """Of the detector's bundle that found what the model judged; empty: there was none."""
    finder: str = ""
    """The same for people, as `what`."""


@dataclass(frozen=True)
class SinkFacts:
    """What sinks are made from, the same for all of a run."""

    app: str
    """The app's name."""
    event: type[Event]
    """The kind of event it tells; its fields are the columns."""
    draw: Draw
    """Makes the annotated picture of a packet."""
    streams: tuple[StreamFacts, ...]
    """At least one."""
    labels: Sequence[str] = ()
    """Class names in the order of the class index."""
    columns: Sequence[str] = ()
    """Columns of the table of counts, also those that stay 0."""
    model: Callable[[], ModelFacts] = ModelFacts
    """Asked by those sinks that keep it, since it may take a while; empty where it is not known, as
    in tests."""
    trigger: Callable[[], Mapping[str, float]] | None = None
    """Figures by name of what fires for each part, for any thread; None: nothing does."""
    others: tuple[type[Event], ...] = ()
    """Further kinds of event; a table or file of its own for each."""
    run_id: str = field(default_factory=new_run_id)
    """Part of every event's id."""

    @property
    def fps(self) -> float:
        """Of the first stream."""
        return self.streams[0].fps
