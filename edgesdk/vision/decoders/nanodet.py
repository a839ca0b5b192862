"""NanoDet: for each stride a map of class scores and a map of distances to the box's sides.

Class map 1 x N x C, already through a sigmoid; distance map 1 x N x (4 * B). Each of the four
distances (left, top, right, bottom) is the expectation over B bins of a softmax (Li et al.,
"Generalized Focal Loss", arXiv:2006.04388), times the stride, from the cell's centre

    x = gx * s + (s - 1) / 2    y = gy * s + (s - 1) / 2
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgesdk.detections import Detections
from edgesdk.errors import ModelError
from edgesdk.geometry import Boxes, Placement
from edgesdk.preprocess import Preprocess
from edgesdk.tensors import Array, Floats
from edgesdk.vision.nms import NmsSettings, best_detections
from edgesdk.vision.outputs import output


@dataclass(frozen=True)
class Settings(NmsSettings):
    """Keys of [decoder] with type = "nanodet"."""

    iou_threshold: float = 0.6
    """Of two boxes that overlap by more than this (IoU, 0..1) the weaker is dropped."""
    strides: tuple[int, ...] = (8, 16, 32)
    """Pixels of the input for each cell, one for each pair of maps."""
    class_outputs: str = "cls_pred_stride_{stride}"
    """Name of a class map; {stride} stands for the number."""
    distance_outputs: str = "dis_pred_stride_{stride}"
    """Name of a distance map; {stride} stands for the number."""


class Decoder:
    """Boxes from NanoDet's head."""

    task: Literal["detect"] = "detect"

    def __init__(self, settings: Settings, preprocess: Preprocess) -> None:
        self._settings = settings
        self._centers = [
            _centers(preprocess.width, preprocess.height, stride) for stride in settings.strides
        ]

    def decode(self, outputs: Mapping[str, Array], placement: Placement) -> Detections:
        """Boxes in pixels of the picture. Raises ModelError when a map is absent or misshapen."""
        levels = [self._level(outputs, i) for i in range(len(self._centers))]
        boxes, score, class_id = (np.concatenate(parts) for parts in zip(*levels, strict=True))
        return best_detections(boxes, score, class_id, placement, self._settings)

    def groups(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """Each output as it is."""
        return dict(outputs)

    def _level(self, outputs: Mapping[str, Array], i: int) -> tuple[Boxes, Floats, Array]:
        """Boxes, scores and classes that pass the threshold at one stride."""
        stride, centers = self._settings.strides[i], self._centers[i]
        scores = output(
            outputs, self._settings.class_outputs.format(stride=stride), (1, len(centers), None)
        )[0]
        name = self._settings.distance_outputs.format(stride=stride)
        bins = output(outputs, name, (1, len(centers), None))[0]
        if bins.shape[1] % 4:
            raise ModelError(f"output {name!r} should have 4 x bins values, found {bins.shape[1]}")
        likely = np.flatnonzero(scores.max(axis=1) >= self._settings.score_threshold)
        class_id = scores[likely].argmax(axis=1)
        distance = _expectation(bins[likely].astype(np.float32)) * stride
        center = centers[likely]
        boxes = np.concatenate([center - distance[:, :2], center + distance[:, 2:]], axis=1)
        return boxes, scores[likely, class_id].astype(np.float32), class_id


def _centers(width: int, height: int, stride: int) -> Floats:
    """Centre (x, y) of each cell in pixels of the input, row by row; shape (N, 2)."""
    across, down = -(-width // stride), -(-height // stride)
    gy, gx = np.divmod(np.arange(across * down), across)
    return (np.stack([gx, gy], axis=1) * stride + (stride - 1) / 2).astype(np.float32)


def _expectation(bins: Floats) -> Floats:
    """Mean bin under a softmax over the bins, for four sides; (n, 4 * B) to (n, 4)."""
    sides = bins.reshape(len(bins), 4, bins.shape[1] // 4)
    powers = np.exp(sides - sides.max(axis=2, keepdims=True))
    weights = powers / powers.sum(axis=2, keepdims=True)
    mean: Floats = weights @ np.arange(sides.shape[2], dtype=np.float32)
    return mean
