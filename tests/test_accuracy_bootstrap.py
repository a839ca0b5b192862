"""An interval holds the truth as often as it says, and the same pictures serve both models."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesdk.accuracy import AnswerTable, compare, split
from edgesdk.accuracy.bootstrap import draw_weights
from edgesdk.bundle import TaskMetric


def drop_of(before: list[bool], after: list[bool], **settings: int) -> TaskMetric:
    (metric,) = compare(AnswerTable(before), AnswerTable(after), len(before), **settings)
    return metric


def test_every_draw_has_as_many_pictures_as_there_are() -> None:
    weights = np.concatenate(list(draw_weights(64, 200)))
    assert weights.shape == (200, 64)
    assert (weights.sum(axis=1) == 64).all()
    # With replacement, a picture is missing from a draw with probability (1 - 1/64)^64 = .365.
    assert (weights == 0).mean() == pytest.approx((1 - 1 / 64) ** 64, abs=0.01)
    again = np.concatenate(list(draw_weights(64, 200)))
    assert (again == weights).all(), "the same build gives the same interval"


def test_the_interval_is_that_of_the_binomial() -> None:
    # 10 of 100 pictures are lost: the drop's standard error is sqrt(.1 * .9 / 100) = .03.
    metric = drop_of([True] * 100, [True] * 90 + [False] * 10)
    assert metric.drop == pytest.approx(0.1)
    assert metric.drop_low == pytest.approx(0.1 - 1.96 * 0.03, abs=0.012)
    assert metric.drop_high == pytest.approx(0.1 + 1.96 * 0.03, abs=0.012)
    assert (metric.level, metric.draws) == (0.95, 1000)
    assert metric.float_interval == (1, 1)


def test_pairing_makes_a_drop_surer_than_either_figure() -> None:
    rng = np.random.default_rng(1)
    before = (rng.random(200) < 0.6).tolist()
    after = [b and i % 20 != 0 for i, b in enumerate(before)]  # 1 in 20 is lost, none is won
    metric = drop_of(before, after)
    assert metric.bundle_interval is not None
    assert metric.drop_low is not None
    assert metric.drop_high is not None
    low, high = metric.bundle_interval
    assert metric.drop_high - metric.drop_low < (high - low) / 2


def test_the_true_drop_lies_inside_about_as_often_as_promised() -> None:
    rng = np.random.default_rng(3)
    inside = 0
    for _ in range(200):
        right = rng.random(100) < 0.7
        other = np.where(rng.random(100) < 0.15, rng.random(100) < 0.5, right)
        # E[right - other] = .15 * (.7 - .5)
        metric = drop_of(right.tolist(), other.tolist(), draws=300)
        assert metric.drop_low is not None
        assert metric.drop_high is not None
        inside += metric.drop_low <= 0.03 <= metric.drop_high
    assert 0.88 <= inside / 200 <= 0.99


def test_no_difference_in_few_pictures_is_no_proof_of_none() -> None:
    same = [True] * 50
    metric = drop_of(same, same)
    # Were 7.1 % of all pictures different, 50 would show none with probability .929^50 = .025.
    assert (metric.drop_low, metric.drop_high) == pytest.approx((-0.0711, 0.0711), abs=1e-4)
    (exact,) = compare(AnswerTable(same), AnswerTable(same), 50, exact=True)
    assert (exact.drop_low, exact.drop_high) == (0, 0), "unless the outputs are the same anyway"


def test_very_many_pictures_are_drawn_in_blocks_and_less_often() -> None:
    blocks = list(draw_weights(1_500_000, 3))
    assert [block.shape for block in blocks] == [(1, 1_500_000)] * 3
    before = [True] * 20_000
    after = [i % 10 != 0 for i in range(20_000)]
    metric = drop_of(before, after)
    assert metric.draws == 250
    assert metric.drop_low == pytest.approx(0.1 - 1.96 * np.sqrt(0.09 / 20_000), abs=0.001)


def test_one_picture_has_a_figure_and_no_interval() -> None:
    metric = drop_of([True], [False])
    assert metric == TaskMetric("top-1", 1.0, 0.0)
    assert drop_of([True] * 9, [False] * 9, draws=0).drop_low is None


def test_a_wide_interval_cannot_tell_a_small_drop() -> None:
    metric = TaskMetric("mAP50", 0.5, 0.49, 0.0, 0.02, (0.4, 0.6), (0.4, 0.6), 0.95, 1000)
    assert metric.can_tell(0.03)
    assert not metric.can_tell(0.01)
    assert metric.relative_drop == pytest.approx(0.02)


names = st.lists(st.text(max_size=8), max_size=30, unique=True)


@given(names, st.floats(0, 1), st.randoms())
def test_the_parts_are_disjoint_and_do_not_depend_on_the_order(
    pictures: list[str], share: float, random: object
) -> None:
    first, rest = split(pictures, share)
    assert sorted(first + rest) == list(range(len(pictures)))
    shuffled = list(pictures)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    again = {shuffled[i] for i in split(shuffled, share)[0]}
    assert again == {pictures[i] for i in first}


def test_each_part_gets_its_share() -> None:
    files = [f"{i:012}.jpg" for i in range(64)]
    first, rest = split(files, 0.25)
    assert (len(first), len(rest)) == (16, 48)
    assert first != tuple(range(16)), "neighbours are often frames of one video"
    assert [len(part) for part in split(["a", "b"], 0.01)] == [1, 1]
    with pytest.raises(ValueError, match="found 1"):
        split(files, 1.5)
