"""NanoDet-Plus: one output 1 x N x (C + 4 * B) for all strides.

A row is the score of each class, already through a sigmoid, and the bins of four distances, as
NanoDet's. The point is the cell's corner, x = gx * s and y = gy * s, and there are four strides.
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
from edgesdk.vision.distances import Level, best_of, joined
from edgesdk.vision.nms import NmsSettings
from edgesdk.vision.outputs import output


@dataclass(frozen=True)
class Settings(NmsSettings):
    """Keys of [decoder] with type = "nanodet_plus"."""

    iou_threshold: float = 0.6
    """Of two boxes that overlap by more than this (IoU, 0..1) the weaker is dropped."""
    strides: tuple[int, ...] = (8, 16, 32, 64)
    """Pixels of the input for each cell, one for each grid, in the order of the output's rows."""
    bins: int = 8
    """Of each distance: its `reg_max` + 1."""
    output: str = ""
    """Name of the output; empty: the only one."""


class Decoder:
    """Boxes from NanoDet-Plus's head."""

    task: Literal["detect"] = "detect"

    def __init__(self, settings: Settings, preprocess: Preprocess) -> None:
        self._settings = settings
        sides = preprocess.width, preprocess.height
        self._cells = joined([Level.of(*sides, stride, 0) for stride in settings.strides])

    def decode(self, outputs: Mapping[str, Array], placement: Placement) -> Detections:
        """Boxes in pixels of the picture. Raises ModelError for another shape."""
        part = self._cells.found(*self._parts(outputs), self._settings.score_threshold)
        return best_of([part], placement, self._settings)

    def groups(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """Classes and distances apart: they are of different kinds."""
        scores, bins = self._parts(outputs)
        return {"classes": scores, "distances": bins}

    def _parts(self, outputs: Mapping[str, Array]) -> tuple[Array, Array]:
        rows = output(outputs, self._settings.output, (1, len(self._cells), None))[0]
        classes = rows.shape[1] - 4 * self._settings.bins
        if classes < 1:
            raise ModelError(
                f"a NanoDet-Plus head gives C + {4 * self._settings.bins} values for each point, "
                f"found {rows.shape[1]}",
                "check the decoder's type and its key bins",
            )
        return rows[:, :classes], rows[:, classes:]
