"""What a pass keeps of each tensor: the same for any order and any merging, and true."""

from __future__ import annotations

import random
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesdk.calibration.moments import Moments
from edgesdk.calibration.peaks import FOLDS, Peaks, fold
from edgesdk.calibration.statistics import TensorStatistics

magnitudes = st.floats(0, 2.0**127, width=32)
pictures = st.lists(st.tuples(st.text(min_size=1, max_size=3), magnitudes), min_size=1, max_size=12)


def peaks_of(items: Sequence[tuple[str, float]]) -> Peaks:
    made = Peaks()
    for picture, value in items:
        made.add(picture, value)
    return made


@given(pictures)
def test_peaks_are_those_of_the_pictures(items: list[tuple[str, float]]) -> None:
    found = peaks_of(items)
    exact = sum((Fraction(value) for _, value in items), Fraction(0)) / len(items)
    assert found.mean == float(exact)
    expected = sorted(items, key=lambda item: (-item[1], item[0]))[:2]
    assert [(peak.picture, peak.value) for peak in found.highest] == expected
    for part in range(FOLDS):
        inside = [value for picture, value in items if fold(picture) == part]
        assert found.folds[part] == max(inside, default=0.0)


@given(pictures, st.integers(0, 12), st.integers(0, 12), st.randoms())
def test_peaks_do_not_depend_on_order_or_merging(
    items: list[tuple[str, float]], one: int, two: int, dice: random.Random
) -> None:
    whole = peaks_of(items)
    shuffled = list(items)
    dice.shuffle(shuffled)
    a, b = sorted((one, two))
    parts = [peaks_of(shuffled[:a]), peaks_of(shuffled[a:b]), peaks_of(shuffled[b:])]
    left = Peaks()
    for part in parts:
        left.merge(part)
    right = parts[2]
    right.merge(parts[1])
    right.merge(parts[0])
    assert left == right == whole


def test_folds_know_whether_more_pictures_still_raise_the_range() -> None:
    # The eighth part with the highest peak is left out: the rest is what was seen before.
    found = peaks_of([(f"p{i}", float(i)) for i in range(400)])
    assert max(found.folds) == 399
    assert min(found.folds) > 300


def test_a_picture_s_part_is_the_same_on_every_machine() -> None:
    # Worked out by hand: CRC-32 of "a" is 0xE8B7BE43.
    assert fold("a") == 0xE8B7BE43 % 8


def one_picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(100, 30, (3, 50)).astype(np.float32)


def moments_of(arrays: Sequence[np.ndarray]) -> Moments:
    made = Moments()
    for rows in arrays:
        made.add(rows, rows.min(axis=1), rows.max(axis=1))
    return made


def test_moments_are_those_of_the_values() -> None:
    arrays = [one_picture(seed) for seed in range(7)]
    found = moments_of(arrays)
    values = np.concatenate(arrays, axis=1).astype(np.float64)
    np.testing.assert_allclose(found.mean, values.mean(axis=1), rtol=1e-9)
    np.testing.assert_allclose(found.std, values.std(axis=1), rtol=1e-9)
    np.testing.assert_array_equal(found.lowest, values.min(axis=1))
    np.testing.assert_array_equal(found.highest, values.max(axis=1))


@given(st.permutations(range(6)), st.integers(0, 6))
def test_moments_do_not_depend_on_order_or_merging(order: list[int], cut: int) -> None:
    merged = moments_of([one_picture(seed) for seed in order[:cut]])
    merged.merge(moments_of([one_picture(seed) for seed in order[cut:]]))
    assert merged == moments_of([one_picture(seed) for seed in range(6)])


def test_tensors_with_another_number_of_channels_cannot_be_merged() -> None:
    one, other = TensorStatistics(0), TensorStatistics(0)
    one.histogram.add(np.ones((2, 3), np.float32))
    other.histogram.add(np.ones((3, 3), np.float32))
    with pytest.raises(ValueError, match="2 channels before, 3 now"):
        one.merge(other)
