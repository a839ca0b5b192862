"""Maps over a model's input as maps over the picture that was put into it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgesdk.geometry import Placement
from edgesdk.preprocess import Preprocess
from edgesdk.tensors import Array, Floats


def over_picture(heat: Array, placement: Placement, preprocess: Preprocess) -> Floats:
    """The map (h, w) of the input, on a grid of as many places over the whole picture.

    Each place takes the value of the input's place that its centre lies in; what a crop left out
    is 0. New, and the caller's.
    """
    rows, row_known = _places(
        heat.shape[0], placement.height, placement.scale_y, placement.offset_y, preprocess.height
    )
    columns, column_known = _places(
        heat.shape[1], placement.width, placement.scale_x, placement.offset_x, preprocess.width
    )
    found = heat[np.ix_(rows, columns)].astype(np.float32)
    found *= row_known[:, None] & column_known[None]
    return found


def _places(
    count: int, picture_px: int, scale: float, offset_px: float, input_px: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Along one axis: the input's place for each of `count` of the picture's; whether it is one."""
    centres = (np.arange(count) + 0.5) / count * picture_px * scale + offset_px
    places = np.floor(centres * count / input_px).astype(np.int64)
    return places.clip(0, count - 1), (places >= 0) & (places < count)
