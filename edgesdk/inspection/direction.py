"""Tells when parts seem to go another way than they were said to, which is a setting to mend."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Sequence
from statistics import median

from edgesdk.inspection.following import Seen
from edgesdk.inspection.settings import Moves

VOTES = 40
"""Frames in which something moved, before anything is said."""
SURE = 0.9
"""Share of them that has to agree."""
STILL_PX = 2.0
"""What moves less between two frames stands still, or trembles."""
OPPOSITE: dict[Moves, Moves] = {"right": "left", "left": "right", "down": "up", "up": "down"}

_log = logging.getLogger(__name__)


class DirectionWatch:
    """Looks at the nearest place of each part in the frame before, until it is sure.

    That is where it was, unless it moves by more than half the distance to the next part.
    """

    def __init__(self, moves: Moves) -> None:
        self._moves = moves
        self._before: list[tuple[float, float]] = []
        self._votes: Counter[Moves] = Counter()
        self._over = False

    def look(self, seen: Sequence[Seen]) -> None:
        """At the parts of one frame."""
        if self._over:
            return
        now = [(each.along_px, each.across_px) for each in seen]
        steps = [_step(place, self._before) for place in now] if self._before else []
        self._before = now
        if steps:
            along, across = (median(values) for values in zip(*steps, strict=True))
            if math.hypot(along, across) >= STILL_PX:
                self._votes[self._named(along, across)] += 1
        if self._votes.total() >= VOTES:
            self._over = True
            ((most, count),) = self._votes.most_common(1)
            if most != self._moves and count >= SURE * self._votes.total():
                self._tell(most)

    def _named(self, along: float, across: float) -> Moves:
        """The way of a step, by the picture's axes."""
        if abs(along) >= abs(across):
            return self._moves if along > 0 else OPPOSITE[self._moves]
        if self._moves in ("right", "left"):
            return "down" if across > 0 else "up"
        return "right" if across > 0 else "left"

    def _tell(self, found: Moves) -> None:
        _log.warning(
            "parts seem to go %s, and parts.moves says %s: if they do, run with"
            " --set parts.moves=%s, for counts and verdicts mean nothing so; if they do not, they"
            " go more than half the way to the next part between two frames: the camera needs a"
            " higher rate",
            *(found, self._moves, found),
        )


def _step(place: tuple[float, float], before: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """From the nearest of the places before."""
    x, y = min(before, key=lambda old: math.dist(old, place))
    return place[0] - x, place[1] - y
