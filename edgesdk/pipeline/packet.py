"""What travels through a pipeline: one frame and all that was found in it."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

import numpy as np

from edgesdk.detections import Detections
from edgesdk.frames import Frame
from edgesdk.geometry import Placement
from edgesdk.tensors import Array
from edgesdk.vision.classification import Classification
from edgesdk.vision.parts import Part


@dataclass(frozen=True)
class Event:
    """Something an app has to tell. Derive from it: each field is a column of the events file.

    Fields added are numbers, texts or booleans; NaN where there is no number.
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

    @property
    def worth_a_line(self) -> bool:
        """Shown among the last events; False: only counted, as what is usual and frequent."""
        return True


def field_value(event: Event, name: str) -> object:
    """A field as files, tables and messages carry it.

    NaN and infinity are None there, since neither JSON nor SQL knows them; NumPy's numbers are
    Python's.
    """
    value: object = getattr(event, name)
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


@dataclass(frozen=True, eq=False)
class Packet:
    """One frame on its way. Stages do not change it: they return a new one."""

    frame: Frame
    detections: Detections = field(default_factory=Detections.empty)
    parts: tuple[Part, ...] = ()
    """On an inspection line: the parts that are due in this frame, most often none; after the stage
    "inspection" with what the model says of each of their pictures."""
    unseen_ns: tuple[int, int] | None = None
    """Likewise: parts may have been due from the one to the other moment of the monotonic clock
    that nobody knows of, since no frame shows them or their trigger could not be read; most often
    None."""
    classification: Classification | None = None
    """What a classifier says of the whole picture, after the stage "classification"."""
    events: tuple[Event, ...] = ()
    tensors: Mapping[str, Array] = field(default_factory=dict)
    """The model's inputs, then its outputs; empty again after decoding."""
    placement: Placement | None = None
    """Where the picture lies in the model's input; None before preprocessing."""
    timings_ns: Mapping[str, int] = field(default_factory=dict)
    """Nanoseconds that each stage so far took, by its name; the pipeline fills it in."""


def wall_time(packet: Packet) -> str:
    """When the frame was captured, by the wall clock as it is now; a frame carries none itself.

    ISO 8601 in UTC with milliseconds and a Z.
    """
    age_ns = time.monotonic_ns() - packet.frame.captured_ns
    moment = datetime.now(timezone.utc) - timedelta(microseconds=age_ns // 1000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
