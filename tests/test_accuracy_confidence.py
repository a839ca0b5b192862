"""Is a classifier as often right as it says? Truth by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesdk.accuracy import fit_temperature, reliability
from edgesdk.accuracy.confidence import log_loss, softmax
from edgesdk.errors import DataError


def test_nine_of_ten_right_at_nine_tenths_is_no_error() -> None:
    probabilities = np.tile([0.9, 0.1], (10, 1))
    assert reliability(probabilities, np.array([0] * 9 + [1])).ece == pytest.approx(0)


def test_the_error_is_the_mean_gap_weighted_by_pictures() -> None:
    # Four pictures at 0.95 of which two are right; one at 0.65 that is right.
    probabilities = np.array([[0.95, 0.05]] * 4 + [[0.65, 0.35]])
    found = reliability(probabilities, np.array([0, 0, 1, 1, 0]), bins=10)
    assert found.counts.tolist() == [0, 0, 0, 0, 0, 0, 1, 0, 0, 4]
    assert found.accuracy[9] == 0.5
    assert found.confidence[9] == pytest.approx(0.95)
    assert np.isnan(found.accuracy[0])
    assert found.ece == pytest.approx((4 * 0.45 + 1 * 0.35) / 5)


def test_a_confidence_on_an_edge_is_in_the_bin_below_it() -> None:
    found = reliability(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([0, 0]), bins=2)
    assert found.counts.tolist() == [1, 1]


@given(st.floats(0.2, 10))
def test_the_temperature_is_the_one_that_makes_three_of_four_three_quarters(true: float) -> None:
    # p = 3/4 needs a logit of ln 3: the model says `true` times that.
    logits = np.tile([true * math.log(3), 0.0], (4, 1))
    assert fit_temperature(logits, np.array([0, 0, 0, 1])) == pytest.approx(true, rel=1e-4)


def test_after_fitting_what_was_too_sure_is_as_often_right_as_it_says() -> None:
    random = np.random.default_rng(0)
    honest = random.normal(0, 2, (20_000, 3))
    drawn = honest + random.gumbel(size=honest.shape)  # its argmax has softmax(honest)
    truth, sure = drawn.argmax(axis=1), 2.5 * honest
    temperature = fit_temperature(sure[:10_000], truth[:10_000])
    assert temperature == pytest.approx(2.5, rel=0.05)
    before = reliability(softmax(sure[10_000:]), truth[10_000:]).ece
    after = reliability(softmax(sure[10_000:], temperature), truth[10_000:]).ece
    assert after < 0.02 < 0.1 < before


def test_the_log_loss_of_a_coin_is_ln_2() -> None:
    assert log_loss(np.zeros((3, 2)), np.array([0, 1, 1])) == pytest.approx(math.log(2))


def test_no_pictures_or_other_shapes_are_an_error() -> None:
    with pytest.raises(DataError, match="N at least 1"):
        fit_temperature(np.empty((0, 3)), np.empty(0, int))
    with pytest.raises(DataError, match=r"\(2, 3\) and \(3,\)"):
        reliability(np.zeros((2, 3)), np.zeros(3, int))
