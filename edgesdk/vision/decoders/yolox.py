"""YOLOX: one output 1 x N x (5 + C) with objectness and class scores already through a sigmoid.

For the cell (gx, gy) of the grid at stride s (Ge et al., "YOLOX: Exceeding YOLO Series in 2021",
arXiv:2107.08430, and `demo_postprocess` of the reference code):

    cx = (x + gx) * s    cy = (y + gy) * s    w = exp(w) * s    h = exp(h) * s
    score = objectness * class
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgesdk.detections import Detections
from edgesdk.errors import ModelError
from edgesdk.geometry import Boxes, Placement
from edgesdk.preprocess import Preprocess
from edgesdk.tensors import Array, Floats
from edgesdk.vision.nms import NmsSettings, best_detections
from edgesdk.vision.outputs import output

LOG_SIZE_LIMIT = 10.0
"""exp(10) strides is wider than any picture; more would only overflow."""


@dataclass(frozen=True)
class Settings(NmsSettings):
    """Keys of [decoder] with type = "yolox"."""

    strides: tuple[int, ...] = (8, 16, 32)
    """Pixels of the input for each cell, one for each grid, in the order of the output's rows."""
    output: str = ""
    """Name of the output; empty: the only one."""


class Decoder:
    """Boxes from a YOLOX head."""

    task: Literal["detect"] = "detect"

    def __init__(self, settings: Settings, preprocess: Preprocess) -> None:
        self._settings = settings
        self._cell, self._stride = grids(preprocess.width, preprocess.height, settings.strides)

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
        boxes = self._boxes(rows[:, :4], likely)
        return best_detections(boxes, score, class_id, placement, self._settings)

    def groups(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """Boxes, objectness and classes apart: their sizes differ too much to share one figure."""
        rows = self._rows(outputs)
        return {"boxes": rows[:, :4], "objectness": rows[:, 4], "classes": rows[:, 5:]}

    def _rows(self, outputs: Mapping[str, Array]) -> Array:
        rows: Array = output(outputs, self._settings.output, (1, len(self._stride), None))[0]
        if rows.shape[1] < 6:
            raise ModelError(
                f"a YOLOX head gives 5 + C values for each box, found {rows.shape[1]}",
                "a head whose box, objectness and class outputs are apart must be joined first",
            )
        return rows

    def _boxes(self, raw: Floats, which: NDArray[np.int64]) -> Boxes:
        stride = self._stride.take(which)[:, None]
        center = raw[:, :2] + self._cell.take(which, axis=0)
        center *= stride
        half = np.exp(np.minimum(raw[:, 2:], LOG_SIZE_LIMIT))
        half *= stride / 2
        return np.concatenate([center - half, center + half], axis=1)


def grids(width: int, height: int, strides: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Cell (gx, gy) of each row, shape (N, 2), and its stride, shape (N,); row by row."""
    cells, sizes = [], []
    for stride in strides:
        gy, gx = np.divmod(np.arange(width // stride * (height // stride)), width // stride)
        cells.append(np.stack([gx, gy], axis=1))
        sizes.append(np.full(len(gx), stride))
    return np.concatenate(cells, dtype=np.float32), np.concatenate(sizes, dtype=np.float32)
