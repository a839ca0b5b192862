"""Detectors with their suppression inside, or without need of one: one output 1 x K x 6.

A row is one box: left, top, right, bottom in pixels of the input, its score and its class.
YOLOv10 and YOLO26 give it, and Ultralytics' export with `nms=True`; rows of zeros fill up what
was not found. Ultralytics' RT-DETR (8.4) gives centre and size as shares of the input. YOLOv7's
`--end2end --max-wh` gives K x 7: the picture's index in the batch comes first, and the class
before the score.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgesdk.detections import Detections
from edgesdk.geometry import Placement
from edgesdk.preprocess import Preprocess
from edgesdk.tensors import Array
from edgesdk.vision.boxes import BoxForm, corners, in_pixels
from edgesdk.vision.nms import BoxSettings, best_detections
from edgesdk.vision.outputs import falling, output


@dataclass(frozen=True)
class Settings(BoxSettings):
    """Keys of [decoder] with type = "end2end"."""

    columns: Literal["xyxy score class", "batch xyxy class score"] = "xyxy score class"
    """What stands in a row; the second is K x 7."""
    box_form: BoxForm = "xyxy"
    """Order of a box's numbers; "cxcywh" for Ultralytics' RT-DETR."""
    normalized: bool = False
    """The boxes are shares 0..1 of the input, as that RT-DETR's; false: pixels."""
    output: str = ""
    """Name of the output; empty: the only one."""


class Decoder:
    """Boxes from a graph that suppressed them."""

    task: Literal["detect"] = "detect"

    def __init__(self, settings: Settings, preprocess: Preprocess) -> None:
        self._settings = settings
        self._width, self._height = preprocess.width, preprocess.height

    def decode(self, outputs: Mapping[str, Array], placement: Placement) -> Detections:
        """Boxes in pixels of the picture. Raises ModelError for another shape than 1xKx6."""
        raw, score, class_id = self._parts(outputs)
        boxes = corners(raw, self._settings.box_form)
        if self._settings.normalized:
            boxes = in_pixels(boxes, self._width, self._height)
        return best_detections(
            boxes,
            score.astype(np.float32, copy=False),
            # An engine's padding may be any number: its score drops it, not its class.
            np.nan_to_num(class_id).astype(np.int64),
            placement,
            self._settings,
        )

    def groups(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """The scores in falling order: a small change of one lets all rows change places."""
        return {"scores": falling(self._parts(outputs)[1], self._settings.max_detections)}

    def _parts(self, outputs: Mapping[str, Array]) -> tuple[Array, Array, Array]:
        name = self._settings.output
        if self._settings.columns == "xyxy score class":
            rows = output(outputs, name, (1, None, 6))[0]
            return rows[:, :4], rows[:, 4], rows[:, 5]
        rows = output(outputs, name, (None, 7))
        return rows[:, 1:5], rows[:, 6], rows[:, 5]
