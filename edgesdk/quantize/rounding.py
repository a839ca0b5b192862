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
WIDEST = 4608
"""Columns; a wider layer is rounded to nearest: the inverse would take minutes."""


def round_to_output(matrix: Floats, scales: Floats, inputs: Floats) -> NDArray[np.int8]:
    """INT8 weights (groups, rows, columns).

    `matrix` is what the float layer multiplies with, `scales` (groups, rows) one for each row,
    `inputs` (groups, places, columns) what the INT8 layer reads. Means of the inputs are taken
    out: a bias carries them.
    """
    centered = inputs - inputs.mean(axis=1, keepdims=True)
    moments = (np.swapaxes(centered, 1, 2) @ centered).astype(np.float64) / inputs.shape[1]
    spread = np.diagonal(moments, axis1=1, axis2=2)
    mean = spread.mean(axis=1)
    alone = np.arange(moments.shape[1])
    damped = moments.copy()
    # A group whose inputs never vary gets the unit matrix, with which rounding is to nearest.
    damped[:, alone, alone] += np.where(mean > 0, DAMPING * mean, 1.0)[:, None]
    order = np.argsort(-spread, axis=1, kind="stable")
    damped = np.take_along_axis(damped, order[:, :, None], axis=1)
    damped = np.take_along_axis(damped, order[:, None, :], axis=2)
    # Row k of the factor tells how the error of column k is spread over the columns behind it.
    factor = np.swapaxes(np.linalg.cholesky(np.linalg.inv(damped)), 1, 2)
    sorted_matrix = np.take_along_axis(matrix.astype(np.float64), order[:, None, :], axis=2)
    rounded = _round_columns(sorted_matrix, scales.astype(np.float64)[:, :, None], factor)
    back = np.empty_like(rounded)
    np.put_along_axis(back, np.broadcast_to(order[:, None, :], rounded.shape), rounded, axis=2)
    return back


def _round_columns(matrix: Reals, steps: Reals, factor: Reals) -> NDArray[np.int8]:
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
