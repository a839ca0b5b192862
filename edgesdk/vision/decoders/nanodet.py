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

from edgesdk.detections import Detections
from edgesdk.errors import ModelError
from edgesdk.geometry import Placement
from edgesdk.preprocess import Preprocess
from edgesdk.tensors import Array
from edgesdk.vision.distances import Level, best_of
from edgesdk.vision.nms import NmsSettings
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
        sides = preprocess.width, preprocess.height
        self._levels = [Level.of(*sides, stride, (stride - 1) / 2) for stride in settings.strides]

    def decode(self, outputs: Mapping[str, Array], placement: Placement) -> Detections:
        """Boxes in pixels of the picture. Raises ModelError when a map is absent or misshapen."""
        least = self._settings.score_threshold
        pairs = zip(self._settings.strides, self._levels, strict=True)
        parts = [level.found(*self._maps(outputs, s, len(level)), least) for s, level in pairs]
        return best_of(parts, placement, self._settings)

    def groups(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """Each output as it is."""
        return dict(outputs)

    def _maps(self, outputs: Mapping[str, Array], stride: int, count: int) -> tuple[Array, Array]:
        """Scores (N, C) and bins (N, 4 * B) at one stride."""
        name = self._settings.class_outputs.format(stride=stride)
        scores = output(outputs, name, (1, count, None))[0]
        name = self._settings.distance_outputs.format(stride=stride)
        bins = output(outputs, name, (1, count, None))[0]
        if bins.shape[1] % 4:
            raise ModelError(f"output {name!r} should have 4 x bins values, found {bins.shape[1]}")
        return scores, bins
