"""How good an exported model is on scenes that it never saw."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import onnxruntime
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from edgesdk.detections import Detections
from edgesdk.sim import LABELS, TrafficScene, TrafficSettings
from edgesdk.vision.decoders import make_decoder
from edgesdk.vision.detector import Detector
from training.pictures import LIGHTS, PREPARE


class Onnx:
    """Runs the exported file: what is measured is what is shipped."""

    def __init__(self, path: Path) -> None:
        self._session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(self, feeds: Any) -> dict[str, Any]:
        """Outputs by name."""
        return {"output": self._session.run(None, dict(feeds))[0]}


def held_out() -> list[TrafficScene]:
    """Five scenes that training never sees, one for each light."""
    return [
        TrafficScene(TrafficSettings(seed=seed, light=light))  # type: ignore[arg-type]
        for seed, light in enumerate(LIGHTS, start=1)
    ]


def score(path: Path, every: int = 12) -> dict[str, float]:
    """mAP (0..1) of an exported file on the held-out scenes, every so many frames, by COCO."""
    decoder = make_decoder({"type": "yolox", "score_threshold": 0.01}, "train.py", PREPARE)
    detect = Detector(PREPARE, Onnx(path), "images", decoder)  # type: ignore[arg-type]
    truth: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    pictures = [(s, i) for s in held_out() for i in range(0, s.settings.frames, every)]
    for number, (scene, index) in enumerate(pictures, start=1):
        truth += rows(scene.truth(index), number, len(truth))
        found += rows(detect(scene.frame(index)), number, len(found))
    run = evaluate(truth, found, len(pictures))
    by_class = run.eval["precision"][0, :, :, 0, 2].mean(axis=0)
    names = {f"map50_{name}": round(float(v), 4) for name, v in zip(LABELS, by_class, strict=True)}
    overall = {"map": round(float(run.stats[0]), 4), "map50": round(float(run.stats[1]), 4)}
    return {**overall, **names, "pictures": len(pictures), "boxes": len(truth)}


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


def rows(detections: Detections, picture: int, start: int) -> list[dict[str, Any]]:
    """Detections as COCO's annotations and results."""
    parts = (detections.xyxy.tolist(), detections.score.tolist(), detections.class_id.tolist())
    return [
        {"id": start + i, "image_id": picture, "category_id": k, "score": s, "iscrowd": 0,
         "bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1)}
        for i, ((x1, y1, x2, y2), s, k) in enumerate(zip(*parts, strict=True), start=1)
    ]  # fmt: skip
