"""Where each column and row of a tensor looks in the picture: OpenCV's INTER_LINEAR for 8 bits.

A position is ((i + 0.5) * picture / resized - 0.5), in float32; the weights of its two neighbours
are whole numbers of 2048. The kernel only reads what is computed here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgesdk.preprocess import Preprocess

TAP = np.dtype(
    [
        ("first", np.uint16),
        ("second", np.uint16),
        ("first_weight", np.uint16),
        ("second_weight", np.uint16),
    ]
)
"""struct Tap of preprocess.cuh. Both weights 0: in the border."""
LARGEST = 65535
"""Pixels on a side of a picture, so that a Tap holds its last column."""
ONE = np.float32(2048)


def taps_of(preprocess: Preprocess, width: int, height: int) -> tuple[NDArray[np.void], ...]:
    """Taps of the tensor's columns and of its rows, for a picture of this size in pixels.

    The size after resizing and the offsets are those of `preprocess`.
    """
    new_w, new_h = preprocess.resized(width, height)
    placement = preprocess.placement(width, height)
    columns = _along(width, new_w)
    rows = _along(height, new_h)
    left, top = int(placement.offset_x), int(placement.offset_y)
    return _placed(columns, preprocess.width, left), _placed(rows, preprocess.height, top)


def _along(size: int, resized: int) -> NDArray[np.void]:
    """Taps of one side of the whole resized picture.

    Beyond an edge both neighbours are the edge, and keep their weights. OpenCV does so for rows;
    for columns it takes the edge alone, which is the same, since weights add up to 2048 (but for a
    single pixel that is spread over more than 5462).
    """
    step = 1.0 / (resized / size)
    position = ((np.arange(resized) + 0.5) * step - 0.5).astype(np.float32)
    first = np.floor(position).astype(np.int64)
    part = position - first.astype(np.float32)
    taps = np.zeros(resized, TAP)
    taps["first"] = np.clip(first, 0, size - 1)
    taps["second"] = np.clip(first + 1, 0, size - 1)
    taps["first_weight"] = np.rint((np.float32(1) - part) * ONE)
    taps["second_weight"] = np.rint(part * ONE)
    return taps


def _placed(taps: NDArray[np.void], size: int, offset: int) -> NDArray[np.void]:
    """Those of the `size` positions of the tensor; the picture begins at `offset`, below 0 too."""
    placed = np.zeros(size, TAP)
    start, cut = max(offset, 0), max(-offset, 0)
    shown = taps[cut : cut + size - start]
    placed[start : start + len(shown)] = shown
    return placed
