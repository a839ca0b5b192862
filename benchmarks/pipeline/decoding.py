"""A head's output becomes boxes: decoding and suppression, one thread, in microseconds.

Heads are made: background scores below the threshold, and 10, 100 or 1,000 candidates around a
twelfth as many objects. edgesdk's time goes on to boxes in pixels of the picture. So does that of
Ultralytics' `predict`, its DetectionPredictor.postprocess; beside it stands non_max_suppression
alone, with torchvision loaded, as `predict` loads it, and without, as a script has it that only
imports that function; all within inference_mode, as `predict` runs. For the YOLOX head
Ultralytics is given what it can read: boxes decoded and scores multiplied beforehand. The boxes
that edgesdk keeps are compared with those of torchvision's batched_nms.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torchvision
from numpy.typing import NDArray
from ultralytics.models.yolo.detect import DetectionPredictor
from ultralytics.utils.nms import non_max_suppression

from benchmarks.pipeline.rounds import as_object, interleaved, one_thread, versions
from edgesdk.preprocess import Preprocess
from edgesdk.vision.decoders import make_decoder
from edgesdk.vision.decoders.yolox import grids

COUNTS = (10, 100, 1000)
CLASSES = 80
SCORE, IOU, MOST = 0.25, 0.45, 300
ROUNDS = 40
Floats = NDArray[np.float32]


def candidates(count: int, side: int, rows: int) -> tuple[Floats, Floats]:
    """Boxes cx, cy, w, h (rows, 4) in pixels and scores (rows, classes)."""
    make = np.random.default_rng(count)
    objects = max(1, round(count / 12))
    center = make.uniform(0.1 * side, 0.9 * side, (objects, 2))
    size = make.uniform(0.05 * side, 0.25 * side, (objects, 2))
    kind = make.integers(0, CLASSES, objects)
    boxes = np.concatenate(
        [make.uniform(0, side, (rows, 2)), make.uniform(0.02 * side, 0.2 * side, (rows, 2))], axis=1
    )
    scores = make.uniform(0, 0.02, (rows, CLASSES))
    at, of = make.choice(rows, count, replace=False), make.integers(0, objects, count)
    boxes[at, :2] = center[of] + make.normal(0, 0.06, (count, 2)) * size[of]
    boxes[at, 2:] = size[of] * np.exp(make.normal(0, 0.08, (count, 2)))
    scores[at, kind[of]] = make.uniform(0.3, 0.95, count)
    return boxes.astype(np.float32), scores.astype(np.float32)


def yolov8_head(boxes: Floats, scores: Floats) -> Floats:
    """1 x 84 x N."""
    return np.ascontiguousarray(np.concatenate([boxes, scores], axis=1).T[None])


def yolox_head(boxes: Floats, scores: Floats, side: int) -> Floats:
    """1 x N x 85, the boxes as the head gives them; objectness is the best class's score."""
    cell, stride = grids(side, side, (8, 16, 32))
    best = np.maximum(scores.max(axis=1, keepdims=True), 1e-6)
    raw = boxes / stride[:, None]
    parts = [raw[:, :2] - cell, np.log(raw[:, 2:]), best, scores / best]
    return np.concatenate(parts, axis=1, dtype=np.float32)[None]


def kept_by_torchvision(boxes: Floats, scores: Floats) -> NDArray[np.int64]:
    """Rows that batched_nms keeps of those above the threshold, best first."""
    best = scores.max(axis=1)
    rows = np.flatnonzero(best >= SCORE)
    corners = np.concatenate(
        [boxes[rows, :2] - boxes[rows, 2:] / 2, boxes[rows, :2] + boxes[rows, 2:] / 2], axis=1
    )
    kept = torchvision.ops.batched_nms(
        torch.from_numpy(corners),
        torch.from_numpy(best[rows]),
        torch.from_numpy(scores[rows].argmax(axis=1)),
        IOU,
    )
    kept_rows: NDArray[np.int64] = rows[kept.numpy()[:MOST]]
    return kept_rows


def measured(head: str, side: int, rows: int, count: int) -> dict[str, Any]:
    boxes, scores = candidates(count, side, rows)
    settings = {"score_threshold": SCORE, "iou_threshold": IOU, "max_detections": MOST}
    preprocess = Preprocess(side, side)
    decoder = make_decoder({"type": head, **settings}, "benchmark", preprocess)
    placement = preprocess.placement(side, side)
    columns = yolov8_head(boxes, scores)
    output = columns if head == "yolov8" else yolox_head(boxes, scores, side)
    theirs = torch.from_numpy(columns)

    def suppression() -> Any:
        return non_max_suppression(theirs, SCORE, IOU, max_det=MOST)

    postprocess = predicted(side)
    cases: dict[str, Callable[[], object]] = {
        "edgesdk": lambda: decoder.decode({"output": output}, placement),
        "ultralytics, predict's postprocess": lambda: postprocess(theirs),
        "ultralytics, as predict": suppression,
        "ultralytics, torchvision not loaded": without_torchvision(suppression),
    }
    with torch.inference_mode():
        timed = interleaved(cases, ROUNDS, max(2, 400 // count))
    found = decoder.decode({"output": output}, placement)
    expected = scores.max(axis=1)[kept_by_torchvision(boxes, scores)]
    same = len(found) == len(expected) and np.allclose(found.score, expected, rtol=1e-5)
    return {"cases": timed, "kept": len(found), "kept_equal_torchvision": bool(same)}


def predicted(side: int) -> Callable[[torch.Tensor], object]:
    """What `predict` does with a head's output, for a picture of the input's size."""
    told = {"conf": SCORE, "iou": IOU, "max_det": MOST, "verbose": False}
    predictor = DetectionPredictor(overrides=told)
    predictor.model = SimpleNamespace(names={i: str(i) for i in range(CLASSES)}, end2end=False)
    predictor.batch = [["picture.jpg"]]
    picture, tensor = np.zeros((side, side, 3), np.uint8), torch.zeros((1, 3, side, side))
    return lambda head: predictor.postprocess(head, tensor, [picture])


def without_torchvision(work: Callable[[], object]) -> Callable[[], object]:
    """Ultralytics looks into sys.modules to choose its suppression."""

    def run() -> object:
        module = sys.modules.pop("torchvision")
        try:
            return work()
        finally:
            sys.modules["torchvision"] = module

    return run


def main() -> dict[str, Any]:
    """Both heads with every number of candidates."""
    one_thread()
    heads = {"84x8400": ("yolov8", 640, 8400), "3549x85": ("yolox", 416, 3549)}
    return {
        "what": " ".join((__doc__ or "").split()),
        "goal": "5 x Ultralytics up to 100 candidates, 3 x at 1,000; torchvision's boxes",
        "versions": versions("numpy", "ultralytics", "torch", "torchvision"),
        "heads": {
            name: {str(count): measured(*head, count) for count in COUNTS}
            for name, head in heads.items()
        },
    }


if __name__ == "__main__":
    as_object(main)
