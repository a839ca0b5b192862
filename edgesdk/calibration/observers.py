"""Observers: from what was seen of a tensor to its amax, the magnitude that INT8 127 stands for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from edgesdk.calibration.entropy import entropy_amax
from edgesdk.calibration.histogram import Histogram

ObserverName = Literal["minmax", "moving-average", "percentile", "entropy", "mse"]

LEVELS = 127
"""Symmetric INT8: -127..127, scale = amax / 127."""
CANDIDATES = 128
PERCENTILE = 99.99

Reals = NDArray[np.float64]


class Observer(Protocol):
    """Chooses a range. It sees only a histogram, so that it works on rescaled channels too."""

    @property
    def name(self) -> ObserverName:
        """As recipes call it."""
        ...

    def amax(self, histogram: Histogram) -> float:
        """The range. 0.0 for a tensor that was always zero, and only then."""
        ...


@dataclass(frozen=True)
class MinMax:
    """The largest magnitude seen: nothing saturates."""

    name: ObserverName = "minmax"

    def amax(self, histogram: Histogram) -> float:
        """The largest magnitude."""
        return histogram.largest


@dataclass(frozen=True)
class MovingAverage:
    """The mean over the pictures of each one's largest magnitude.

    It stands for the running average of other tools, which weighs late pictures more and so
    depends on their order. One wild picture moves it little, where it rules min-max.
    """

    name: ObserverName = "moving-average"

    def amax(self, histogram: Histogram) -> float:
        """The mean peak; the largest magnitude where pictures were not told apart."""
        return histogram.largest if histogram.mean_peak is None else histogram.mean_peak


@dataclass(frozen=True)
class Percentile:
    """The magnitude that this share of the values does not exceed."""

    percent: float = PERCENTILE
    """0..100, zeros counted too."""
    name: ObserverName = "percentile"

    def __post_init__(self) -> None:
        if not 0 < self.percent <= 100:
            raise ValueError(f"percentile should be in 0..100, found {self.percent}")

    def amax(self, histogram: Histogram) -> float:
        """Interpolated in its bin.

        A tensor so sparse that the percentile lies in the first bin, with the zeros, gets the
        largest magnitude: its few values are what it says.
        """
        reached = np.cumsum(histogram.counts)
        wanted = self.percent / 100 * histogram.total
        place = int(np.searchsorted(reached, wanted))
        if place == 0 or place >= len(reached) or self.percent == 100:
            return histogram.largest
        before = reached[place - 1]
        share = (wanted - before) / (reached[place] - before)
        low, high = histogram.edges[place], histogram.edges[place + 1]
        return float(low + share * (high - low))


@dataclass(frozen=True)
class Entropy:
    """The range that loses least information (KL divergence), as TensorRT's calibrator has it."""

    name: ObserverName = "entropy"

    def amax(self, histogram: Histogram) -> float:
        """See `entropy_amax`."""
        return entropy_amax(histogram)


@dataclass(frozen=True)
class MeanSquaredError:
    """The range with the least squared error of rounding and saturating together."""

    name: ObserverName = "mse"

    def amax(self, histogram: Histogram) -> float:
        """The best of CANDIDATES equal steps up to the largest magnitude seen."""
        if histogram.largest == 0.0:
            return 0.0
        candidates = histogram.largest * np.arange(1, CANDIDATES + 1) / CANDIDATES
        return float(candidates[int(np.argmin(squared_errors(histogram, candidates)))])


def find_observer(name: ObserverName, percentile: float = PERCENTILE) -> Observer:
    """The observer that recipes call `name`; `percentile` is for the one of that name."""
    if name == "percentile":
        return Percentile(percentile)
    if name == "entropy":
        return Entropy()
    if name == "moving-average":
        return MovingAverage()
    return MeanSquaredError() if name == "mse" else MinMax()


def squared_errors(histogram: Histogram, amax: Reals) -> Reals:
    """Sums of squared differences that INT8 makes with each of these ranges.

    Values are taken as spread evenly in their bins, and the error is integrated in closed form.
    """
    used = np.flatnonzero(histogram.counts)
    if not len(used):
        return np.zeros(len(amax))
    bins = slice(int(used[0]), int(used[-1]) + 1)
    edges = histogram.edges[bins.start : bins.stop + 1]
    counts = histogram.counts[bins].astype(np.float64)
    width = np.diff(edges)
    scale = (amax / LEVELS)[:, None]
    inside = np.minimum(edges, amax[:, None])
    inside /= scale
    integral = _rounding(inside)
    integral *= scale**3
    saturated = int(np.searchsorted(edges, amax.min()))
    beyond = np.maximum(edges[saturated:] - amax[:, None], 0)
    integral[:, saturated:] += beyond * beyond * beyond / 3
    density = np.divide(counts, width, out=np.zeros_like(counts), where=width > 0)
    errors: Reals = np.diff(integral, axis=1) @ density
    # A bin that ends at the largest value may have no width: then all in it is that value.
    for point, count in zip(edges[:-1][width == 0], counts[width == 0], strict=True):
        levels = np.minimum(np.rint(point / scale[:, 0]), LEVELS)
        errors += count * np.square(point - levels * scale[:, 0])
    return errors


def squared_error(histogram: Histogram, amax: float) -> float:
    """The sum of squared differences that INT8 with this one range makes."""
    return float(squared_errors(histogram, np.array([amax]))[0])


def _rounding(value: Reals) -> Reals:
    """Integral of (u - round(u))**2 from 0 to `value`, in closed form."""
    nearest = np.floor(value + 0.5)
    rest = value - nearest
    integral: Reals = nearest / 12 + rest * rest * rest / 3
    return integral


def saturated_share(histogram: Histogram, amax: float) -> float:
    """Share of the values, 0..1, that lie beyond `amax`; the bin around it counts in part."""
    if histogram.total == 0 or histogram.largest <= amax:
        return 0.0
    low, high = histogram.edges[:-1], histogram.edges[1:]
    beyond = np.maximum(high - np.maximum(low, amax), 0)
    share = np.divide(beyond, high - low, out=np.zeros_like(low), where=high > low)
    return float(histogram.counts @ share / histogram.total)
