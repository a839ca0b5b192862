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
    used = np.flatnonzero(histogram.counts)
    values, weights = histogram.centers[used], histogram.counts[used].astype(np.float64)
    candidates = histogram.largest * np.arange(1, CANDIDATES + 1) / CANDIDATES
    errors = [_squared_error(values, weights, amax) for amax in candidates]
    return float(candidates[int(np.argmin(errors))])


def _squared_error(values: NDArray[np.float64], weights: NDArray[np.float64], amax: float) -> float:
    scale = amax / LEVELS
    rounded = np.minimum(np.rint(values / scale), LEVELS) * scale
    return float(weights @ np.square(values - rounded))


def saturated_share(histogram: Histogram, amax: float) -> float:
    """Share of the values, 0..1, that lie beyond `amax` (to the width of one bin)."""
    if histogram.total == 0 or histogram.largest <= amax:
        return 0.0
    return float(histogram.counts[histogram.centers > amax].sum() / histogram.total)
