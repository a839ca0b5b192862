"""YOLOv8 and its kin (YOLO11 ...): one output 1 x (4 + C) x N, decoded by the graph itself.

A column is one box: cx, cy, w, h in pixels of the input, then the score of each class, already
through a sigmoid. There is no objectness; the score is that of the best class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgesdk.detections import Detections
from edgesdk.errors import ModelError
from edgesdk.geometry import Boxes, Placement
from edgesdk.preprocess import Preprocess
from edgesdk.tensors import Array, Floats
from edgesdk.vision.grid import cell_count
from edgesdk.vision.nms import NmsSettings, best_detections
from edgesdk.vision.outputs import output

SPARSE = 3
"""While fewer than one class in so many is in the picture, only those are looked at again."""


@dataclass(frozen=True)
class Settings(NmsSettings):
    """Keys of [decoder] with type = "yolov8"."""

    strides: tuple[int, ...] = (8, 16, 32)
    """Pixels of the input for each cell, one for each grid: they say how many boxes there are."""
    output: str = ""
    """Name of the output; empty: the only one."""


class Decoder:
    """Boxes from a YOLOv8 head."""

    task: Literal["detect"] = "detect"

    def __init__(self, settings: Settings, preprocess: Preprocess) -> None:
        self._settings = settings
        self._count = cell_count(preprocess.width, preprocess.height, settings.strides)

    def decode(self, outputs: Mapping[str, Array], placement: Placement) -> Detections:
        """Boxes in pixels of the picture. Raises ModelError for another shape than 1x(4+C)xN."""
        columns = self._columns(outputs)
        likely, score, class_id = _best(columns[4:], self._settings.score_threshold)
        if not len(likely):
            return Detections.empty()
        boxes = _corners(columns[:4].take(likely, axis=1))
        return best_detections(boxes, score, class_id, placement, self._settings)

    def groups(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """Boxes and classes apart: their sizes differ too much to share one figure."""
        columns = self._columns(outputs)
        return {"boxes": columns[:4], "classes": columns[4:]}

    def _columns(self, outputs: Mapping[str, Array]) -> Floats:
        found = output(outputs, self._settings.output, (1, None, self._count))[0]
        if len(found) < 5:
            raise ModelError(
                f"a YOLOv8 head gives 4 + C values for each box, found {len(found)}",
                "a head whose box and class outputs are apart must be joined first",
            )
        columns: Floats = found.astype(np.float32, copy=False)
        return columns


def _best(
    scores: Floats, threshold: float
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
    """Columns whose best class passes the threshold, its score and its number; (C, N).

    Nearly all of the work is to look at every score once. It is done along memory, class by
    class: a class that is nowhere in the picture needs no second look.
    """
    # fmax and not max: one NaN must not hide its whole class.
    (classes,) = (np.fmax.reduce(scores, axis=1) >= threshold).nonzero()
    if not len(classes):
        return classes, np.empty(0, np.float32), classes
    if len(classes) * SPARSE < len(scores):
        best = reduce(np.fmax, (scores[index] for index in classes))
    else:
        best = np.fmax.reduce(scores, axis=0)
    (likely,) = (best >= threshold).nonzero()
    if len(classes) == 1:
        return likely, best.take(likely), np.full(len(likely), classes[0])
    picked = scores.T[likely]
    class_id = picked.argmax(axis=1)
    return likely, picked[np.arange(len(likely)), class_id], class_id


def _corners(centred: Floats) -> Boxes:
    """cx, cy, w, h of shape (4, n) as left, top, right, bottom of shape (n, 4)."""
    center, half = centred[:2], centred[2:] / np.float32(2)
    boxes: Boxes = np.concatenate([center - half, center + half]).T
    return boxes
