"""Observers: each range against what the values themselves say."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from edgesdk.calibration import find_observer
from edgesdk.calibration.histogram import ChannelHistogram, Histogram
from edgesdk.calibration.observers import (
    ObserverName,
    Percentile,
    saturated_share,
    squared_error,
)
from edgesdk.calibration.statistics import TensorStatistics

OBSERVERS = get_args(ObserverName)
SHAPES = ["normal", "relu", "outlier", "uniform", "silu"]


def whole(data: np.ndarray) -> Histogram:
    made = ChannelHistogram(axis=0)
    made.add(data[None])
    return made.whole()


def sample(shape: str, size: int = 100_000) -> np.ndarray:
    rng = np.random.default_rng(0)
    data = rng.normal(size=size)
    return {
        "normal": data,
        "relu": np.maximum(data, 0),
        "outlier": np.append(data, 100.0),
        "uniform": rng.uniform(-2, 2, size),
        "silu": data / (1 + np.exp(-data)),
    }[shape].astype(np.float32)


def test_minmax_takes_the_largest_magnitude() -> None:
    h = whole(np.array([-3.25, 1, 2], np.float32))
    assert find_observer("minmax").amax(h) == 3.25
    assert saturated_share(h, 3.25) == 0


@pytest.mark.parametrize("shape", SHAPES)
def test_the_error_of_a_range_is_that_of_the_values_themselves(shape: str) -> None:
    data = sample(shape)

    def error(amax: float) -> float:
        scale = amax / 127
        rounded = np.clip(np.rint(data / scale), -127, 127) * scale
        return float(np.square(data - rounded).sum(dtype=np.float64))

    h = whole(data)
    largest = float(np.abs(data).max())
    for share in (0.1, 0.5, 0.9, 1.0):
        assert squared_error(h, share * largest) == pytest.approx(error(share * largest), rel=0.05)
    best = min(error(largest * i / 128) for i in range(1, 129))
    assert error(find_observer("mse").amax(h)) <= 1.03 * best


def test_mse_gives_up_a_lone_outlier() -> None:
    rng = np.random.default_rng(0)
    data = np.append(rng.normal(size=200_000), 100).astype(np.float32)
    assert find_observer("mse").amax(whole(data)) < 50


def test_a_tensor_that_is_always_zero_has_the_range_zero() -> None:
    h = whole(np.zeros(16, np.float32))
    assert all(find_observer(name).amax(h) == 0 for name in OBSERVERS)


def test_the_saturated_share_is_that_of_the_values() -> None:
    h = whole(np.arange(1, 101, dtype=np.float32))
    assert saturated_share(h, 90) == pytest.approx(0.10, abs=0.011)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("percent", [90.0, 99.0, 99.99])
def test_the_percentile_is_that_of_the_values(shape: str, percent: float) -> None:
    data = sample(shape)
    expected = float(np.percentile(np.abs(data), percent))
    # A bin is 6 % wide; inside it, values are taken as spread evenly.
    assert Percentile(percent).amax(whole(data)) == pytest.approx(expected, rel=0.02)


def test_a_hundred_percent_is_the_largest_magnitude() -> None:
    data = sample("outlier")
    assert Percentile(100).amax(whole(data)) == 100


def test_a_sparse_tensor_is_not_cut_off_at_zero() -> None:
    data = np.zeros(100_000, np.float32)
    data[0] = 3
    assert Percentile(99.99).amax(whole(data)) == 3


@pytest.mark.parametrize("percent", [0.0, -1.0, 100.1])
def test_an_impossible_percentile_is_refused(percent: float) -> None:
    with pytest.raises(ValueError, match="percentile"):
        Percentile(percent)


def divergences(data: np.ndarray, ranges: list[int]) -> dict[int, float]:
    """KL(P || Q) of ranges of so many of 2048 equal bins, straight from the values."""
    counts, _ = np.histogram(np.abs(data), bins=2048, range=(0, float(np.abs(data).max())))
    counts = counts.astype(np.float64)
    counts[0] = counts[1]
    found = {}
    for used in ranges:
        p = counts[:used].copy()
        p[-1] += counts[used:].sum()
        q = np.zeros(used)
        for level in range(128):
            start, stop = level * used // 128, (level + 1) * used // 128
            alive = p[start:stop] > 0
            if alive.any():
                q[start:stop] = counts[start:stop].sum() / alive.sum()
        here = p > 0
        p, q = p[here], np.maximum(q[here], 0.5)
        p, q = p / p.sum(), q / q.sum()
        found[used] = float(np.sum(p * np.log(p / q)))
    return found


@pytest.mark.parametrize("shape", ["normal", "relu", "outlier", "silu"])
def test_entropy_finds_the_range_of_least_divergence(shape: str) -> None:
    data = sample(shape, 1_000_000)
    amax = find_observer("entropy").amax(whole(data))
    used = round(amax / float(np.abs(data).max()) * 2048)
    expected = divergences(data, [*range(128, 2049, 16), used])
    best = min(expected, key=lambda some: expected[some])
    # SiLU's values crowd at its least one, 0.278, more sharply than a bin of 6 % can tell.
    near = abs(used - best) <= (0.12 if shape == "silu" else 0.05) * best
    # The valley is flat: another range is as good when the values lose no more by it.
    assert near or expected[used] <= 1.1 * expected[best]


def test_entropy_gives_up_a_lone_outlier() -> None:
    assert find_observer("entropy").amax(whole(sample("outlier"))) < 10


def test_the_moving_average_is_the_mean_of_the_pictures_own_peaks() -> None:
    rng = np.random.default_rng(0)
    peaks = [float(np.float32(value)) for value in rng.uniform(1, 50, 20)]
    found = TensorStatistics(0)
    for index, peak in enumerate(peaks):
        found.histogram.add(np.array([[peak, -peak / 3]], np.float32))
        found.peaks.add(f"p{index}", peak)
    observer = find_observer("moving-average")
    assert observer.amax(found.whole()) == pytest.approx(np.mean(peaks), rel=1e-15)
    # Rescaled channels: the same share of the largest magnitude.
    assert observer.amax(found.whole(np.array([3]))) == pytest.approx(8 * np.mean(peaks))


def test_the_moving_average_of_one_histogram_is_its_largest() -> None:
    assert find_observer("moving-average").amax(whole(np.array([1, -2], np.float32))) == 2


@pytest.mark.parametrize("name", OBSERVERS)
def test_every_observer_works_on_rescaled_channels(name: ObserverName) -> None:
    rng = np.random.default_rng(0)
    data = rng.normal(size=(4, 20_000)).astype(np.float32)
    shifts = np.array([0, 1, -2, 3])
    moved, rescaled = ChannelHistogram(0), ChannelHistogram(0)
    moved.add(data)
    rescaled.add(np.ldexp(data, shifts[:, None]).astype(np.float32))
    observer = find_observer(name)
    assert observer.name == name
    assert observer.amax(moved.whole(shifts)) == observer.amax(rescaled.whole())
    assert 0 < observer.amax(moved.whole()) <= np.abs(data).max()
