"""How far an output lies from that of the float model, and whether it still says anything.

For each picture and output a row of sums is enough; rows add up, so that no tensor is kept.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgesdk.tensors import Array

Row = NDArray[np.float64]
"""Sums over one or more pictures' tensors, in the order of the constants below; shape (11,)."""

COUNT, REFERENCE, OTHER, PRODUCT, ERROR, REFERENCE_SUM, OTHER_SUM = range(7)
"""Columns that add up: values, energies of both, their product, energy of the difference, sums."""
REFERENCE_LOW, OTHER_LOW, REFERENCE_HIGH, OTHER_HIGH = range(7, 11)
"""Columns that hold smallest and largest values."""
FLAT_SPAN = 1e-6
"""A float output that spans less than this share of its magnitude counts as constant too."""


def compare_tensors(reference: Array, other: Array) -> Row:
    """The row of one picture; tensors of one shape, of any float or integer dtype."""
    a, b = reference.astype(np.float64).ravel(), other.astype(np.float64).ravel()
    with np.errstate(invalid="ignore", over="ignore"):  # NaN and infinity are told by `finite`
        difference = a - b
        sums = [a.size, a @ a, b @ b, a @ b, difference @ difference, a.sum(), b.sum()]
    ends = [a.min(), b.min(), a.max(), b.max()] if a.size else [math.inf] * 2 + [-math.inf] * 2
    return np.array([*sums, *ends], np.float64)


class OutputError:
    """One output against that of the float model, over all pictures together."""

    def __init__(self) -> None:
        self._sums = np.zeros(7)
        self._low, self._high = np.full(2, math.inf), np.full(2, -math.inf)
        self._first: Row | None = None
        self._reference_repeats = self._other_repeats = True

    def add(self, reference: Array, other: Array) -> None:
        """Add one picture's tensors, of one shape and of any float dtype."""
        self.add_row(compare_tensors(reference, other))

    def add_row(self, row: Row) -> None:
        """Add the row of one picture."""
        self._sums += row[:REFERENCE_LOW]
        self._low = np.minimum(self._low, row[[REFERENCE_LOW, OTHER_LOW]])
        self._high = np.maximum(self._high, row[[REFERENCE_HIGH, OTHER_HIGH]])
        self._first = row if self._first is None else self._first
        # The same tensor gives the same sums; another one would have to hit four of them at once.
        own, others = [REFERENCE, REFERENCE_SUM, 7, 9], [OTHER, OTHER_SUM, 8, 10]
        self._reference_repeats &= bool((row[own] == self._first[own]).all())
        self._other_repeats &= bool((row[others] == self._first[others]).all())

    @property
    def finite(self) -> bool:
        """False as soon as NaN or infinity was added."""
        return math.isfinite(self._sums[ERROR] + self._sums[OTHER])

    @property
    def sqnr_db(self) -> float | None:
        """10 log10(sum reference^2 / sum (reference - other)^2); None when they are equal.

        A reference of zeros with errors has -999 dB, to stay a number that JSON can hold.
        """
        energy, error = float(self._sums[REFERENCE]), float(self._sums[ERROR])
        if error == 0.0:
            return None
        return 10 * math.log10(energy / error) if energy else -999.0

    @property
    def cosine(self) -> float:
        """Cosine of the angle between the two; 1 when both are zero, 0 when one is."""
        reference, other = float(self._sums[REFERENCE]), float(self._sums[OTHER])
        if reference == 0.0 or other == 0.0:
            return float(reference == other)
        return min(float(self._sums[PRODUCT]) / math.sqrt(reference * other), 1.0)

    @property
    def reference_std(self) -> float:
        """Standard deviation of the float model's values over positions and pictures."""
        return self._std(REFERENCE, REFERENCE_SUM)

    @property
    def other_std(self) -> float:
        """Standard deviation of the other's values over positions and pictures."""
        return self._std(OTHER, OTHER_SUM)

    @property
    def flat(self) -> bool:
        """True when the other gives one and the same answer always, and the float model does not.

        That is one value at all positions of all pictures, or, from two pictures on, the same
        tensor for each picture.
        """
        if self._first is None:
            return False
        low, high = self._low, self._high
        if high[1] == low[1]:
            return bool(high[0] - low[0] > FLAT_SPAN * max(abs(low[0]), abs(high[0])))
        several = self._sums[COUNT] > self._first[COUNT]
        return bool(several and self._other_repeats and not self._reference_repeats)

    def _std(self, energy: int, total: int) -> float:
        count = max(self._sums[COUNT], 1.0)
        mean = self._sums[total] / count
        return math.sqrt(max(float(self._sums[energy] / count - mean * mean), 0.0))
