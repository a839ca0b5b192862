"""The two pictures of a run that a report keeps: how latencies are spread, and how they went."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from edgesdk.report.statistics import Samples1D, nearest_rank

MAX_BINS = 80
MAX_POINTS = 160
_LEAST_IN_STRETCH = 5  # fewer, and its median is but one of its noisy samples


@dataclass(frozen=True)
class Histogram:
    """How often each latency came. The few beyond the last edge are counted, not drawn."""

    edges_ms: tuple[float, ...]
    """Limits of the bins, ascending; one more than `counts`. The last bin holds its upper edge."""
    counts: tuple[int, ...]
    beyond: int
    """Samples above the last edge."""


@dataclass(frozen=True)
class Timeline:
    """The run cut into stretches of equally many iterations."""

    start_s: tuple[float, ...]
    """When each stretch began, counted in latency since the measurement began."""
    min_ms: tuple[float, ...]
    median_ms: tuple[float, ...]
    max_ms: tuple[float, ...]
    end_s: float
    """When the last one ended."""


def histogram_of(ms: Samples1D) -> Histogram:
    """Bins of one width by the rule of Freedman and Diaconis (2 IQR / cbrt n), 8 to 80 of them.

    They end 15 % above p99: one slow sample would otherwise squeeze all others into one bar.
    """
    ordered = np.sort(ms)
    low, high = float(ordered[0]), min(float(ordered[-1]), 1.15 * nearest_rank(ordered, 99))
    # A spread that no clock resolves is drawn as one: 80 bins of it could not be told apart.
    high = max(high, low + max(low * 1e-3, 1e-4))
    iqr = nearest_rank(ordered, 75) - nearest_rank(ordered, 25)
    width = 2 * iqr / len(ordered) ** (1 / 3)
    bins = min(max(math.ceil((high - low) / width), 8), MAX_BINS) if width > 0 else 8
    inside = ordered[ordered <= high]
    counts, edges = np.histogram(inside, bins=bins, range=(low, high))
    return Histogram(
        tuple(round(float(edge), 6) for edge in edges),
        tuple(int(count) for count in counts),
        len(ordered) - len(inside),
    )


def timeline_of(ms: Samples1D) -> Timeline:
    """At most 160 stretches, in order, of at least 5 iterations where there are as many."""
    parts = np.array_split(ms, min(max(len(ms) // _LEAST_IN_STRETCH, 1), MAX_POINTS))
    ends = np.cumsum([part.sum() for part in parts]) / 1e3
    starts = np.concatenate([[0.0], ends[:-1]])
    return Timeline(
        tuple(round(float(start), 6) for start in starts),
        tuple(float(part.min()) for part in parts),
        tuple(nearest_rank(np.sort(part), 50) for part in parts),
        tuple(float(part.max()) for part in parts),
        round(float(ends[-1]), 6),
    )
