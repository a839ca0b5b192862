"""The one thing that inspection tells the world."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgesdk.pipeline import Event

Outcome = Literal["pass", "reject"]

Reason = Literal["score", "late", "unseen", "untriggered", "error"]
"""Why an outcome is what it is: the model's score; or, whatever the score was, the fail-safe
because the verdict came after its deadline, because the trigger fired and no part was seen, because
a part was seen and no trigger told of it, or because a step failed for this part."""


@dataclass(frozen=True)
class Verdict(Event):
    """One part was judged. `frame` and `time_ms` are those of the picture that counted."""

    part: int
    """0-based number of the part within the run."""
    outcome: Outcome
    reason: Reason
    score: float
    """The model's, the higher the worse; NaN when there is none."""
    threshold: float
    """A score from here on is a reject."""
    triggered_ns: int
    """Monotonic clock (time.monotonic_ns) when the part was due to be judged: its trigger, or the
    capture of the frame in which it passed the line."""
    latency_ms: float
    """From `triggered_ns` to the verdict."""
    late: bool
    """`latency_ms` was over the deadline."""
    left_px: float
    """Where the part is in that picture."""
    top_px: float
    right_px: float
    bottom_px: float

    @property
    def counted_as(self) -> tuple[str, str]:
        """By outcome; what the fail-safe decided stands in a row of its own."""
        return self.reason, self.outcome

    @property
    def worth_a_line(self) -> bool:
        """Rejects: at twenty parts a second, those that pass would push them off at once."""
        return self.outcome == "reject"
