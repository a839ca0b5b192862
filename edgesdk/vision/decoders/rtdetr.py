"""RT-DETR and other DETRs: a fixed number of queries, each with a box and a score for each class.

Boxes are cx, cy, w, h as shares 0..1 of the input (Carion et al., "End-to-End Object Detection with
Transformers", arXiv:2005.12872; Zhao et al., "DETRs Beat YOLOs on Real-time Object Detection",
arXiv:2304.08069). Two forms:

    one output 1 x N x (4 + C), the scores after their sigmoid: Ultralytics' export before 8.4
    boxes 1 x N x 4 and logits 1 x N x C: the original code's and Hugging Face's (`pred_boxes`)

An export that ends in labels, boxes and scores is the type `efficientnms`, one of 1 x N x 6 (the
best score and its class) the type `end2end`.
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
from edgesdk.tensors import Array, Floats
from edgesdk.vision.activations import sigmoid, softmax
from edgesdk.vision.boxes import corners, in_pixels
from edgesdk.vision.nms import BoxSettings, best_detections
from edgesdk.vision.outputs import boxes_and_other, falling, listed, output

MOST = 2000
"""More queries or classes has no DETR: an output of that size is another head's."""


@dataclass(frozen=True)
class Settings(BoxSettings):
    """Keys of [decoder] with type = "rtdetr"."""

    activation: Literal["sigmoid", "softmax"] = "sigmoid"
    """What makes scores of logits. "softmax": their last column is "no object", as DETR's."""
    output: str = ""
    """Name of the joined output; empty: the only one."""
    boxes: str = ""
    """Name of the boxes' output; empty: the one with 4 columns."""
    logits: str = ""
    """Name of the logits' output; empty: the other one."""


class Decoder:
    """Boxes from a DETR's queries; each is of its best class."""

    task: Literal["detect"] = "detect"

    def __init__(self, settings: Settings, preprocess: Preprocess) -> None:
        self._settings = settings
        self._width, self._height = preprocess.width, preprocess.height

    def decode(self, outputs: Mapping[str, Array], placement: Placement) -> Detections:
        """Boxes in pixels of the picture. Raises ModelError when the outputs are not these."""
        raw, scores = self._parts(outputs)
        best = scores.max(axis=1)
        (likely,) = (best >= self._settings.score_threshold).nonzero()
        boxes = corners(raw.take(likely, axis=0), "cxcywh")
        return best_detections(
            in_pixels(boxes, self._width, self._height),
            best.take(likely),
            scores.take(likely, axis=0).argmax(axis=1),
            placement,
            self._settings,
        )

    def groups(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """The best scores in falling order: queries change places with small changes of theirs."""
        best = self._parts(outputs)[1].max(axis=1)
        return {"scores": falling(best, self._settings.max_detections)}

    def _parts(self, outputs: Mapping[str, Array]) -> tuple[Array, Floats]:
        """Boxes (N, 4) and scores (N, C)."""
        told = self._settings
        if told.output or len(outputs) == 1:
            rows = output(outputs, told.output, (1, None, None))[0]
            if rows.shape[1] < 5:
                raise ModelError(
                    f"a DETR head gives 4 + C values for each query, found {rows.shape[1]}",
                    "check the decoder's type in the model's spec",
                )
            if max(rows.shape) > MOST:
                raise ModelError(
                    f"a DETR has at most {MOST} queries and classes, found {listed(outputs)}",
                    "so many boxes are a grid's: check the decoder's type in the model's spec",
                )
            return rows[:, :4], rows[:, 4:].astype(np.float32, copy=False)
        boxes, logits = boxes_and_other(outputs, told.boxes, told.logits, "logits")
        logits = logits.astype(np.float32, copy=False)
        if told.activation == "sigmoid":
            return boxes, sigmoid(logits)
        return boxes, softmax(logits)[:, :-1]
