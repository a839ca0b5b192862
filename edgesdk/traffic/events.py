"""The kinds of event; each field is a column of its file or table."""

from __future__ import annotations

from dataclasses import dataclass

from edgesdk.pipeline import Event
from edgesdk.vision.line import Line


@dataclass(frozen=True)
class Crossing(Event):
    """Something went over a line; `frame` and `time_ms` are those in which its path met it."""

    label: str
    """The user's class."""
    direction: str
    """As the line's settings name it."""
    track_id: int
    """Identity within this run."""
    x_px: float
    """Where its path met the line."""
    y_px: float
    line: str
    """The line's name."""
    speed_kmh: float
    """NaN (null, or empty in CSV) where no ground is given or it was in view too shortly."""
    speed_error_kmh: float
    """Twice the standard error of the fit; NaN likewise."""

    @property
    def counted_as(self) -> tuple[str, str]:
        """By class, line and direction."""
        return self.label, column(self.line, self.direction)


@dataclass(frozen=True)
class Visit(Event):
    """Something came into a zone or left it; who is lost inside leaves as it was seen last."""

    label: str
    change: str
    """"enter" or "leave"."""
    zone: str
    """The zone's name."""
    track_id: int
    seconds: float
    """How long it was inside; 0 for who enters."""
    occupancy: int
    """How many are inside after it."""

    @property
    def counted_as(self) -> tuple[str, str]:
        """By class and zone."""
        return self.label, column(self.zone, self.change)


@dataclass(frozen=True)
class Count(Event):
    """So many of one class went over one line in one direction within one interval, or none."""

    start: str
    """UTC for a camera, such as 2026-11-26T06:45:00Z; time since its first frame for a file."""
    end: str
    watched_s: float
    """Seconds of the interval of which there were frames: less in the first and the last one."""
    line: str
    label: str
    direction: str
    count: int

    @property
    def counted_as(self) -> None:
        """In no table: each crossing is there already."""


def column(place: str, what: str) -> str:
    """Of the table of counts: the direction, after the line's name where it was given one."""
    return what if place == Line.name else f"{place} {what}"
