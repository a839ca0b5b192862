"""Histograms of magnitudes, one for each channel, that need no range in advance.

A bin is named by the leading bits of the float itself: the exponent and the first bits of the
mantissa. So every float32 has its bin from the start, counts do not depend on the order, the
batches or the merging, and multiplying a channel by a power of two moves its counts by whole bins:
what calibration would have seen on a rescaled tensor is known without a second pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgesdk.tensors import Array, Floats

STEPS = 16
"""Bins for each doubling: 6 % wide at most."""
OCTAVES = 24
"""Doublings below the largest value that are told apart; smaller ones share the first bin."""
BINS = STEPS * OCTAVES
BLOCK = 1 << 16
"""Values counted at once: what numpy puts aside for them fits into a core's cache."""
LEAST_TOP = OCTAVES - 1
"""Least biased exponent of the last octave: float32 has no bins further down."""

Ints = NDArray[np.int64]

_MANTISSA_BITS = 23
_DROPPED_BITS = _MANTISSA_BITS - STEPS.bit_length() + 1
_MAGNITUDE = np.uint16(0x7FFFFFFF >> _DROPPED_BITS)
_DROPPED = np.uint32(_DROPPED_BITS)


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts of |x| in bins that grow with the magnitude."""

    edges: NDArray[np.float64]
    """Of the bins, ascending from 0; shape (BINS + 1,). The last is the largest value."""
    counts: Ints
    """Values in each bin; shape (BINS,)."""
    largest: float
    mean_peak: float | None = None
    """Mean over the pictures of each one's largest magnitude; None: not known."""

    @property
    def total(self) -> int:
        """How many values were counted."""
        return int(self.counts.sum())


class ChannelHistogram:
    """Counts of |x| by channel; grows with channels, not with values.

    What is counted may be a sample; `largest` may know more than the sample does.
    """

    def __init__(self, axis: int) -> None:
        """`axis` of the tensors that holds the channels."""
        self.axis = axis
        self.counts: Ints = np.zeros((0, BINS), np.int64)
        """Shape (channels, BINS)."""
        self.largest: Floats = np.zeros(0, np.float32)
        """Largest magnitude of each channel; shape (channels,)."""
        self._top = LEAST_TOP
        """Biased exponent of the largest value: the octave of the last STEPS bins."""

    def add(self, values: Array) -> None:
        """Count a float32 tensor. Raises ValueError for NaN or infinity."""
        self.add_rows(np.moveaxis(values, self.axis, 0).reshape(values.shape[self.axis], -1))

    def add_rows(self, rows: Array) -> None:
        """Count float32 values of shape (channels, N). Raises ValueError for NaN or infinity."""
        rows = np.ascontiguousarray(rows, np.float32)
        largest = np.maximum(rows.max(axis=1, initial=0), -rows.min(axis=1, initial=0))
        if not np.isfinite(largest).all():
            raise ValueError("NaN or infinity")
        self.raise_largest(largest)
        self.count(rows)

    def count(self, rows: Floats) -> None:
        """Count values, contiguous and of shape (channels, N), no larger than `largest` says."""
        flat = self.counts.reshape(-1)
        first = np.uint16(_first_code(self._top))
        step = max(BLOCK // max(rows.shape[1], 1), 1)
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            # As uint16, which numpy works on at twice the speed of 32 bits.
            codes = (part.view(np.uint32) >> _DROPPED).astype(np.uint16)
            codes &= _MAGNITUDE
            np.maximum(codes, first, out=codes)
            codes -= first
            places = codes + (np.arange(start, start + len(part)) * BINS)[:, None]
            np.add.at(flat, places.ravel(), 1)

    def raise_largest(self, largest: Floats) -> None:
        """Take in magnitudes by channel, finite, that were seen but need not have been counted."""
        magnitudes = np.abs(np.asarray(largest, np.float32))
        self._fit(len(magnitudes), int(magnitudes.max(initial=0).view(np.int32)) >> _MANTISSA_BITS)
        np.maximum(self.largest, magnitudes, out=self.largest)

    def restore(self, counts: Ints, largest: Floats) -> None:
        """Take the place of the histogram that these `counts` and `largest` were read from."""
        self.counts = np.zeros((0, BINS), np.int64)
        self._top = LEAST_TOP
        self.raise_largest(largest)
        self.counts[...] = counts

    def merge(self, other: ChannelHistogram) -> None:
        """Add what another histogram counted. Raises ValueError for another number of channels."""
        self._fit(len(other.counts), other._top)
        np.maximum(self.largest, other.largest, out=self.largest)
        self.counts += _moved(other.counts, (other._top - self._top) * STEPS)

    def whole(self, shifts: Ints | None = None) -> Histogram:
        """All channels together, channel c multiplied by 2**shifts[c]; None: as they are."""
        moves = np.zeros(len(self.counts), np.int64) if shifts is None else shifts
        scaled = np.ldexp(self.largest.astype(np.float64), moves)
        largest = float(scaled.max(initial=0.0))
        top = max(int(np.frexp(largest)[1]) + 126, LEAST_TOP) if largest > 0 else LEAST_TOP
        counts = np.zeros(BINS, np.int64)
        for move in np.unique(moves):
            alike = self.counts[moves == move].sum(axis=0)
            counts += _moved(alike, (self._top + int(move) - top) * STEPS)
        return Histogram(_edges(top, largest), counts, largest)

    def _fit(self, channels: int, top: int) -> None:
        """Make room for this many channels, the first time, and for this exponent."""
        if not len(self.counts):
            self.counts = np.zeros((channels, BINS), np.int64)
            self.largest = np.zeros(channels, np.float32)
        if len(self.counts) != channels:
            raise ValueError(f"{len(self.counts)} channels before, {channels} now")
        if top > self._top:
            self.counts = _moved(self.counts, (self._top - top) * STEPS)
            self._top = top


def _first_code(top: int) -> int:
    """Leading bits that the first bin stands for."""
    return (top - OCTAVES + 1) * STEPS


def _edges(top: int, largest: float) -> NDArray[np.float64]:
    codes = _first_code(top) + np.arange(BINS + 1)
    edges = (codes << _DROPPED_BITS).astype(np.int32).view(np.float32).astype(np.float64)
    edges[0] = 0.0
    return np.minimum(edges, largest)


def _moved(counts: Ints, bins: int) -> Ints:
    """Counts moved up by `bins`; what is or falls below the second bin stands in the first."""
    if bins == 0:
        return counts
    moved = np.zeros_like(counts)
    if bins > 0:
        moved[..., bins + 1 :] = counts[..., 1 : BINS - bins]
        moved[..., 0] = counts[..., 0]
        return moved
    down = min(-bins, BINS - 1)
    moved[..., : BINS - down] = counts[..., down:]
    moved[..., 0] += counts[..., :down].sum(axis=-1)
    return moved
