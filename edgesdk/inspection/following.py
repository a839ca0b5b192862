"""Follows parts on a belt: all move alike, one way, and keep their place across it.

That is more than a tracker of free objects knows. The belt's speed is one number for all parts, so
a part is found again wherever it must have got to, even when it moves further from frame to frame
than to its neighbour; and where the speed is not known yet or has changed at once, it is the
smallest step forwards that explains most of what is seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgesdk.vision.parts import View

Doubles = NDArray[np.float64]

_REACH = 0.35
"""A part may be off the place where it is expected by this share of the largest part's size."""
_AGAIN = 0.5
"""Where fewer of the parts that were followed are found again than this share, the belt's speed
must have changed."""
_FAILS = 2
"""... when that has come so often, one time after another."""
_STILL = 0.2
"""A belt that stands may seem to go back by this share of the largest part's size in a second."""
_TRUST = 0.3
"""Share of what was just measured in the belt's speed."""


@dataclass(frozen=True, eq=False)
class Seen:
    """A part in one frame, in the belt's own directions."""

    along_px: float
    """Of its middle, from where parts come in."""
    across_px: float
    view: View
    trouble: str = ""
    """Why this view cannot be inspected, in a sentence; empty: it can."""


@dataclass(eq=False)
class Track:
    """One part over time."""

    last: Seen
    along_px: float
    """Where it is now: seen, or where it must have got to."""
    seen_px: float
    """Where it was when it was last seen."""
    seen_s: float
    """When that was, in media time."""
    sightings: int = 1
    passed: bool = False
    """It was judged, or is not to be."""
    untold: bool = False
    """It was judged because no trigger fired for it."""
    number: int = -1
    """Of the part, once it was judged."""
    views: list[Seen] = field(default_factory=list)
    """The best, best first."""
    first_px: float = field(init=False)
    """Where it was first seen."""

    def __post_init__(self) -> None:
        self.first_px = self.along_px

    def keep(self, seen: Seen, station_px: float, most: int) -> None:
        """Remember a view if it is one of the best: without trouble, and near the station."""
        self.views.append(seen)
        self.views.sort(key=lambda s: (bool(s.trouble), abs(s.along_px - station_px)))
        del self.views[most:]


class Following:
    """The parts on the belt now. Memory follows the parts in the picture only."""

    def __init__(self, size_px: float, speed_px_s: float | None = None) -> None:
        """`size_px`: of the largest part; `speed_px_s`: of the belt, None: to be measured."""
        self.speed_px_s = speed_px_s
        self.tracks: list[Track] = []
        self._size_px = size_px
        self._time_s = 0.0
        self._failed = 0

    def update(self, found: Sequence[Seen], time_s: float) -> tuple[list[Track], list[Track]]:
        """Take in all that is seen at a time (s, growing): (tracks seen again, tracks that begin).

        A track that was seen once and not again is dropped; others move on unseen.
        """
        step_s = max(time_s - self._time_s, 1e-6)
        self._time_s = time_s
        pairs = self._pairs(found, time_s)
        self._measure(pairs, found, time_s, step_s)
        for track in self.tracks:
            track.along_px += (self.speed_px_s or 0.0) * step_s
        for i, j in pairs:
            track, seen = self.tracks[i], found[j]
            track.last, track.along_px, track.seen_px = seen, seen.along_px, seen.along_px
            track.seen_s, track.sightings = time_s, track.sightings + 1
        again = [self.tracks[i] for i, _ in pairs]
        taken = {j for _, j in pairs}
        fresh = [
            Track(seen, seen.along_px, seen.along_px, time_s)
            for j, seen in enumerate(found)
            if j not in taken
        ]
        known = {id(track) for track in again}
        self.tracks = [t for t in self.tracks if t.sightings > 1 or id(t) in known] + fresh
        return again, fresh

    def forget(self, beyond_px: float) -> list[Track]:
        """Let go of what has left the picture; returns it."""
        left = [track for track in self.tracks if track.along_px > beyond_px]
        self.tracks = [track for track in self.tracks if track.along_px <= beyond_px]
        return left

    def _pairs(self, found: Sequence[Seen], time_s: float) -> list[tuple[int, int]]:
        """Which track is seen where, by the belt's speed; where that fails twice in a row, by the
        smallest speed that explains the most: one picture alone may be garbled."""
        if not self.tracks or not found:
            return []
        since_s = np.array([max(time_s - track.seen_s, 1e-6) for track in self.tracks])
        steps = self._steps(found)
        pairs: list[tuple[int, int]] = []
        if self.speed_px_s is not None:
            pairs = self._match(steps - (self.speed_px_s * since_s)[:, None])
            live = int((since_s == since_s.min()).sum())
            self._failed = 0 if len(pairs) > _AGAIN * min(live, len(found)) else self._failed + 1
            if self._failed < _FAILS:
                return pairs
        best = pairs
        speeds = steps / since_s[:, None]
        for speed in np.unique(np.round(speeds[np.isfinite(speeds)], 1)).tolist():
            if speed >= -_STILL * self._size_px:
                tried = self._match(steps - (speed * since_s)[:, None])
                best = tried if len(tried) > len(best) else best
        return best

    def _steps(self, found: Sequence[Seen]) -> Doubles:
        """How far each track would have moved to be each of `found`; inf where it cannot be."""
        old = np.array([(t.seen_px, t.last.across_px) for t in self.tracks])
        new = np.array([(seen.along_px, seen.across_px) for seen in found])
        steps: Doubles = new[None, :, 0] - old[:, None, 0]
        aside = np.abs(new[None, :, 1] - old[:, None, 1])
        steps[aside > _REACH * self._size_px] = np.inf
        return steps

    def _match(self, off: Doubles) -> list[tuple[int, int]]:
        """Pairs of row and column, each once, the best fit first."""
        off = np.abs(off)
        rows, columns = np.nonzero(off <= _REACH * self._size_px)
        # What was seen once only may be a trace of a garbled picture: it stands back.
        once = np.array([track.sightings == 1 for track in self.tracks])
        order = np.argsort(off[rows, columns] + once[rows] * _REACH * self._size_px, kind="stable")
        pairs: dict[int, int] = {}
        for i, j in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
            if i not in pairs and j not in pairs.values():
                pairs[i] = j
        return list(pairs.items())

    def _measure(
        self, pairs: Sequence[tuple[int, int]], found: Sequence[Seen], time_s: float, step_s: float
    ) -> None:
        """The belt's speed, by all the parts that are seen again."""
        speeds = [
            (found[j].along_px - self.tracks[i].seen_px) / (time_s - self.tracks[i].seen_s)
            for i, j in pairs
            if time_s > self.tracks[i].seen_s
        ]
        if not speeds:
            return
        measured, old = max(float(np.median(speeds)), 0.0), self.speed_px_s
        expected = old is not None and abs(measured - old) * step_s <= _REACH * self._size_px
        self.speed_px_s = old + _TRUST * (measured - old) if old and expected else measured
