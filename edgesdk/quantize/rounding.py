"""Rounding weights with an eye on what they are multiplied with (GPTQ).

Rounding a weight to the nearest level makes an error that the weights not yet rounded can make up
for: column by column, each error is spread over the columns that follow, so that the squared error
of the layer's output is least (Frantar et al., "GPTQ", arXiv:2210.17323; the update is that of
Optimal Brain Surgeon). Only second moments of the inputs are needed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgesdk.quantize.int8 import LEVELS
from edgesdk.tensors import Floats

Reals = NDArray[np.float64]

DAMPING = 0.01
"""Of the mean diagonal: keeps what few samples say of rare directions in bounds."""
BLOCK = 64
"""Columns whose updates are gathered before the rest of the matrix sees them."""
WIDEST = 2304
"""Columns; a wider layer is rounded to nearest: the inverse would take long, and hundreds of MB."""


def round_to_output(matrix: Floats, scales: Floats, inputs: Floats) -> NDArray[np.int8]:
    """INT8 weights (groups, rows, columns).

    `matrix` is what the float layer multiplies with, `scales` (groups, rows) one for each row,
    `inputs` (groups, places, columns) what the INT8 layer reads, its mean taken out where a bias
    carries that. No row's squared error on these inputs is larger than with the nearest levels.
    """
    moments = (np.swapaxes(inputs, 1, 2) @ inputs).astype(np.float64) / inputs.shape[1]
    spread = np.diagonal(moments, axis1=1, axis2=2)
    order = np.argsort(-spread, axis=1, kind="stable")
    weight = np.take_along_axis(matrix.astype(np.float64), order[:, None, :], axis=2)
    moments = np.take_along_axis(moments, order[:, :, None], axis=1)
    moments = np.take_along_axis(moments, order[:, None, :], axis=2)
    steps = scales.astype(np.float64)[:, :, None]
    nearest = np.clip(np.rint(weight / steps), -LEVELS, LEVELS).astype(np.int8)
    rounded = _round_columns(weight.copy(), steps, _spreading(moments))
    worse = _error(weight - rounded * steps, moments) > _error(weight - nearest * steps, moments)
    rounded[worse] = nearest[worse]
    back = np.empty_like(rounded)
    np.put_along_axis(back, np.broadcast_to(order[:, None, :], rounded.shape), rounded, axis=2)
    return back


def _spreading(moments: Reals) -> Reals:
    """Row k tells how the error of column k is spread over the columns behind it."""
    mean = np.diagonal(moments, axis1=1, axis2=2).mean(axis=1)
    alone = np.arange(moments.shape[1])
    damped = moments.copy()
    # A group whose inputs never vary gets the unit matrix, with which rounding is to nearest.
    damped[:, alone, alone] += np.where(mean > 0, DAMPING * mean, 1.0)[:, None]
    factor: Reals = np.swapaxes(np.linalg.cholesky(np.linalg.inv(damped)), 1, 2)
    return factor


def _error(wrong: Reals, moments: Reals) -> Reals:
    """Mean square of each row's output, (groups, rows), for weights that are off by `wrong`."""
    error: Reals = ((wrong @ moments) * wrong).sum(axis=2)
    return error


def _round_columns(matrix: Reals, steps: Reals, factor: Reals) -> NDArray[np.int8]:
    """Round column by column; `matrix` is used up."""
    rounded = np.empty(matrix.shape, np.int8)
    columns = matrix.shape[2]
    for start in range(0, columns, BLOCK):
        end = min(start + BLOCK, columns)
        errors = np.empty((*matrix.shape[:2], end - start))
        for k in range(start, end):
            column = matrix[:, :, k : k + 1]
            level = np.clip(np.rint(column / steps), -LEVELS, LEVELS)
            rounded[:, :, k : k + 1] = level
            error = (column - level * steps) / factor[:, None, k, k : k + 1]
            errors[:, :, k - start] = error[:, :, 0]
            matrix[:, :, k:end] -= error * factor[:, k : k + 1, k:end]
        matrix[:, :, end:] -= errors @ factor[:, start:end, end:]
    return rounded
