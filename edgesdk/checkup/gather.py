"""Evidence from the statistics of calibration: of ranges, and of the model's inputs."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgesdk.bundle import InputChannel, RangeEvidence

Reals = NDArray[np.floating]


class PeaksLike(Protocol):
    """What is known of the largest magnitudes of single pictures."""

    @property
    def leading(self) -> Sequence[tuple[str, float]]:
        """(picture, its largest magnitude) of the largest two, descending."""
        ...

    @property
    def folds(self) -> Sequence[float] | Reals:
        """Largest magnitude in each of some folds that the pictures' names fall into at random."""
        ...


class MomentsLike(Protocol):
    """Statistics of an input by channel, each of shape (channels,)."""

    low: Reals
    high: Reals
    mean: Reals
    std: Reals


def range_evidence(
    channel_largest: Reals, peaks: PeaksLike | None = None, shifts: NDArray[np.int64] | None = None
) -> RangeEvidence:
    """How the range of a tensor came about.

    `channel_largest` is the largest magnitude of each channel, shape (channels,); `shifts` the
    powers of two by which its channels were balanced afterwards. `peaks` are those of the tensor
    as it was, since what a picture contributes to a balanced channel is not counted.
    """
    largest = np.asarray(channel_largest, np.float64)
    if shifts is not None:
        largest = np.ldexp(largest, shifts)
    alive = largest[largest > 0]
    low, middle, high = (
        (float(alive.min()), float(np.median(alive)), float(alive.max()))
        if len(alive)
        else (0.0, 0.0, 0.0)
    )
    picture, ratio = _dominance(peaks)
    half = half_share(peaks.folds) if peaks else None
    dead = len(largest) - len(alive)
    return RangeEvidence(len(largest), dead, low, middle, high, picture, ratio, half)


def _dominance(peaks: PeaksLike | None) -> tuple[str, float | None]:
    leading = peaks.leading if peaks else ()
    if not leading:
        return "", None
    name, largest = leading[0]
    second = leading[1][1] if len(leading) > 1 else 0.0
    return name, float(largest / second) if second > 0 else None


def half_share(folds: Sequence[float] | Reals) -> float | None:
    """Expected maximum over half of the folds, as a share of the maximum over all.

    Exact over every choice of half the folds: the k-th largest (from 0) is the maximum of
    C(n - 1 - k, h - 1) of the C(n, h) choices. Folds that no picture fell into hold 0 and are
    left out. None with fewer than two folds.
    """
    filled = sorted((float(fold) for fold in folds if fold > 0), reverse=True)
    count, half = len(filled), len(filled) // 2
    if not half:
        return None
    ways = (comb(count - 1 - place, half - 1) for place in range(count - half + 1))
    expected = sum(way * value for way, value in zip(ways, filled, strict=False))
    return expected / comb(count, half) / filled[0]


def input_channels(moments: MomentsLike) -> tuple[InputChannel, ...]:
    """Evidence of one input, channel by channel."""
    rows = zip(moments.low, moments.high, moments.mean, moments.std, strict=True)
    return tuple(InputChannel(*map(float, row)) for row in rows)
