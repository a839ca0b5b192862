"""What travels through a pipeline: one frame and all that was found in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgesdk.detections import Detections
from edgesdk.frames import Frame
from edgesdk.geometry import Placement
from edgesdk.tensors import Array


@dataclass(frozen=True)
class Event:
    """Something an app has to tell. Derive from it: each field is a column of the events file.

    Fields added are numbers, texts or booleans.
    """

    frame: int
    """0-based number of the frame within the source."""
    time_ms: float
    """Media time: since the source's first frame."""
    stream: str = field(default="", kw_only=True)
    """Name of the stream in a run of several, filled in by the pipeline; empty in other runs."""

    @property
    def counted_as(self) -> tuple[str, str] | None:
        """Row and column under which the summary counts it, e.g. ("car", "down"); None: in none,
        such as an event that itself tells counts."""
        return type(self).__name__.lower(), "count"


@dataclass(frozen=True, eq=False)
class Packet:
    """One frame on its way. Stages do not change it: they return a new one."""

    frame: Frame
    detections: Detections = field(default_factory=Detections.empty)
    events: tuple[Event, ...] = ()
    tensors: Mapping[str, Array] = field(default_factory=dict)
    """The model's inputs, then its outputs; empty again after decoding."""
    placement: Placement | None = None
    """Where the picture lies in the model's input; None before preprocessing."""
    timings_ns: Mapping[str, int] = field(default_factory=dict)
    """Nanoseconds that each stage so far took, by its name; the pipeline fills it in."""
