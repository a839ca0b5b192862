"""What a change of precision costs: numeric errors of outputs, and figures of the task.

Everything is added one picture at a time. Detections are kept (some numbers a box), pictures and
output tensors are not.
"""

from __future__ import annotations

import contextlib
import io
import math

import numpy as np

from edgesdk._optional import require
from edgesdk.detections import Detections
from edgesdk.geometry import area
from edgesdk.tensors import Array


class OutputError:
    """How far one output lies from that of the float model, over all pictures together."""

    def __init__(self) -> None:
        self._reference = 0.0
        self._other = 0.0
        self._product = 0.0
        self._error = 0.0

    def add(self, reference: Array, other: Array) -> None:
        """Add one picture's tensors, of one shape and of any float dtype."""
        a, b = reference.astype(np.float64).ravel(), other.astype(np.float64).ravel()
        self._reference += float(a @ a)
        self._other += float(b @ b)
        self._product += float(a @ b)
        self._error += float(np.square(a - b).sum())

    @property
    def finite(self) -> bool:
        """False as soon as NaN or infinity was added."""
        return math.isfinite(self._error + self._other)

    @property
    def sqnr_db(self) -> float | None:
        """10 log10(sum reference^2 / sum (reference - other)^2); None when they are equal.

        A reference of zeros with errors has -999 dB, to stay a number that JSON can hold.
        """
        if self._error == 0.0:
            return None
        return 10 * math.log10(self._reference / self._error) if self._reference else -999.0

    @property
    def cosine(self) -> float:
        """Cosine of the angle between the two; 1 when both are zero, 0 when one is."""
        if self._reference == 0.0 or self._other == 0.0:
            return float(self._reference == self._other)
        return min(self._product / math.sqrt(self._reference * self._other), 1.0)


class DetectionMetric:
    """Mean average precision by COCO's definition, computed by pycocotools."""

    def __init__(self) -> None:
        self._truth: list[dict[str, object]] = []
        self._found: list[dict[str, object]] = []
        self._classes: set[int] = set()
        self._pictures = 0

    def add(self, found: Detections, truth: Detections) -> None:
        """One picture: what was found, scores included, and what is there."""
        self._pictures += 1
        self._classes |= set(truth.class_id.tolist())
        for box, size, kind in zip(_xywh(truth), area(truth.xyxy), truth.class_id, strict=True):
            entry = {"id": len(self._truth) + 1, "area": float(size), "iscrowd": 0, "bbox": box}
            self._truth.append({**entry, "image_id": self._pictures, "category_id": int(kind)})
        for box, score, kind in zip(_xywh(found), found.score, found.class_id, strict=True):
            entry = {"score": float(score), "bbox": box, "category_id": int(kind)}
            self._found.append({**entry, "image_id": self._pictures})

    def result(self) -> dict[str, float]:
        """{"mAP50-95": ..., "mAP50": ...}, 0..1; empty when no box is labelled at all.

        Raises MissingExtra without pycocotools.
        """
        coco_api = require("pycocotools.coco", "compute mean average precision")
        evaluation = require("pycocotools.cocoeval", "compute mean average precision")
        if not self._truth:
            return {}
        with contextlib.redirect_stdout(io.StringIO()):  # it prints tables of its own
            truth = coco_api.COCO()
            truth.dataset = {
                "info": {},
                "images": [{"id": i + 1} for i in range(self._pictures)],
                "annotations": self._truth,
                "categories": [{"id": i} for i in sorted(self._classes)],
            }
            truth.createIndex()
            if not self._found:
                return {"mAP50-95": 0.0, "mAP50": 0.0}
            scorer = evaluation.COCOeval(truth, truth.loadRes(self._found), "bbox")
            scorer.evaluate()
            scorer.accumulate()
            scorer.summarize()
        return {"mAP50-95": float(scorer.stats[0]), "mAP50": float(scorer.stats[1])}


class TopOne:
    """Share of pictures whose highest score is that of the right class."""

    def __init__(self) -> None:
        self._right = 0
        self._pictures = 0

    def add(self, scores: Array, class_id: int) -> None:
        """One picture: scores of all classes, shape (C,), and the right class."""
        self._right += int(np.argmax(scores)) == class_id
        self._pictures += 1

    def result(self) -> dict[str, float]:
        """{"top-1": ...}, 0..1; empty before the first picture."""
        return {"top-1": self._right / self._pictures} if self._pictures else {}


def _xywh(detections: Detections) -> list[list[float]]:
    boxes = detections.xyxy.astype(np.float64)
    sized: list[list[float]] = np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]]).tolist()
    return sized
