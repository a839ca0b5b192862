"""Weights rounded for the layer's output: never worse than the nearest levels where fitted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesdk.quantize.rounding import DAMPING, round_to_output


def correlated(rng: np.random.Generator, places: int, columns: int) -> np.ndarray:
    mixed = rng.normal(size=(columns, columns)) * 10 ** rng.uniform(-2, 1, columns)
    return (rng.normal(size=(places, columns)) @ mixed).astype(np.float32)


def scales_of(matrix: np.ndarray) -> np.ndarray:
    largest = np.abs(matrix).max(axis=2)
    return (np.where(largest > 0, largest, 1) / 127).astype(np.float32)


def nearest(matrix: np.ndarray, scales: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(matrix / scales[:, :, None]), -127, 127)


def errors(
    matrix: np.ndarray, scales: np.ndarray, inputs: np.ndarray, levels: np.ndarray
) -> np.ndarray:
    """Squared error of each row's output, means taken out."""
    wrong = matrix.astype(np.float64) - levels * scales[:, :, None].astype(np.float64)
    output = inputs.astype(np.float64) @ np.swapaxes(wrong, 1, 2)
    return np.var(output, axis=1) * inputs.shape[1]


def centred(inputs: np.ndarray) -> np.ndarray:
    return inputs - inputs.mean(axis=1, keepdims=True)


def textbook(matrix: np.ndarray, scale: float, inputs: np.ndarray) -> np.ndarray:
    """GPTQ of one row, one column at a time (Frantar et al. 2022, algorithm without blocks).

    The inverse Hessian of the columns not yet rounded is made anew at each step.
    """
    centred = inputs.astype(np.float64) - inputs.mean(axis=0, dtype=np.float64)
    hessian = centred.T @ centred / len(inputs)
    order = np.argsort(-np.diagonal(hessian), kind="stable")
    hessian = hessian + np.eye(len(hessian)) * DAMPING * np.diagonal(hessian).mean()
    weight, levels = matrix.astype(np.float64).copy(), np.zeros(len(matrix))
    for step, column in enumerate(order):
        rest = order[step:]
        inverse = np.linalg.inv(hessian[np.ix_(rest, rest)])
        levels[column] = np.clip(np.rint(weight[column] / scale), -127, 127)
        error = (weight[column] - levels[column] * scale) / inverse[0, 0]
        weight[rest] -= error * inverse[0]
    return levels


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 2**32), st.integers(1, 3), st.integers(1, 4), st.integers(1, 90),
    st.integers(2, 200),
)  # fmt: skip
def test_no_row_is_further_off_than_with_the_nearest_levels(
    seed: int, groups: int, rows: int, columns: int, places: int
) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.standard_t(3, size=(groups, rows, columns)).astype(np.float32)
    inputs = np.stack([correlated(rng, places, columns) for _ in range(groups)])
    inputs += rng.normal(size=columns).astype(np.float32) * 3
    scales = scales_of(matrix) * np.float32(rng.uniform(0.5, 1))  # some weights saturate
    levels = round_to_output(matrix, scales, centred(inputs))
    assert levels.dtype == np.int8
    assert np.abs(levels.astype(int)).max() <= 127
    ours = errors(matrix, scales, inputs, levels)
    theirs = errors(matrix, scales, inputs, nearest(matrix, scales))
    assert (ours <= theirs * (1 + 1e-4) + 1e-9 * theirs.max()).all()


