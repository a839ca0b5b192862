"""Counts by interval of time, such as quarters of an hour: every one, also those without any."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

LATE_S = 5.0
"""An interval is told so long after its end: a crossing is sure some frames after it was."""
GAP_S = 5.0
"""A longer time without a frame was not watched."""


@dataclass(frozen=True)
class Interval(Generic[Key]):
    """One interval that is over."""

    start_s: float
    """A multiple of its length, by the clock that was given."""
    end_s: float
    watched_s: float
    """How much of it there were frames for: less in the first and the last one, and after a
    camera was away."""
    counts: dict[Key, int]
    """By key; every key is there, also with 0."""


def moment(time_s: float, wall: bool) -> str:
    """A time as text: "2026-11-26T06:45:00Z" of the wall clock (UTC), or "0:15:00" of a file."""
    if not wall:
        return str(timedelta(seconds=time_s))
    return f"{datetime.fromtimestamp(time_s, timezone.utc):%Y-%m-%dT%H:%M:%SZ}"


class IntervalCounts(Generic[Key]):
    """Sorts what happens into intervals that begin at multiples of their length.

    Times are seconds of one clock: since 1970 for a camera, since its first frame for a file.
    """

    def __init__(self, keys: Sequence[Key], length_s: float, late_s: float = LATE_S) -> None:
        """Raises ValueError when the length is not above 0."""
        if not length_s > 0:
            raise ValueError(f"an interval should be longer than 0 s, found {length_s:g}")
        self._keys = tuple(keys)
        self._length_s = length_s
        self._late_s = late_s
        self._first: int | None = None
        """Number of the oldest interval that is open."""
        self._now_s = 0.0
        self._counts: Counter[tuple[int, Key]] = Counter()
        self._watched_s: Counter[int] = Counter()

    def frame(self, time_s: float) -> tuple[Interval[Key], ...]:
        """There is a frame at this time; returns the intervals that are over by now, in order."""
        if self._first is None:
            self._first, self._now_s = self._number(time_s), time_s
        if self._now_s < time_s <= self._now_s + GAP_S:
            self._watch(self._now_s, time_s)
        self._now_s = max(self._now_s, time_s)  # A clock that is set back counts nothing twice.
        return self._close(self._number(self._now_s - self._late_s))

    def add(self, key: Key, time_s: float) -> None:
        """It happened at `time_s`; in an interval that is told already, it counts in the next."""
        assert self._first is not None, "there was no frame yet"
        self._counts[max(self._number(time_s), self._first), key] += 1

    def finish(self) -> tuple[Interval[Key], ...]:
        """After the last frame: the intervals that are still open, each up to its full end."""
        return () if self._first is None else self._close(self._number(self._now_s) + 1)

    def _close(self, until: int) -> tuple[Interval[Key], ...]:
        assert self._first is not None
        closed = tuple(self._interval(number) for number in range(self._first, until))
        self._first = max(self._first, until)
        return closed

    def _interval(self, number: int) -> Interval[Key]:
        counts = {key: self._counts.pop((number, key), 0) for key in self._keys}
        start_s = number * self._length_s
        watched_s = float(self._watched_s.pop(number, 0.0))
        return Interval(start_s, start_s + self._length_s, watched_s, counts)

    def _watch(self, start_s: float, end_s: float) -> None:
        while start_s < end_s:
            number = self._number(start_s)
            until_s = min(end_s, (number + 1) * self._length_s)
            if until_s <= start_s:
                until_s = end_s
            self._watched_s[number] += until_s - start_s  # type: ignore[assignment]
            start_s = until_s

    def _number(self, time_s: float) -> int:
        return int(time_s // self._length_s)
