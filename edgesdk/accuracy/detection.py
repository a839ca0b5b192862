"""mAP as COCO defines it, through pycocotools (the extra `accuracy`).

AP is the mean precision at 101 recalls, the mean over the classes that the truth has;
mAP50-95 is its mean over IoU thresholds .50, .55 ... .95. At most 100 boxes of a picture count.
Decode with a score threshold of 0.01 for it: precision at high recall needs the weak boxes.
"""

from __future__ import annotations

import contextlib
import io
from typing import Any

from edgesdk._optional import require
from edgesdk.detections import Detections
from edgesdk.errors import DataError
from edgesdk.geometry import area


class DetectionMetric:
    """mAP over pictures that are added one at a time; only boxes are kept of them."""

    def __init__(self) -> None:
        self._pictures = 0
        self._found: list[dict[str, Any]] = []
        self._truth: list[dict[str, Any]] = []

    def add(self, found: Detections, truth: Detections) -> None:
        """Take in one picture: what the model found and what is there, in the same pixels.

        A picture without any truth counts too: whatever is found in it is wrong.
        """
        scores = found.score.tolist()
        for row, score in zip(_rows(found, self._pictures), scores, strict=True):
            self._found.append({**row, "score": score})
        for row in _rows(truth, self._pictures):
            # pycocotools takes the number 0 for "matched to nothing": ids count from 1.
            self._truth.append({**row, "id": len(self._truth) + 1, "iscrowd": 0})
        self._pictures += 1

    def result(self) -> dict[str, float]:
        """`map50_95` and `map50`, 0..1.

        Raises DataError when no truth was added, MissingExtra without pycocotools.
        """
        if not self._truth:
            raise DataError(
                f"mAP cannot be measured: {self._pictures} pictures were added, none with a"
                " true box",
                "give labelled pictures",
            )
        if not self._found:
            return {"map50_95": 0.0, "map50": 0.0}
        # It prints its progress and a table; that is no business of our caller's output.
        with contextlib.redirect_stdout(io.StringIO()):
            stats = self._evaluate()
        return {"map50_95": float(stats[0]), "map50": float(stats[1])}

    def _evaluate(self) -> Any:
        coco = require("pycocotools.coco", "measure mAP")
        evaluation = require("pycocotools.cocoeval", "measure mAP")
        truth = coco.COCO()
        classes = sorted({row["category_id"] for row in self._truth + self._found})
        truth.dataset = {
            "info": {},
            "images": [{"id": number} for number in range(self._pictures)],
            "categories": [{"id": class_id} for class_id in classes],
            # Copies, since pycocotools writes into the rows it is given.
            "annotations": [dict(row) for row in self._truth],
        }
        truth.createIndex()
        found = truth.loadRes([dict(row) for row in self._found])
        run = evaluation.COCOeval(truth, found, "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
        return run.stats


def _rows(boxes: Detections, picture: int) -> list[dict[str, Any]]:
    """Each box as COCO writes it: left, top, width, height."""
    corners, areas = boxes.xyxy.astype(float).tolist(), area(boxes.xyxy).tolist()
    return [
        {
            "image_id": picture,
            "category_id": class_id,
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "area": size,
        }
        for (x1, y1, x2, y2), class_id, size in zip(
            corners, boxes.class_id.tolist(), areas, strict=True
        )
    ]
