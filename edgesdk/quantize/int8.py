"""The arithmetic of symmetric INT8 in numpy: what Q/DQ nodes compute, to try things without a run.

q = clip(round_half_even(x / scale), -127, 127), scale = amax / 127.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgesdk.tensors import Floats

LEVELS = 127


def fake_quantize(values: Floats, amax: float) -> Floats:
    """The values as INT8 with this range would hold them; shape as given."""
    if amax <= 0:
        return np.zeros_like(values)
    scale = np.float32(amax / LEVELS)
    rounded: Floats = np.divide(values, scale, dtype=np.float32)
    np.rint(rounded, out=rounded)
    np.clip(rounded, -LEVELS, LEVELS, out=rounded)
    rounded *= scale
    return rounded


def weight_scales(weight: Floats, axis: int) -> Floats:
    """amax/127 for each output channel; an all-zero channel gets the scale 1/127."""
    others = tuple(i for i in range(weight.ndim) if i != axis)
    amax = np.abs(weight).max(axis=others)
    # The smallest scale whose inverse is still finite: a scale of 0 is refused by TensorRT.
    amax = np.where(amax > 0, np.maximum(amax, np.finfo(np.float32).tiny * LEVELS), 1.0)
    scales: Floats = (amax / LEVELS).astype(np.float32)
    return scales


def round_weight(weight: Floats, scales: Floats, axis: int) -> NDArray[np.int8]:
    """Round half to even onto -127..127."""
    shape = [1] * weight.ndim
    shape[axis] = -1
    rounded = np.clip(np.rint(weight / scales.reshape(shape)), -LEVELS, LEVELS)
    stored: NDArray[np.int8] = rounded.astype(np.int8)
    return stored
