"""How good an exported model is on pictures that it never saw, by COCO's measure."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from edgesdk.detections import Detections
from edgesdk.sim import LABELS, TrafficScene, TrafficSettings
from edgesdk.vision.decoders import make_decoder
from edgesdk.vision.detector import Detector
from training.example import PREPARE, Example
from training.simulated import LIGHTS


class Onnx:
    """Runs the exported file: what is measured is what is shipped."""

    def __init__(self, path: Path) -> None:
        self._session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(self, feeds: Any) -> dict[str, Any]:
        """Outputs by name."""
        return {"output": self._session.run(None, dict(feeds))[0]}


def simulated(every: int = 12) -> Iterator[Example]:
    """Every so many frames of five scenes that training never sees, one for each light."""
    for seed, light in enumerate(LIGHTS, start=1):
        scene = TrafficScene(TrafficSettings(seed=seed, light=light))  # type: ignore[arg-type]
        for index in range(0, scene.settings.frames, every):
            truth = scene.truth(index)
            yield Example(scene.frame(index), truth.xyxy, truth.class_id)


def score(path: Path, examples: Iterator[Example] | Sequence[Example]) -> dict[str, float]:
    """mAP (0..1) of an exported file on these pictures; an unsure box is neither hit nor miss.

    `map_medium` is of vehicles of 32 x 32 to 96 x 96 pixels; -1 where there are none.
    """
    decoder = make_decoder({"type": "yolox", "score_threshold": 0.01}, "train.py", PREPARE)
    detect = Detector(PREPARE, Onnx(path), "images", decoder)  # type: ignore[arg-type]
    truth: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    number = 0
    for number, example in enumerate(examples, start=1):
        truth += _rows(_sure(example), number, len(truth))
        truth += _rows(_unsure(example), number, len(truth), crowd=1)
        found += _rows(detect(example.image), number, len(found))
    run = evaluate(truth, found, number)
    by_class = _by_class(run)
    names = {f"map50_{name}": value for name, value in by_class.items()}
    stats = {name: round(float(run.stats[i]), 4) for name, i in STATS.items()}
    boxes = sum(1 - row["iscrowd"] for row in truth)
    return {**stats, **names, "pictures": number, "boxes": boxes}


STATS = {"map": 0, "map50": 1, "map_medium": 4}
"""Name -> place in pycocotools' summary."""


def _by_class(run: COCOeval) -> dict[str, float]:
    """Average precision at IoU 0.5 of each class; -1 where the pictures have none."""
    values = run.eval["precision"][0, :, :, 0, 2].mean(axis=0)
    return {name: round(float(v), 4) for name, v in zip(LABELS, values, strict=True)}


def evaluate(truth: list[dict[str, Any]], found: list[dict[str, Any]], pictures: int) -> COCOeval:
    """pycocotools, which prints, kept quiet."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "info": {},
            "images": [{"id": number} for number in range(1, pictures + 1)],
            "annotations": truth,
            "categories": [{"id": class_id} for class_id in range(len(LABELS))],
        }
        coco.createIndex()
        run = COCOeval(coco, coco.loadRes(found) if found else COCO(), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return run


def _sure(example: Example) -> Detections:
    return Detections(example.boxes, np.ones(len(example.boxes), np.float32), example.classes)


def _unsure(example: Example) -> Detections:
    """Each box under each class."""
    boxes = np.tile(example.unsure, (len(LABELS), 1))
    classes = np.repeat(np.arange(len(LABELS)), len(example.unsure))
    return Detections(boxes, np.ones(len(boxes), np.float32), classes)


def _rows(detections: Detections, picture: int, start: int, crowd: int = 0) -> list[dict[str, Any]]:
    """Detections as COCO's annotations and results; found in a crowd counts neither way."""
    parts = (detections.xyxy.tolist(), detections.score.tolist(), detections.class_id.tolist())
    return [
        {"id": start + i, "image_id": picture, "category_id": k, "score": s, "iscrowd": crowd,
         "bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1)}
        for i, ((x1, y1, x2, y2), s, k) in enumerate(zip(*parts, strict=True), start=1)
    ]  # fmt: skip
