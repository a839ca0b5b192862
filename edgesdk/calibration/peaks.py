"""The largest magnitude of each picture, boiled down to what does not grow with their number."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, field
from fractions import Fraction

FOLDS = 8
"""Parts of the pictures whose largest magnitudes are known apart."""
UNIT_BITS = 149
"""Every finite float32 is a whole multiple of 2**-149."""


@dataclass(frozen=True)
class Peak:
    """The largest magnitude of a tensor in one picture."""

    value: float
    picture: str


@dataclass
class Peaks:
    """Peaks of one tensor over many pictures; the same for any order and any merging."""

    pictures: int = 0
    total: int = 0
    """Sum of the peaks in units of 2**-149: whole numbers, so that it is exact."""
    highest: tuple[Peak, ...] = ()
    """The two highest, of two different entries; of equal ones those first by name."""
    folds: list[float] = field(default_factory=lambda: [0.0] * FOLDS)
    """Highest peak of each part of the pictures; `fold` says which part."""

    def add(self, picture: str, value: float) -> None:
        """Take in the peak of one picture: finite, exactly a float32, not negative."""
        self.pictures += 1
        self.total += int(math.ldexp(value, UNIT_BITS))
        part = fold(picture)
        self.folds[part] = max(self.folds[part], value)
        if len(self.highest) < 2 or value >= self.highest[1].value:
            self.highest = _two(*self.highest, Peak(value, picture))

    def merge(self, other: Peaks) -> None:
        """Take in what was seen elsewhere."""
        self.pictures += other.pictures
        self.total += other.total
        self.highest = _two(*self.highest, *other.highest)
        self.folds = [max(pair) for pair in zip(self.folds, other.folds, strict=True)]

    @property
    def mean(self) -> float:
        """Mean of the peaks, rounded once; 0 without a picture."""
        if not self.pictures:
            return 0.0
        return float(Fraction(self.total, self.pictures << UNIT_BITS))


def fold(picture: str) -> int:
    """The part, 0..FOLDS - 1, that a picture belongs to: by its name alone."""
    return zlib.crc32(picture.encode(errors="surrogateescape")) % FOLDS


def _two(*peaks: Peak) -> tuple[Peak, ...]:
    return tuple(sorted(peaks, key=lambda peak: (-peak.value, peak.picture))[:2])
