"""Average precision by COCO's definition, from a score card for each picture.

pycocotools decides once for each picture which boxes are right (`match`). Its accumulation over
pictures is done here in numpy, for many multisets of the same pictures at once (`CardTable`).
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgesdk._optional import require
from edgesdk.accuracy.classification import unseen_share
from edgesdk.detections import Detections
from edgesdk.geometry import area
from edgesdk.tensors import Array

OVERLAPS = np.linspace(0.5, 0.95, 10)
"""IoU from which a box is right; mAP50-95 is the mean over them."""
RECALLS = np.linspace(0.0, 1.0, 101)
"""Where the precision is read off."""
MAX_DETECTIONS = 100
"""Best boxes of a class that count in one picture."""
CELLS = 2_000_000
"""Numbers held at once while many multisets are scored: 16 MB."""
PURPOSE = "compute mean average precision"

Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Card:
    """All that average precision needs of one picture: some bytes a box."""

    class_id: NDArray[np.int64]
    """Of the D boxes found; shape (D,)."""
    score: NDArray[np.float32]
    right: Flags
    """Whether it is right at each of OVERLAPS; shape (D, 10)."""
    truths: dict[int, int]
    """Class -> number of labelled boxes."""

    def pooled(self) -> Card:
        """All classes as one; a box is right still only where its class was."""
        total = sum(self.truths.values())
        return replace(
            self, class_id=np.zeros_like(self.class_id), truths={0: total} if total else {}
        )


def match(found: Detections, truth: Detections) -> Card:
    """Score one picture's boxes by pycocotools. Raises MissingExtra without it."""
    kinds, counts = np.unique(truth.class_id, return_counts=True)
    truths = {int(k): int(n) for k, n in zip(kinds, counts, strict=True)}
    found = found[_best(found)]
    right = np.zeros((len(found), len(OVERLAPS)), np.bool_)
    # Where one side has no box of a class, all of the other's are wrong or missed anyway.
    shared = sorted(set(truths) & set(found.class_id.tolist()))
    for result in _evaluate(found, truth, shared):
        right[np.array(result["dtIds"]) - 1] = np.array(result["dtMatches"]).T > 0
    return Card(found.class_id, found.score, right, truths)