def test_correlated_inputs_gain_much() -> None:
    rng = np.random.default_rng(3)
    matrix = rng.normal(size=(1, 8, 64)).astype(np.float32)
    inputs = correlated(rng, 500, 64)[None]
    scales = scales_of(matrix)
    gain = errors(matrix, scales, inputs, nearest(matrix, scales)).sum()
    gain /= errors(matrix, scales, inputs, round_to_output(matrix, scales, centred(inputs))).sum()
    assert gain > 1.8


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32), st.integers(2, 150))
def test_it_is_the_textbook_s_loop_wherever_that_is_better_than_the_nearest_levels(
    seed: int, columns: int
) -> None:
    """More than BLOCK columns, too: gathering updates changes nothing."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(1, 1, columns)).astype(np.float32)
    inputs = correlated(rng, 300, columns)[None]
    scales = scales_of(matrix)
    expected = textbook(matrix[0, 0], float(scales[0, 0]), inputs[0])
    plain = nearest(matrix, scales)
    both = [errors(matrix, scales, inputs, one)[0, 0] for one in (plain, expected[None, None])]
    levels = round_to_output(matrix, scales, centred(inputs))
    if both[1] < both[0] * 0.999:
        # A weight in the middle between two levels may fall to either.
        same = (levels[0, 0] == expected).mean()
        error = errors(matrix, scales, inputs, levels)[0, 0]
        assert same == 1 or error == pytest.approx(both[1], rel=0.2)


def test_uncorrelated_inputs_ask_for_the_nearest_levels() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(2, 5, 8)).astype(np.float32)
    # Columns of a Hadamard matrix: uncorrelated exactly, means zero (the column of ones left out).
    hadamard = np.array([[1]])
    for _ in range(4):
        hadamard = np.block([[hadamard, hadamard], [hadamard, -hadamard]])
    inputs = np.stack([hadamard[:, 1:9] * np.arange(1, 9)] * 2).astype(np.float32)
    scales = scales_of(matrix)
    np.testing.assert_array_equal(round_to_output(matrix, scales, inputs), nearest(matrix, scales))


def test_columns_that_are_never_used_are_rounded_to_nearest() -> None:
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(1, 3, 10)).astype(np.float32)
    inputs = correlated(rng, 100, 10)[None]
    inputs[:, :, [2, 7]] = 0
    scales = scales_of(matrix)
    levels = round_to_output(matrix, scales, centred(inputs))
    np.testing.assert_array_equal(levels[:, :, [2, 7]], nearest(matrix, scales)[:, :, [2, 7]])


@pytest.mark.parametrize("value", [0.0, 5.0])
def test_inputs_that_never_vary_ask_for_the_nearest_levels(value: float) -> None:
    matrix = np.random.default_rng(2).normal(size=(1, 3, 6)).astype(np.float32)
    inputs = np.full((1, 40, 6), value, np.float32)
    scales = scales_of(matrix)
    np.testing.assert_array_equal(
        round_to_output(matrix, scales, centred(inputs)), nearest(matrix, scales)
    )


def test_singular_moments_and_a_single_place_are_taken() -> None:
    rng = np.random.default_rng(4)
    matrix = rng.normal(size=(1, 3, 12)).astype(np.float32)
    scales = scales_of(matrix)
    twice = np.repeat(rng.normal(size=(1, 50, 6)), 2, axis=2).astype(np.float32)
    levels = round_to_output(matrix, scales, centred(twice))
    # Of a pair of equal columns only the sum of the weights counts.
    total = (levels * scales[:, :, None]).reshape(1, 3, 6, 2).sum(axis=3)
    wanted = matrix.reshape(1, 3, 6, 2).sum(axis=3)
    assert (np.abs(total - wanted) <= scales[:, :, None] * 0.51).mean() > 0.9
    one = rng.normal(size=(1, 1, 12)).astype(np.float32)
    np.testing.assert_array_equal(
        round_to_output(matrix, scales, centred(one)), nearest(matrix, scales)
    )


def test_a_row_of_zeros_stays_zero() -> None:
    rng = np.random.default_rng(5)
    matrix = rng.normal(size=(1, 2, 9)).astype(np.float32)
    matrix[0, 1] = 0
    levels = round_to_output(matrix, scales_of(matrix), centred(correlated(rng, 60, 9)[None]))
    assert not levels[0, 1].any()
    assert levels[0, 0].any()


def test_a_mean_that_no_bias_carries_is_kept_too() -> None:
    """Inputs that are not centred: their mean counts as any other error."""
    rng = np.random.default_rng(6)
    matrix = rng.normal(size=(1, 20, 30)).astype(np.float32)
    inputs = (rng.normal(size=(1, 400, 30)) * 0.01 + 4).astype(np.float32)
    scales = scales_of(matrix)

    def shift(levels: np.ndarray) -> float:
        wrong = matrix - levels * scales[:, :, None]
        return float(np.abs((inputs @ np.swapaxes(wrong, 1, 2)).mean(axis=1)).mean())

    kept = shift(round_to_output(matrix, scales, inputs))
    assert kept < shift(nearest(matrix, scales)) * 0.7
