"""Latency percentiles with intervals, and an honest refusal where there are too few samples.

A percentile is by nearest rank: of n sorted samples, p% is number ceil(n * p / 100), so it is
always a latency that was really measured (numpy calls this method "inverted_cdf").

Its 95 % interval is the distribution-free one between two order statistics: of n independent
samples, the number at or below the true percentile is binomial(n, p) (Hahn, Meeker and Escobar,
"Statistical Intervals", 2nd edition, 5.2). A percentile is stated only where both ends of that
interval are samples; below, the upper end is unknown and so, in truth, is the percentile. That
asks for 6 samples for the median, 36 for p90, 72 for p95 and 368 for p99.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Samples1D = NDArray[np.float64]
"""Latencies in ms; shape (N,)."""

CONFIDENCE = 0.95
_TAIL = (1 - CONFIDENCE) / 2


@dataclass(frozen=True)
class Quantile:
    """One percentile of the latency, or how many samples it would need."""

    percent: int
    """50 is the median."""
    ms: float | None
    """None: there are too few samples to say."""
    low_ms: float | None
    """Lower end of the 95 % interval."""
    high_ms: float | None
    needs: int
    """Fewest samples that this percentile can be stated from."""


@dataclass(frozen=True)
class Summary:
    """The distribution of one latency."""

    count: int
    min_ms: float
    mean_ms: float
    max_ms: float
    std_ms: float
    """Standard deviation of the sample (n - 1)."""
    cv_percent: float
    """Coefficient of variation: std / mean."""
    median: Quantile
    p90: Quantile
    p95: Quantile
    p99: Quantile

    @property
    def middle_ms(self) -> float:
        """The median; the mean where there are too few samples to state one."""
        return self.mean_ms if self.median.ms is None else self.median.ms


def summarize(ms: Samples1D) -> Summary:
    """Describe at least two latencies in ms. Raises ValueError for fewer."""
    if len(ms) < 2:
        raise ValueError(f"a summary needs at least 2 samples, found {len(ms)}")
    ordered = np.sort(ms)
    mean, std = float(ordered.mean()), float(ordered.std(ddof=1))
    return Summary(
        count=len(ordered),
        min_ms=_rounded(ordered[0]),
        mean_ms=_rounded(mean),
        max_ms=_rounded(ordered[-1]),
        std_ms=_rounded(std),
        cv_percent=_rounded(100 * std / mean) if mean else 0.0,
        median=quantile(ordered, 50),
        p90=quantile(ordered, 90),
        p95=quantile(ordered, 95),
        p99=quantile(ordered, 99),
    )


def quantile(ordered: Samples1D, percent: int) -> Quantile:
    """A percentile of sorted latencies with its 95 % interval."""
    ranks = interval_ranks(len(ordered), percent)
    if ranks is None:
        return Quantile(percent, None, None, None, samples_needed(percent))
    low, high = (_rounded(ordered[rank - 1]) for rank in ranks)
    return Quantile(percent, nearest_rank(ordered, percent), low, high, samples_needed(percent))


def nearest_rank(ordered: Samples1D, percent: int) -> float:
    """The smallest of the sorted latencies that at least `percent` % of them do not exceed."""
    return _rounded(ordered[math.ceil(len(ordered) * percent / 100) - 1])


def samples_needed(percent: int) -> int:
    """Fewest samples whose smallest and largest enclose the percentile with 95 % confidence."""
    share = max(percent, 100 - percent) / 100
    return math.ceil(math.log(_TAIL) / math.log(share))


def interval_ranks(count: int, percent: int) -> tuple[int, int] | None:
    """1-based ranks of the two samples that bound the percentile; None with too few samples."""
    if count < samples_needed(percent):
        return None
    at_most = _binomial_cdf(count, percent / 100)
    low = int(np.searchsorted(at_most, _TAIL, side="right"))
    high = int(np.searchsorted(at_most, 1 - _TAIL, side="left")) + 1
    return low, high


def _binomial_cdf(count: int, share: float) -> NDArray[np.float64]:
    """P(B <= k) for k = 0..count, in logarithms so that 10^5 samples do not underflow."""
    k = np.arange(1, count + 1)
    steps = np.log((count - k + 1) / k) + math.log(share / (1 - share))
    logs = np.concatenate([[0.0], np.cumsum(steps)]) + count * math.log1p(-share)
    cdf: NDArray[np.float64] = np.cumsum(np.exp(logs))
    return cdf


def _rounded(ms: float) -> float:
    """To the clock's nanosecond: further digits would only look like knowledge."""
    return round(float(ms), 6)
