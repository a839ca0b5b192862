"""Boxes and where a picture lies in a model's input. Coordinates are pixels, x right, y down."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]
"""left, top, right, bottom; shape (N, 4)."""
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Placement:
    """How a picture was put into a model's input: input = picture * scale + offset."""

    scale_x: float
    scale_y: float
    offset_x: float
    """Pixels of the input, from its left edge; negative after a crop."""
    offset_y: float
    width: int
    """Of the original picture, in pixels."""
    height: int

    def to_picture(self, boxes: Boxes) -> Boxes:
        """Boxes of the model's input as boxes of the picture, cut at its edges."""
        offset, scale, limit = self._arrays
        moved = boxes - offset
        moved /= scale
        np.maximum(moved, np.float32(0), out=moved)
        cut: Boxes = np.minimum(moved, limit, out=moved)
        return cut

    def to_input(self, boxes: Boxes) -> Boxes:
        """Boxes of the picture as boxes of the model's input."""
        offset, scale, _ = self._arrays
        moved: Boxes = boxes * scale + offset
        return moved

    @cached_property
    def _arrays(self) -> tuple[Floats, Floats, Floats]:
        """Offset, scale and limit of a box's four numbers; a camera's pictures share them."""
        offset = np.array([self.offset_x, self.offset_y] * 2, np.float32)
        scale = np.array([self.scale_x, self.scale_y] * 2, np.float32)
        limit = np.array([self.width, self.height] * 2, np.float32)
        return offset, scale, limit


def area(boxes: Boxes) -> NDArray[np.float32]:
    """Area of each box in square pixels, 0 for an inverted one; shape (N,)."""
    size = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    product: NDArray[np.float32] = size[:, 0] * size[:, 1]
    return product


def iou(a: Boxes, b: Boxes) -> NDArray[np.float32]:
    """Intersection over union of each box of `a` with each of `b`; shape (N, M), 0..1."""
    shared = _shared_area(a, b)
    union = area(a)[:, None] + area(b)[None, :] - shared
    ratio: NDArray[np.float32] = np.divide(
        shared, union, out=np.zeros_like(shared), where=union > 0
    )
    return ratio


def share_inside(a: Boxes, b: Boxes) -> NDArray[np.float32]:
    """Share of the area of each box of `b` that lies inside each of `a`; shape (N, M), 0..1."""
    shared, whole = _shared_area(a, b), np.broadcast_to(area(b), (len(a), len(b)))
    share: NDArray[np.float32] = np.divide(
        shared, whole, out=np.zeros_like(shared), where=whole > 0
    )
    return share


def _shared_area(a: Boxes, b: Boxes) -> NDArray[np.float32]:
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    size = np.maximum(high - low, 0)
    product: NDArray[np.float32] = size[..., 0] * size[..., 1]
    return product
