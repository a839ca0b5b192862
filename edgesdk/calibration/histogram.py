"""A histogram of magnitudes that can be merged and needs no range in advance.

The range is always a power of two and the number of bins is fixed, so widening the range merges
whole bins. Counts are therefore the same whatever the order, the batch size or the merging.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgesdk.tensors import Array

BINS = 4096
"""At least half of them lie below the largest value seen."""

LEAST_EXPONENT = -100
"""Magnitudes are float32: far below 2**-100 their bins could not be told apart any more."""


class Histogram:
    """Counts of |x| in BINS equal bins over [0, 2**exponent)."""

    def __init__(self) -> None:
        self.counts: NDArray[np.int64] = np.zeros(BINS, np.int64)
        self.exponent: int | None = None
        """None until a value other than zero was seen."""
        self.zeros = 0
        """Values seen while every value was zero; they move to the first bin after that."""
        self.largest = 0.0

    @property
    def total(self) -> int:
        """How many values were added."""
        return self.zeros + int(self.counts.sum())

    @property
    def centers(self) -> NDArray[np.float64]:
        """Middle of each bin."""
        width = 2.0 ** (self.exponent or 0) / BINS
        centers: NDArray[np.float64] = (np.arange(BINS, dtype=np.float64) + 0.5) * width
        return centers

    def add(self, values: Array) -> None:
        """Count a tensor of any shape. Raises ValueError for NaN or infinity."""
        magnitudes = np.abs(values, dtype=np.float32).ravel()
        largest = float(magnitudes.max(initial=0.0))
        if not np.isfinite(largest):
            raise ValueError("NaN or infinity")
        self._widen(largest)
        if self.exponent is None:
            self.zeros += magnitudes.size
            return
        # A power of two scales exactly, so every value falls into the same bin on every machine.
        magnitudes *= np.float32(2.0 ** (np.log2(BINS) - self.exponent))
        self.counts += np.bincount(magnitudes.astype(np.int32), minlength=BINS)

    def merge(self, other: Histogram) -> None:
        """Add what another histogram counted."""
        self._widen(other.largest)
        if self.exponent is None:
            self.zeros += other.zeros
        elif other.exponent is None:
            self.counts[0] += other.zeros
        else:
            self.counts += _coarser(other.counts, self.exponent - other.exponent)

    def _widen(self, largest: float) -> None:
        if largest <= 0.0:
            return
        self.largest = max(self.largest, largest)
        exponent = max(int(np.frexp(largest)[1]), LEAST_EXPONENT)
        if self.exponent is None:
            self.exponent = exponent
            self.counts[0], self.zeros = self.zeros, 0
        elif exponent > self.exponent:
            self.counts = _coarser(self.counts, exponent - self.exponent)
            self.exponent = exponent


def _coarser(counts: NDArray[np.int64], doublings: int) -> NDArray[np.int64]:
    """The same counts over a range 2**doublings times as wide."""
    if doublings == 0:
        return counts
    group = min(2**doublings, BINS)
    wide = np.zeros(BINS, np.int64)
    wide[: BINS // group] = counts.reshape(-1, group).sum(axis=1)
    return wide
