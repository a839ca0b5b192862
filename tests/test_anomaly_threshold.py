"""A threshold keeps what it promises, and says what its pictures are too few to promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesdk.accuracy.false_rejects import beta_quantile, find_threshold, rate_interval
from edgesdk.accuracy.ranking_quality import ScoreTable, auroc
from edgesdk.errors import DataError


@pytest.mark.parametrize(
    ("events", "trials", "low", "high"),
    [(0, 10, 0.0, 0.3085), (1, 10, 0.0025, 0.4450), (5, 100, 0.0164, 0.1128), (10, 10, 0.6915, 1)],
)
def test_the_interval_of_a_rate_is_that_of_the_tables(
    events: int, trials: int, low: float, high: float
) -> None:
    """Clopper and Pearson at 95 %, as printed in textbooks."""
    assert rate_interval(events, trials) == pytest.approx((low, high), abs=5e-5)


def test_none_of_300_bounds_a_rate_by_the_rule_of_three() -> None:
    assert beta_quantile(0.95, 1, 300) == pytest.approx(3 / 300, rel=0.01)


def test_a_threshold_turns_down_the_share_that_was_allowed() -> None:
    scores = np.random.default_rng(1).permutation(np.arange(1, 1000, dtype=np.float32))
    found = find_threshold(scores, 0.005)
    # Of 999 scores, 4 lie above the 995th: (999 + 1 - 995) / 1000 = 0.5 % are to be expected.
    assert 995 < found.value < 996
    assert (found.rejected, found.rate, found.note) == (4, pytest.approx(0.005), "")
    assert found.rate_low < 0.005 < found.rate_high


def test_too_few_pictures_promise_nothing_and_say_so() -> None:
    found = find_threshold(list(range(100)), 0.005)
    assert found.value == np.nextafter(np.float32(99), np.float32(np.inf))
    assert (found.rejected, found.promised) == (0, False)
    assert found.rate_high == pytest.approx(1 - 0.025 ** (1 / 100))
    assert "199 or more are needed" in found.note
    assert "rule of three" in found.note
    assert find_threshold(list(range(199)), 0.005).promised


def test_the_expected_rate_and_its_interval_hold_for_new_parts() -> None:
    rng = np.random.default_rng(7)
    rates, inside = [], 0
    for _ in range(2000):
        found = find_threshold(rng.random(60), 0.05)
        rate = 1 - found.value  # of a uniform score
        rates.append(rate)
        inside += found.rate_low <= rate <= found.rate_high
    assert np.mean(rates) == pytest.approx(3 / 61, rel=0.05)
    assert inside / 2000 == pytest.approx(0.95, abs=0.015)


def test_parts_with_the_same_score_are_all_good_or_all_bad() -> None:
    found = find_threshold([1.0] * 30 + [2.0], 0.1)
    assert 1 < found.value < 2
    assert found.rejected == 1


@pytest.mark.parametrize("scores", [[1.0] * 9, [float("nan")] * 20, [float("inf")] * 20])
def test_scores_that_cannot_set_a_threshold_are_refused(scores: list[float]) -> None:
    with pytest.raises(DataError, match="needs the scores of 10 or more good pictures"):
        find_threshold(scores, 0.01)


pictures = st.lists(
    st.tuples(st.integers(0, 5), st.booleans(), st.integers(0, 3)), min_size=1, max_size=12
)


@given(pictures)
def test_auroc_is_the_share_of_pairs_in_the_right_order(
    drawn: list[tuple[int, bool, int]],
) -> None:
    """Counted pair by pair, ties half, each picture as often as it was drawn."""
    scores, bad, weights = (np.array(column) for column in zip(*drawn, strict=True))
    right = total = 0.0
    for one, is_bad, often in drawn:
        for other, other_bad, other_often in drawn:
            if is_bad and not other_bad:
                pairs = often * other_often
                total += pairs
                right += pairs * (one > other) + pairs * (one == other) / 2
    found = ScoreTable(scores, bad).figures(weights[None])[0, 0]
    assert np.isnan(found) if total == 0 else found == pytest.approx(right / total)


def test_auroc_of_scores_in_order_is_one() -> None:
    assert auroc([0.1, 0.2, 0.8, 0.9], [False, False, True, True]) == 1
    assert auroc([0.9, 0.2, 0.8, 0.1], [False, False, True, True]) == 0.25
