"""Durations in bounded memory, however many there are."""

from __future__ import annotations

import math
from collections.abc import Iterable

_FLOOR_NS = 100
_GROWTH = 1.02
_BINS = 1 + math.ceil(math.log(1e12 / _FLOOR_NS) / math.log(_GROWTH))


class Durations:
    """A histogram of durations with bins 2 % wide, from 100 ns to 1000 s.

    A quantile is therefore right to 1 %; count, sum, minimum and maximum are exact.
    """

    def __init__(self) -> None:
        self._bins = [0] * _BINS
        self.count = 0
        self.total_ns = 0
        self.min_ns = 0
        self.max_ns = 0

    def add(self, duration_ns: int) -> None:
        """Take in one duration."""
        position = math.log(max(duration_ns, _FLOOR_NS) / _FLOOR_NS) / math.log(_GROWTH)
        self._bins[min(int(position), _BINS - 1)] += 1
        self.min_ns = duration_ns if self.count == 0 else min(self.min_ns, duration_ns)
        self.max_ns = max(self.max_ns, duration_ns)
        self.count += 1
        self.total_ns += duration_ns

    @classmethod
    def merged(cls, several: Iterable[Durations]) -> Durations:
        """All of them in one."""
        total = cls()
        for each in several:
            if each.count:
                total.min_ns = min(total.min_ns, each.min_ns) if total.count else each.min_ns
                total.max_ns = max(total.max_ns, each.max_ns)
                total.count += each.count
                total.total_ns += each.total_ns
                total._bins = [a + b for a, b in zip(total._bins, each._bins, strict=True)]
        return total

    def quantile_ms(self, q: float) -> float:
        """The duration in ms that the share `q` (0..1) of all does not exceed (nearest rank).

        0 when there are none.
        """
        if self.count == 0:
            return 0.0
        rank = max(math.ceil(q * self.count), 1)
        seen = 0
        for i, count in enumerate(self._bins):
            seen += count
            if seen >= rank:
                middle_ns = _FLOOR_NS * math.exp((i + 0.5) * math.log(_GROWTH))
                return min(max(middle_ns, self.min_ns), self.max_ns) / 1e6
        raise AssertionError("unreachable: the bins hold `count` durations")
