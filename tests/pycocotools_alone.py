"""Mean average precision as pycocotools computes it, without any code of the package."""

from __future__ import annotations

import contextlib
import io

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from edgesdk.detections import Detections

Pair = tuple[Detections, Detections]
"""What was found in a picture, and what is there."""


def pycocotools_figures(pictures: list[Pair]) -> tuple[float, float]:
    """mAP50-95 and mAP50 by pycocotools alone, all pictures at once."""

    def entries(boxes: Detections, image: int) -> list[dict[str, object]]:
        rows = zip(boxes.xyxy.tolist(), boxes.score, boxes.class_id, strict=True)
        return [
            {
                "image_id": image,
                "category_id": int(kind),
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "area": (x1 - x0) * (y1 - y0),
                "iscrowd": 0,
                "score": float(score),
            }
            for (x0, y0, x1, y1), score, kind in rows
        ]

    truth = [e for i, (_, t) in enumerate(pictures) for e in entries(t, i + 1)]
    found = [e for i, (f, _) in enumerate(pictures) for e in entries(f, i + 1)]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "info": {},
            "images": [{"id": i + 1} for i in range(len(pictures))],
            "annotations": [{**entry, "id": i + 1} for i, entry in enumerate(truth)],
            "categories": [{"id": kind} for kind in sorted({e["category_id"] for e in truth})],  # type: ignore[type-var]
        }
        coco.createIndex()
        scorer = COCOeval(coco, coco.loadRes(found), "bbox")
        scorer.evaluate()
        scorer.accumulate()
        scorer.summarize()
    return float(scorer.stats[0]), float(scorer.stats[1])
