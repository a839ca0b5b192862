"""The path of one object as a line sees it: how far along, how far beside."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

from edgesdk.vision.line import Point


@dataclass(frozen=True)
class Sighting:
    """One box."""

    along: float
    """Of its centre, in pixels along the line from its start."""
    beside: float
    """Pixels from the line, to the right of it."""
    size: float
    """sqrt(w * h) in pixels."""
    frame: int

    @property
    def side(self) -> int:
        """-1 left, 1 right; on the line itself is right."""
        return -1 if self.beside < 0 else 1


@dataclass
class Trail:
    """What is remembered of one object."""

    last: Sighting
    side: int
    """-1 left, 1 right: where it was last for sure, at first where it was first seen."""
    velocity: Point | None = None
    """Along and beside the line, smoothed, pixels for each frame; None after one sighting."""
    doubtful: bool = False
    """It got a new identity that lies on the other side than it should."""
    met: float = math.nan
    """Where its path last met the line, in pixels along it."""
    met_frame: int = -1
    votes: Counter[int] = field(default_factory=Counter)
    """Sightings by class."""

    def move(self, seen: Sighting) -> None:
        """Take in where it is now; frames grow."""
        last, self.last = self.last, seen
        if last.side != seen.side:
            share = last.beside / (last.beside - seen.beside)
            self.met = last.along + share * (seen.along - last.along)
            self.met_frame = seen.frame
        gap = seen.frame - last.frame
        step = ((seen.along - last.along) / gap, (seen.beside - last.beside) / gap)
        before = self.velocity or step
        self.velocity = ((before[0] + step[0]) / 2, (before[1] + step[1]) / 2)

    def expected(self, frame: int) -> Sighting:
        """Where it would be in a later frame if it went on as it did."""
        gap = frame - self.last.frame
        along, beside = self.velocity or (0.0, 0.0)
        return Sighting(
            self.last.along + along * gap, self.last.beside + beside * gap, self.last.size, frame
        )