class CardTable:
    """Score cards of N pictures, arranged by class and ready to be counted over and over."""

    names = ("mAP50-95", "mAP50")

    def __init__(self, cards: Sequence[Card]) -> None:
        self.pictures = len(cards)
        sizes = [len(card.class_id) for card in cards]
        picture = np.repeat(np.arange(len(cards)), sizes)
        kinds = np.concatenate([card.class_id for card in cards] or [np.zeros(0, np.int64)])
        score = np.concatenate([card.score for card in cards] or [np.zeros(0, np.float32)])
        right = np.concatenate([card.right for card in cards] or [np.zeros((0, 10), np.bool_)])
        self._classes = []
        for kind in sorted({kind for card in cards for kind in card.truths}):
            rows = np.flatnonzero(kinds == kind)
            rows = rows[np.argsort(-score[rows], kind="stable")]
            truths = np.array([card.truths.get(kind, 0) for card in cards], np.float64)
            self._classes.append(_Class.of(truths, picture[rows], right[rows]))

    def figures(self, weights: Array) -> Array:
        """mAP50-95 and mAP50 of each multiset, 0..1; shape (R, N) to (R, 2).

        `weights` says how often each picture counts. Copies of a picture stand side by side, so
        that each of its boxes is followed by its copies. NaN where no box is labelled at all.
        """
        weights = np.asarray(weights, np.float64)
        total, present = np.zeros((len(weights), len(OVERLAPS))), np.zeros((len(weights), 1))
        for kind in self._classes:
            step = max(1, CELLS // max(kind.cells, 1))
            for start in range(0, len(weights), step):
                part = slice(start, start + step)
                precision, counts = kind.average_precision(weights[part])
                total[part] += precision
                present[part, 0] += counts
        with np.errstate(invalid="ignore"):
            by_overlap = total / present
        return np.stack([by_overlap.mean(axis=1), by_overlap[:, 0]], axis=1)

    def unseen(self) -> float:
        """About the share of pictures that could differ: average precision has no such bound."""
        return unseen_share(self.pictures)


class DetectionMetric:
    """Mean average precision of one detector, one picture at a time."""

    def __init__(self) -> None:
        self._cards: list[Card] = []

    def add(self, found: Detections, truth: Detections) -> None:
        """One picture: what was found, scores included, and what is there.

        Raises MissingExtra without pycocotools.
        """
        self._cards.append(match(found, truth))

    def result(self) -> dict[str, float]:
        """{"mAP50-95": ..., "mAP50": ...}, 0..1; empty when no box is labelled at all."""
        if not any(card.truths for card in self._cards):
            return {}
        figures = CardTable(self._cards).figures(np.ones((1, len(self._cards))))[0]
        return dict(zip(CardTable.names, figures.tolist(), strict=True))


@dataclass(frozen=True, eq=False)
class _Class:
    """The boxes of one class in all pictures, the surest first."""

    truths: Array
    """Labelled boxes in each picture; shape (N,)."""
    picture: Array
    """Of each box found; shape (D,)."""
    hits: Array
    """Which of those are right at some overlap; shape (K,). Only there recall and, going from
    the right, precision can rise, and K is ten times smaller than D."""
    right: Array
    """At each overlap; shape (10, K), 0 or 1."""

    @classmethod
    def of(cls, truths: Array, picture: Array, right: Flags) -> _Class:
        hits = np.flatnonzero(right.any(axis=1))
        return cls(truths, picture, hits, right[hits].T.astype(np.float64))

    @property
    def cells(self) -> int:
        """Numbers needed for one multiset."""
        return max(len(self.picture), self.right.size)

    def average_precision(self, weights: Array) -> tuple[Array, Array]:
        """At each overlap, shape (R, 10), and whether the class is there at all, shape (R,).

        As COCOeval.accumulate has it: precision made monotone from the right, read at the first
        box that reaches each of the 101 recalls.
        """
        truths = weights @ self.truths
        if not len(self.hits):
            return np.zeros((len(weights), len(OVERLAPS))), truths > 0
        each = weights[:, self.picture]
        counted = np.cumsum(each, axis=1)[:, None, self.hits]
        right = np.cumsum(each[:, None, self.hits] * self.right, axis=2)
        precision = right / (counted + np.spacing(1))
        precision = np.maximum.accumulate(precision[..., ::-1], axis=2)[..., ::-1]
        recall = right / np.maximum(truths, 1)[:, None, None]
        reached = np.searchsorted(RECALLS, recall, side="right")
        taken = np.diff(reached, axis=2, prepend=0)
        average: Array = (precision * taken).sum(axis=2) / len(RECALLS)
        return average * (truths > 0)[:, None], truths > 0


def _best(found: Detections) -> Flags:
    """The boxes that count: the best of each class, in pycocotools' order."""
    keep = np.ones(len(found), np.bool_)
    if len(found) > MAX_DETECTIONS:
        for kind in np.unique(found.class_id):
            rows = np.flatnonzero(found.class_id == kind)
            keep[rows[np.argsort(-found.score[rows], kind="stable")[MAX_DETECTIONS:]]] = False
    return keep


def _evaluate(
    found: Detections, truth: Detections, classes: Sequence[int]
) -> Iterator[Mapping[str, object]]:
    """pycocotools' own result for each class that has boxes on both sides."""
    api = require("pycocotools.coco", PURPOSE)
    evaluation = require("pycocotools.cocoeval", PURPOSE)
    if not classes:
        return
    one, two = api.COCO(), api.COCO()
    for coco, boxes in ((one, truth), (two, found)):
        coco.dataset = {
            "images": [{"id": 1}],
            "categories": [{"id": kind} for kind in classes],
            "annotations": [
                {**entry, "id": i + 1, "image_id": 1, "iscrowd": 0}
                for i, entry in enumerate(_entries(boxes))
            ],
        }
    with contextlib.redirect_stdout(io.StringIO()):  # it prints what it is doing
        one.createIndex()
        two.createIndex()
        scorer = evaluation.COCOeval(one, two, "bbox")
        scorer.params.areaRng, scorer.params.areaRngLbl = [[0, 1e10]], ["all"]
        scorer.params.maxDets = [MAX_DETECTIONS]
        scorer.evaluate()
    yield from (result for result in scorer.evalImgs if result is not None)


def _entries(boxes: Detections) -> Iterator[dict[str, object]]:
    corners = boxes.xyxy.astype(np.float64)
    sized = np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]]).tolist()
    sizes = area(boxes.xyxy)
    for box, size, kind, score in zip(sized, sizes, boxes.class_id, boxes.score, strict=True):
        yield {"bbox": box, "area": float(size), "category_id": int(kind), "score": float(score)}
