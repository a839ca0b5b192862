"""Which point of a box stands for the object."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgesdk.geometry import Boxes

Anchor = Literal["center", "foot"]
"""The middle of the box, or the middle of its lower edge: where the object stands."""

Box = tuple[float, float, float, float]
"""left, top, right, bottom in pixels."""
Point = tuple[float, float]


def anchor_of(box: Box, anchor: Anchor) -> Point:
    """(x, y) of one box in pixels."""
    left, top, right, bottom = box
    return (left + right) / 2, bottom if anchor == "foot" else (top + bottom) / 2


def anchors_of(boxes: Boxes, anchor: Anchor) -> NDArray[np.float64]:
    """(x, y) of each box in pixels; shape (N, 2)."""
    edges = boxes.astype(np.float64)
    y = edges[:, 3] if anchor == "foot" else (edges[:, 1] + edges[:, 3]) / 2
    return np.stack([(edges[:, 0] + edges[:, 2]) / 2, y], axis=1)
