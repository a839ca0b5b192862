"""COCO's average precision on resampled pictures: matched once by pycocotools, weighed often."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from edgesdk.detections import Detections

RECALLS = np.linspace(0.0, 1.0, 101)
"""Where COCO reads the precision."""
CHUNK = 100
"""Draws at once: bounds the memory."""


class AveragePrecision:
    """Matches of all pictures, from which the precision of any resample follows."""

    def __init__(self, found: list[Detections], truth: list[Detections]) -> None:
        self._pictures = len(found)
        self._scorer = _evaluated(found, truth)

    def by_pycocotools(self) -> tuple[float, float]:
        """(mAP50-95, mAP50) of all pictures."""
        if self._scorer is None:
            return 0.0, 0.0
        with contextlib.redirect_stdout(io.StringIO()):
            self._scorer.accumulate()
            self._scorer.summarize()
        return float(self._scorer.stats[0]), float(self._scorer.stats[1])

    def resampled(self, weights: np.ndarray) -> np.ndarray:
        """(mAP50-95, mAP50) for each draw, (draws, 2); weights: (draws, pictures)."""
        if self._scorer is None:
            return np.zeros((len(weights), 2))
        chunks = [weights[i : i + CHUNK] for i in range(0, len(weights), CHUNK)]
        return np.concatenate([self._chunk(chunk) for chunk in chunks])

    def _chunk(self, weights: np.ndarray) -> np.ndarray:
        total = np.zeros((len(weights), 10))
        counted = np.zeros((len(weights), 1))
        for cards in self._by_class():
            precision, present = _class_precision(cards, weights)
            total += precision
            counted += present
        by_threshold = total / np.maximum(counted, 1)
        return np.stack([by_threshold.mean(1), by_threshold[:, 0]], 1)

    def _by_class(self) -> list[list[tuple[int, dict[str, Any]]]]:
        """Per class the (picture, card) pairs, boxes of all sizes."""
        assert self._scorer is not None
        params, cards = self._scorer.params, self._scorer.evalImgs
        sizes, pictures = len(params.areaRng), len(params.imgIds)
        groups = [cards[k * sizes * pictures :][:pictures] for k in range(len(params.catIds))]
        return [[(i, c) for i, c in enumerate(g) if c is not None] for g in groups]


def _class_precision(
    cards: list[tuple[int, dict[str, Any]]], weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Average precision (draws, 10 thresholds) of one class, and (draws, 1) whether it occurs."""
    draws = len(weights)
    if not cards:
        return np.zeros((draws, 10)), np.zeros((draws, 1))
    pictures = np.array([i for i, _ in cards])
    labelled = np.array([int((np.asarray(c["gtIgnore"]) == 0).sum()) for _, c in cards])
    positives = weights[:, pictures] @ labelled
    present = (positives > 0).astype(np.float64)[:, None]
    scores = np.concatenate([c["dtScores"][:100] for _, c in cards])
    if not len(scores):
        return np.zeros((draws, 10)), present
    owner = np.concatenate([np.full(len(c["dtScores"][:100]), i) for i, c in cards])
    order = np.argsort(-scores, kind="mergesort")
    matched = np.concatenate([c["dtMatches"][:, :100] for _, c in cards], 1)[:, order]
    ignored = np.concatenate([c["dtIgnore"][:, :100] for _, c in cards], 1)[:, order]
    drawn = weights[:, owner[order]][:, None, :]
    right = np.cumsum(drawn * ((matched > 0) & (ignored == 0)), 2)
    wrong = np.cumsum(drawn * ((matched == 0) & (ignored == 0)), 2)
    precision = right / (right + wrong + np.spacing(1))
    # The envelope: the best precision at this recall or a larger one.
    envelope = np.maximum.accumulate(precision[..., ::-1], 2)[..., ::-1]
    recall = right / np.maximum(positives, 1)[:, None, None]
    # How many of the recalls 0, .01 ... 1 are reached first at each entry.
    steps = np.diff(np.searchsorted(RECALLS, recall, side="right"), axis=2, prepend=0)
    return (envelope * steps).sum(2) / 101 * present, present


def _evaluated(found: list[Detections], truth: list[Detections]) -> COCOeval | None:
    classes = sorted({int(k) for boxes in truth for k in boxes.class_id})
    labels = _entries(truth, scored=False)
    detections = _entries(found, scored=True)
    if not detections or not labels:
        return None
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "info": {},
            "images": [{"id": i + 1} for i in range(len(truth))],
            "annotations": labels,
            "categories": [{"id": k} for k in classes],
        }
        coco.createIndex()
        scorer = COCOeval(coco, coco.loadRes(detections), "bbox")
        scorer.evaluate()
    return scorer


def _entries(pictures: list[Detections], scored: bool) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    for number, boxes in enumerate(pictures):
        for index, (x0, y0, x1, y1) in enumerate(boxes.xyxy.astype(float).tolist()):
            width, height = x1 - x0, y1 - y0
            entry: dict[str, Any] = {
                "id": len(entries) + 1,
                "image_id": number + 1,
                "category_id": int(boxes.class_id[index]),
                "bbox": [x0, y0, width, height],
                "area": width * height,
                "iscrowd": 0,
            }
            if scored:
                entry["score"] = float(boxes.score[index])
            entries.append(entry)
    return entries
