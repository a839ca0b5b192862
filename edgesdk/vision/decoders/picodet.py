"""PicoDet: for each stride a map of class scores and a map of distances to the box's sides.

Class map 1 x N x C, already through a sigmoid; distance map 1 x N x (4 * B): Paddle's export with
`export.post_process=False`. The distances are those of NanoDet; the point is the cell's middle

    x = (gx + 1/2) * s    y = (gy + 1/2) * s

and there are four strides. Paddle's names mean nothing, so the maps are told by their shapes.
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
from edgesdk.vision.outputs import listed


@dataclass(frozen=True)
class Settings(NmsSettings):
    """Keys of [decoder] with type = "picodet"."""

    iou_threshold: float = 0.6
    """Of two boxes that overlap by more than this (IoU, 0..1) the weaker is dropped."""
    strides: tuple[int, ...] = (8, 16, 32, 64)
    """Pixels of the input for each cell, one for each pair of maps."""
    bins: int = 8
    """Of each distance: its `reg_max` + 1. A map with 4 * bins columns is one of distances."""


class Decoder:
    """Boxes from PicoDet's head."""

    task: Literal["detect"] = "detect"

    def __init__(self, settings: Settings, preprocess: Preprocess) -> None:
        self._settings = settings
        sides = preprocess.width, preprocess.height
        self._levels = [Level.of(*sides, stride, stride / 2) for stride in settings.strides]

    def decode(self, outputs: Mapping[str, Array], placement: Placement) -> Detections:
        """Boxes in pixels of the picture. Raises ModelError when a map is absent or misshapen."""
        least = self._settings.score_threshold
        parts = [level.found(*self._maps(outputs, len(level)), least) for level in self._levels]
        return best_of(parts, placement, self._settings)

    def groups(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """Each output as it is."""
        return dict(outputs)

    def _maps(self, outputs: Mapping[str, Array], count: int) -> tuple[Array, Array]:
        """Scores (N, C) and bins (N, 4 * B) of the grid that has so many cells."""
        bins = 4 * self._settings.bins
        maps = [m[0] for m in outputs.values() if len(m.shape) == 3 and m.shape[:2] == (1, count)]
        scores = [one for one in maps if one.shape[1] != bins]
        distances = [one for one in maps if one.shape[1] == bins]
        if len(scores) != 1 or len(distances) != 1:
            raise ModelError(
                f"the decoder expects one output 1x{count}xC and one 1x{count}x{bins}; "
                f"found {listed(outputs)}",
                "check the decoder's type, strides and bins, and the input's size",
            )
        return scores[0], distances[0]
