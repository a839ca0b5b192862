"""Percentiles are by nearest rank, and stated only with an interval that covers the truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesdk.report.statistics import interval_ranks, quantile, samples_needed, summarize

latencies = st.lists(st.floats(0.001, 1e4), min_size=2, max_size=500)


@given(latencies, st.sampled_from([50, 90, 95, 99]))
def test_a_percentile_is_numpys_inverted_cdf(values: list[float], percent: int) -> None:
    found = quantile(np.sort(values), percent)
    if found.ms is not None:
        expected = np.percentile(values, percent, method="inverted_cdf")
        assert found.ms == pytest.approx(expected, abs=1e-6)


@given(latencies)
def test_everything_lies_in_order(values: list[float]) -> None:
    found = summarize(np.array(values))
    stated = [q for q in (found.median, found.p90, found.p95, found.p99) if q.ms is not None]
    points = [found.min_ms, *(q.ms for q in stated), found.max_ms]
    assert points == sorted(points)
    for q in stated:
        assert q.low_ms <= q.ms <= q.high_ms


@pytest.mark.parametrize(
    ("count", "percent", "ranks"),
    [
        # The sign-test interval of the median, as printed in statistics tables.
        (6, 50, (1, 6)),
        (10, 50, (2, 9)),
        (20, 50, (6, 15)),
        (100, 50, (40, 61)),
    ],
)
def test_the_medians_interval_is_that_of_the_tables(
    count: int, percent: int, ranks: tuple[int, int]
) -> None:
    assert interval_ranks(count, percent) == ranks


@pytest.mark.parametrize(("percent", "needs"), [(50, 6), (90, 36), (95, 72), (99, 368)])
def test_a_percentile_needs_enough_samples_that_its_interval_ends(percent: int, needs: int) -> None:
    assert samples_needed(percent) == needs
    # Chance that all samples lie below the percentile: 2.5 % is allowed.
    assert (percent / 100) ** needs <= 0.025 < (percent / 100) ** (needs - 1)
    assert interval_ranks(needs - 1, percent) is None
    assert interval_ranks(needs, percent) == (pytest.approx(needs * percent / 100, abs=25), needs)


def test_p99_of_a_hundred_samples_is_refused_and_says_what_it_needs() -> None:
    found = summarize(np.linspace(1, 2, 100)).p99
    assert (found.ms, found.low_ms, found.high_ms, found.needs) == (None, None, None, 368)


@pytest.mark.parametrize("percent", [50, 99])
def test_the_interval_covers_the_true_percentile_nineteen_times_in_twenty(percent: int) -> None:
    rng = np.random.default_rng(7)
    truth = -np.log(1 - percent / 100)  # of the exponential distribution
    low, high = interval_ranks(400, percent)
    draws = np.sort(rng.exponential(size=(2000, 400)), axis=1)
    covered = np.mean((draws[:, low - 1] <= truth) & (truth <= draws[:, high - 1]))
    assert covered >= 0.94  # 0.95 less two standard errors of 2000 draws


def test_a_very_long_run_does_not_underflow() -> None:
    low, high = interval_ranks(200_000, 99)
    assert low < 198_000 < high
    assert high - low < 200  # 2 x 1.96 x sqrt(n p q) = 174


def test_mean_deviation_and_cv_are_those_of_the_sample() -> None:
    found = summarize(np.array([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]))
    assert found.mean_ms == 5
    assert found.std_ms == pytest.approx((32 / 7) ** 0.5, abs=1e-6)
    assert found.cv_percent == pytest.approx(100 * (32 / 7) ** 0.5 / 5, abs=1e-6)


def test_one_sample_is_no_distribution() -> None:
    with pytest.raises(ValueError, match="at least 2 samples, found 1"):
        summarize(np.array([1.0]))
