"""Signed extremes, mean and standard deviation by channel: what preprocessing made of pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from edgesdk.tensors import Floats

UNIT_BITS = 40
"""Sums are kept as whole multiples of 2**-40, so that their order does not matter."""


@dataclass
class Moments:
    """Of one tensor, by channel. The extremes are exact; mean and std are those of the sample.

    Each picture's sums are rounded to 2**-40 and then added exactly.
    """

    lowest: list[float] = field(default_factory=list)
    highest: list[float] = field(default_factory=list)
    values: int = 0
    """How many values of each channel are in the sums."""
    sums: list[int] = field(default_factory=list)
    squares: list[int] = field(default_factory=list)

    def add(self, rows: Floats, low: Floats, high: Floats) -> None:
        """One picture: sampled values (channels, N), and the extremes (channels,) of all."""
        wide = rows.astype(np.float64)
        sums, squares = (_whole(part.sum(axis=1)) for part in (wide, np.square(wide)))
        one = Moments(low.tolist(), high.tolist(), rows.shape[1], sums, squares)
        self.merge(one)

    def merge(self, other: Moments) -> None:
        """Take in what was seen elsewhere."""
        if not self.lowest or not other.lowest:
            mine = self if self.lowest else other
            self.lowest, self.highest = list(mine.lowest), list(mine.highest)
            self.values, self.sums, self.squares = mine.values, list(mine.sums), list(mine.squares)
            return
        self.lowest = [min(p) for p in zip(self.lowest, other.lowest, strict=True)]
        self.highest = [max(p) for p in zip(self.highest, other.highest, strict=True)]
        self.values += other.values
        self.sums = [sum(p) for p in zip(self.sums, other.sums, strict=True)]
        self.squares = [sum(p) for p in zip(self.squares, other.squares, strict=True)]

    @property
    def mean(self) -> tuple[float, ...]:
        """By channel."""
        return tuple(float(Fraction(s, max(self.values, 1) << UNIT_BITS)) for s in self.sums)

    @property
    def std(self) -> tuple[float, ...]:
        """By channel, of the whole population of sampled values."""
        unit = max(self.values, 1) << UNIT_BITS
        pairs = zip(self.sums, self.squares, strict=True)
        variances = (Fraction(square, unit) - Fraction(s, unit) ** 2 for s, square in pairs)
        return tuple(math.sqrt(max(float(variance), 0.0)) for variance in variances)


def _whole(sums: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> list[int]:
    return [int(value) for value in np.rint(np.ldexp(sums, UNIT_BITS)).tolist()]
