"""Evidence from the statistics of calibration: of ranges, and of the model's inputs."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgesdk.bundle import InputChannel, RangeEvidence

Reals = NDArray[np.floating]


class PeakLike(Protocol):
    """The largest magnitude of a tensor in one picture."""

    @property
    def value(self) -> float:
        """The magnitude."""
        ...

    @property
    def picture(self) -> str:
        """The picture's name."""
        ...


class PeaksLike(Protocol):
    """What is known of the largest magnitudes of single pictures."""

    @property
    def highest(self) -> Sequence[PeakLike]:
        """The two largest, descending."""
        ...

    @property
    def folds(self) -> Sequence[float]:
        """The largest of each of some parts that the pictures fall into by their names."""
        ...


class MomentsLike(Protocol):
    """Statistics of an input by channel."""

    @property
    def lowest(self) -> Sequence[float]:
        """By channel."""
        ...

    @property
    def highest(self) -> Sequence[float]:
        """By channel."""
        ...

    @property
    def mean(self) -> Sequence[float]:
        """By channel."""
        ...

    @property
    def std(self) -> Sequence[float]:
        """By channel."""
        ...


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
    highest = peaks.highest if peaks else ()
    if not highest:
        return "", None
    second = highest[1].value if len(highest) > 1 else 0.0
    return highest[0].picture, float(highest[0].value / second) if second > 0 else None


def half_share(folds: Sequence[float]) -> float | None:
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
    rows = zip(moments.lowest, moments.highest, moments.mean, moments.std, strict=True)
    return tuple(InputChannel(*map(float, row)) for row in rows)
