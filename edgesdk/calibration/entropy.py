"""The entropy calibration of TensorRT: S. Migacz, "8-bit Inference with TensorRT", GTC 2017.

For each candidate range the distribution P of the values, with all beyond the range in its last
bin, is compared with Q, what 128 levels leave of the values inside the range. The range with the
least Kullback-Leibler divergence KL(P || Q) wins.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgesdk.calibration.histogram import Histogram

LINEAR_BINS = 2048
LEVELS = 128
STEP = 16
"""Every STEP-th range is tried first, then all around the best one."""
FAINTEST = 0.5
"""Q has at least half a value where P has any: else a lone outlier beyond a gap, which leaves the
last bin to the saturated values alone, would make every range but the whole infinitely bad."""

Reals = NDArray[np.float64]


def entropy_amax(histogram: Histogram) -> float:
    """The range with the least divergence. 0.0 for a tensor that was always zero."""
    if histogram.largest == 0.0:
        return 0.0
    counts = linear_counts(histogram, LINEAR_BINS)
    # Zeros are exact with every range. As NVIDIA's pytorch-quantization does, their bin counts
    # like its neighbour: else the zeros behind a ReLU outweigh all that can be lost.
    counts[0] = counts[1]
    coarse = range(LEVELS, LINEAR_BINS + 1, STEP)
    best = min(coarse, key=lambda used: divergence(counts, used))
    fine = range(max(best - STEP, LEVELS), min(best + STEP, LINEAR_BINS) + 1)
    best = min(fine, key=lambda used: divergence(counts, used))
    return best / LINEAR_BINS * histogram.largest


def linear_counts(histogram: Histogram, bins: int) -> Reals:
    """Counts in equal bins from 0 to the largest value, values spread evenly in their own bins."""
    reached = np.concatenate([[0.0], np.cumsum(histogram.counts, dtype=np.float64)])
    edges = np.linspace(0.0, histogram.largest, bins + 1)
    below = np.interp(edges, histogram.edges, reached)
    below[-1] = reached[-1]  # a last bin without width holds the largest value itself
    counts: Reals = np.diff(below)
    return counts


def divergence(counts: Reals, used: int) -> float:
    """KL(P || Q) in nats of the range that ends with the bin `used` - 1."""
    inside = counts[:used]
    reference = inside.copy()
    reference[-1] += counts[used:].sum()
    # Q: each level's values spread evenly over those of its bins that are not empty in P.
    starts = np.arange(LEVELS) * used // LEVELS
    filled = reference > 0
    sums, places = np.add.reduceat(inside, starts), np.add.reduceat(filled.astype(int), starts)
    level = np.divide(sums, places, out=np.zeros(LEVELS), where=places > 0)
    quantized = np.repeat(level, np.diff(np.append(starts, used)))
    p, q = reference[filled], np.maximum(quantized[filled], FAINTEST)
    return float(p @ np.log(p / q) / p.sum() + np.log(q.sum() / p.sum()))
