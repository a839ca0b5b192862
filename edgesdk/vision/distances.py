"""Boxes as four distances from a cell's point, each spread over bins: NanoDet and its kin.

Each of the distances (left, top, right, bottom) is the expectation over B bins of a softmax (Li et
al., "Generalized Focal Loss", arXiv:2006.04388), times the grid's stride.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgesdk.detections import Detections
from edgesdk.geometry import Boxes, Floats, Placement
from edgesdk.tensors import Array
from edgesdk.vision.activations import softmax
from edgesdk.vision.nms import NmsSettings, best_detections

Found = tuple[Boxes, Floats, NDArray[np.int64]]
"""Boxes (n, 4) in pixels of the input, scores (n,) and classes (n,)."""


@dataclass(frozen=True, eq=False)
class Level:
    """The cells of one grid, or of several below each other."""

    points: Floats
    """(x, y) that the distances are measured from, in pixels of the input; shape (N, 2)."""
    stride: Floats
    """Pixels for each step of a distance; shape (N, 1)."""

    @classmethod
    def of(cls, width: int, height: int, stride: int, offset_px: float) -> Level:
        """All cells over an input of so many pixels, row by row; a last, cut cell counts.

        `offset_px` is how far a point lies from its cell's left and upper edge.
        """
        across, down = -(-width // stride), -(-height // stride)
        gy, gx = np.divmod(np.arange(across * down), across)
        points = (np.stack([gx, gy], axis=1) * stride + offset_px).astype(np.float32)
        return cls(points, np.full((len(points), 1), stride, np.float32))

    def __len__(self) -> int:
        return len(self.points)

    def found(self, scores: Array, bins: Array, threshold: float) -> Found:
        """What passes the threshold, of scores (N, C) and bins (N, 4 * B) before their softmax."""
        best = scores.max(axis=1)
        (likely,) = (best >= threshold).nonzero()
        class_id = scores.take(likely, axis=0).argmax(axis=1)
        distance = expectation(bins.take(likely, axis=0).astype(np.float32, copy=False))
        distance *= self.stride.take(likely, axis=0)
        points = self.points.take(likely, axis=0)
        boxes = np.concatenate([points - distance[:, :2], points + distance[:, 2:]], axis=1)
        return boxes, best.take(likely).astype(np.float32, copy=False), class_id


def joined(levels: Sequence[Level]) -> Level:
    """The cells of several grids below each other."""
    points, strides = [level.points for level in levels], [level.stride for level in levels]
    return Level(np.concatenate(points), np.concatenate(strides))


def best_of(parts: Sequence[Found], placement: Placement, settings: NmsSettings) -> Detections:
    """The boxes that stay of those that were found at all levels."""
    boxes, score, class_id = (np.concatenate(part) for part in zip(*parts, strict=True))
    return best_detections(boxes, score, class_id, placement, settings)


def expectation(bins: Floats) -> Floats:
    """Mean bin under a softmax over the bins, for four sides; (N, 4 * B) to (N, 4)."""
    sides = bins.reshape(len(bins), 4, bins.shape[1] // 4)
    mean: Floats = np.matmul(softmax(sides), np.arange(sides.shape[2], dtype=np.float32))
    return mean
