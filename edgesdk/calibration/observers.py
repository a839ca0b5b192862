"""Observers: from what was seen of a tensor to its amax, the magnitude that INT8 127 stands for."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgesdk.calibration.histogram import Histogram

ObserverName = Literal["minmax", "mse"]

LEVELS = 127
"""Symmetric INT8: -127..127, scale = amax / 127."""
CANDIDATES = 128

Reals = NDArray[np.float64]


def amax_of(histogram: Histogram, observer: ObserverName) -> float:
    """The range that `observer` chooses. 0.0 for a tensor that was always zero."""
    return {"minmax": minmax, "mse": mse}[observer](histogram)


def minmax(histogram: Histogram) -> float:
    """The largest magnitude seen: nothing saturates."""
    return histogram.largest


def mse(histogram: Histogram) -> float:
    """The range with the least squared error of rounding and saturating together.

    Searched over CANDIDATES equal steps up to the largest magnitude seen.
    """
    if histogram.largest == 0.0:
        return 0.0
    candidates = histogram.largest * np.arange(1, CANDIDATES + 1) / CANDIDATES
    errors = [squared_error(histogram, float(amax)) for amax in candidates]
    return float(candidates[int(np.argmin(errors))])


def squared_error(histogram: Histogram, amax: float) -> float:
    """Sum of squared differences that INT8 with this range makes, values spread evenly in bins."""
    used = np.flatnonzero(histogram.counts)
    low, high = histogram.edges[used], histogram.edges[used + 1]
    scale = amax / LEVELS
    inside = _rounding(np.minimum(high, amax) / scale) - _rounding(np.minimum(low, amax) / scale)
    beyond = np.maximum(high - amax, 0) ** 3 - np.maximum(low - amax, 0) ** 3
    each = np.square(low - np.minimum(np.rint(low / scale), LEVELS) * scale)
    # A bin that ends at the largest value may have no width: then all in it is that value.
    np.divide(inside * scale**3 + beyond / 3, high - low, out=each, where=high > low)
    return float(histogram.counts[used] @ each)


def _rounding(value: Reals) -> Reals:
    """Integral of (u - round(u))**2 from 0 to `value`, in closed form."""
    nearest = np.floor(value + 0.5)
    integral: Reals = nearest / 12 + (value - nearest) ** 3 / 3
    return integral


def saturated_share(histogram: Histogram, amax: float) -> float:
    """Share of the values, 0..1, that lie beyond `amax`; the bin around it counts in part."""
    if histogram.total == 0 or histogram.largest <= amax:
        return 0.0
    low, high = histogram.edges[:-1], histogram.edges[1:]
    beyond = np.maximum(high - np.maximum(low, amax), 0)
    share = np.divide(beyond, high - low, out=np.zeros_like(low), where=high > low)
    return float(histogram.counts @ share / histogram.total)
