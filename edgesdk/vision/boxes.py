"""How heads write a box down, and the two corners that edgesdk has."""

from __future__ import annotations

from typing import Literal

import numpy as np

from edgesdk.geometry import Boxes
from edgesdk.tensors import Array

BoxForm = Literal["xyxy", "yxyx", "xywh", "cxcywh"]
"""Order of a box's four numbers: two corners, a corner and the size, the centre and the size."""


def corners(boxes: Array, form: BoxForm) -> Boxes:
    """left, top, right, bottom as float32, of boxes in another form; both of shape (N, 4)."""
    boxes = boxes.astype(np.float32, copy=False)
    if form == "xyxy":
        return boxes
    if form == "yxyx":
        return boxes[:, [1, 0, 3, 2]]
    start, size = boxes[:, :2], boxes[:, 2:]
    if form == "cxcywh":
        start = start - size / np.float32(2)
    return np.concatenate([start, start + size], axis=1)


def in_pixels(boxes: Boxes, width: int, height: int) -> Boxes:
    """Boxes given as shares 0..1 of an input so many pixels wide and high; shape (N, 4)."""
    return boxes * np.array([width, height] * 2, np.float32)
