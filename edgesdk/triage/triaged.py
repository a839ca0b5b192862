"""What is told of one picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgesdk.pipeline import Event

Status = Literal["sure", "uncertain", "unread"]


@dataclass(frozen=True)
class Triaged(Event):
    """One picture was classified and has its place among the others."""

    picture: str
    """Its name in the source."""
    status: Status
    """"unread": the picture, or what the model said of it, could not be read."""
    label: str
    """The likeliest class; empty where it is unread."""
    confidence: float
    """Its calibrated probability, 0..1; NaN where it is unread."""
    urgent_for: str
    """The most urgent class that is not ruled out: it decides the place; empty where unread."""
    likelihood: float
    """The calibrated probability of that class; NaN where it is unread."""
    reason: str = ""
    """Why it is unread."""

    @property
    def counted_as(self) -> tuple[str, str]:
        """By label and status."""
        return self.label or "?", self.status


def unread(picture: str, reason: str, frame: int = -1, time_ms: float = 0.0) -> Triaged:
    """A picture that nobody could judge. `frame` is -1 where it never became one."""
    nan = float("nan")
    return Triaged(frame, time_ms, picture, "unread", "", nan, "", nan, reason)
