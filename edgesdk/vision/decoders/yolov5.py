"""YOLOv5 and YOLOv7: one output 1 x N x (5 + C) with an objectness, decoded by the graph itself.

A row is one box: cx, cy, w, h in pixels of the input, the objectness and the score of each class,
both already through a sigmoid. The score is objectness * class (Ultralytics' yolov5,
`Detect.forward` with `export = False`, whose graph ends in one concatenation).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgesdk.detections import Detections
from edgesdk.errors import ModelError
from edgesdk.geometry import Placement
from edgesdk.preprocess import Preprocess
from edgesdk.tensors import Array
from edgesdk.vision.boxes import corners
from edgesdk.vision.grid import cell_count
from edgesdk.vision.nms import NmsSettings, best_detections
from edgesdk.vision.outputs import output


@dataclass(frozen=True)
class Settings(NmsSettings):
    """Keys of [decoder] with type = "yolov5"."""

    strides: tuple[int, ...] = (8, 16, 32)
    """Pixels of the input for each cell, one for each grid: they say how many boxes there are."""
    anchors: int = 3
    """Boxes for each cell; 1 for heads without anchors, as YOLOv6's."""
    output: str = ""
    """Name of the output; empty: the only one."""


class Decoder:
    """Boxes from a YOLOv5 head."""

    task: Literal["detect"] = "detect"

    def __init__(self, settings: Settings, preprocess: Preprocess) -> None:
        self._settings = settings
        cells = cell_count(preprocess.width, preprocess.height, settings.strides)
        self._count = settings.anchors * cells

    def decode(self, outputs: Mapping[str, Array], placement: Placement) -> Detections:
        """Boxes in pixels of the picture. Raises ModelError for another shape than 1xNx(5+C)."""
        rows = self._rows(outputs)
        # No class score exceeds 1, so objectness alone rules out nearly all rows cheaply.
        (likely,) = (rows[:, 4] >= self._settings.score_threshold).nonzero()
        if not len(likely):
            return Detections.empty()
        rows = rows.take(likely, axis=0).astype(np.float32, copy=False)
        class_id = rows[:, 5:].argmax(axis=1)
        score = rows[:, 4] * rows[np.arange(len(rows)), 5 + class_id]
        boxes = corners(rows[:, :4], "cxcywh")
        return best_detections(boxes, score, class_id, placement, self._settings)

    def groups(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """Boxes, objectness and classes apart: their sizes differ too much to share one figure."""
        rows = self._rows(outputs)
        return {"boxes": rows[:, :4], "objectness": rows[:, 4], "classes": rows[:, 5:]}

    def _rows(self, outputs: Mapping[str, Array]) -> Array:
        rows: Array = output(outputs, self._settings.output, (1, self._count, None))[0]
        if rows.shape[1] < 6:
            raise ModelError(
                f"a YOLOv5 head gives 5 + C values for each box, found {rows.shape[1]}",
                "a head whose grids are apart must be exported with its boxes decoded and joined",
            )
        return rows
