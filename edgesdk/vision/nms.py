"""Non-maximum suppression: of boxes that show the same thing, keep the best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgesdk.detections import Detections
from edgesdk.geometry import Boxes, Placement

CANDIDATES = 2000
"""Only so many of the best boxes enter: bounds the time on a picture full of noise."""
BLOCK = 128
"""Boxes that are compared with each other at once: few enough for the cache."""
CLASSES = 4
"""From so many classes on, the best box of each is taken at once."""
FEW = 12
"""So few are compared one by one, which is as fast and needs no arrays."""
TINY = np.float32(1e-30)
"""Less than the area of any box that has one."""


@dataclass(frozen=True)
class NmsSettings:
    """Which boxes of a detector are kept."""

    score_threshold: float = 0.3
    """Boxes below this are dropped, 0..1. 0.01 when mAP is measured."""
    iou_threshold: float = 0.45
    """Of two boxes that overlap by more than this (IoU, 0..1) the weaker is dropped."""
    inside_threshold: float = 1.0
    """A weaker box is also dropped when more than this share of it, 0..1, lies inside a better one:
    for detectors that find parts of large things again. 1: never."""
    max_detections: int = 300
    """At most so many boxes for a picture, the best first."""
    class_agnostic: bool = False
    """Boxes of different classes suppress each other too: a van is a car or a truck, not both."""

    def __post_init__(self) -> None:
        for name in ("score_threshold", "iou_threshold", "inside_threshold"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} should be 0..1, found {getattr(self, name)}")
        if self.max_detections < 1:
            raise ValueError(f"max_detections should be 1 or more, found {self.max_detections}")


def nms(
    boxes: Boxes,
    score: NDArray[np.float32],
    class_id: NDArray[np.int64] | None,
    iou_threshold: float,
    max_detections: int,
    *,
    inside_threshold: float = 1.0,
) -> NDArray[np.int64]:
    """Indices of the boxes to keep, best first; equal scores keep their order.

    Greedy: the best box is kept, all that overlap it by more than `iou_threshold`, or lie
    inside it by more than `inside_threshold`, are dropped, and so on. With `class_id` only
    boxes of the same class suppress each other.
    Only the `CANDIDATES` best boxes are looked at.
    """
    order = np.argsort(-score, kind="stable")[:CANDIDATES]
    classes = None if class_id is None else class_id[order]
    if len(order) <= FEW:
        rows = boxes[order].tolist()
        names = [0] * len(rows) if classes is None else classes.tolist()
        return order[_few(rows, names, iou_threshold, inside_threshold)[:max_detections]]
    rivals = _Rivals(boxes[order], classes, iou_threshold, inside_threshold)
    left, sure = np.arange(len(order)), np.empty(0, np.int64)
    if classes is not None:
        sure, left = _class_by_class(rivals, classes)
    keep: list[int] = []
    while len(left) and len(keep) < max_detections:
        block, left = left[:BLOCK], left[BLOCK:]
        kept = block[_greedy(rivals.between(block[:, None], block))]
        keep += kept.tolist()
        if len(left):
            left = left[~rivals.between(kept[:, None], left).any(axis=0)]
    return order[np.sort(np.append(sure, keep).astype(np.int64))[:max_detections]]


def _class_by_class(
    rivals: _Rivals, classes: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Boxes that stay, and those that are still to be looked at, best first.

    Each look takes the best box of every class at once and rules out what it rules out. That
    pays as long as the boxes are of several classes.
    """
    left, sure = np.argsort(classes, kind="stable"), np.empty(0, np.int64)
    first = np.ones(len(left), np.bool_)
    while len(left):
        kind = classes[left]
        np.not_equal(kind[1:], kind[:-1], out=first[1:])
        best = left[first]
        if len(best) < CLASSES:
            break
        sure = np.append(sure, best)
        gone = rivals.between(best[np.cumsum(first) - 1], left)
        gone |= first
        left = left[~gone]
        first = first[: len(left)]
    return sure, np.sort(left)


def _few(
    boxes: list[list[float]], classes: list[int], iou_threshold: float, inside_threshold: float
) -> list[int]:
    """The same without arrays: each call of numpy's costs as much as comparing two boxes."""
    keep: list[int] = []
    areas = [max(right - left, 0) * max(bottom - top, 0) for left, top, right, bottom in boxes]
    for index, (left, top, right, bottom) in enumerate(boxes):
        for better in keep:
            if classes[better] != classes[index]:
                continue
            x1, y1, x2, y2 = boxes[better]
            width = (x2 if x2 < right else right) - (x1 if x1 > left else left)
            height = (y2 if y2 < bottom else bottom) - (y1 if y1 > top else top)
            if width <= 0 or height <= 0:
                continue
            shared = width * height
            if shared > iou_threshold * (areas[better] + areas[index] - shared):
                break
            if shared > inside_threshold * areas[index]:
                break
        else:
            keep.append(index)
    return keep


class _Rivals:
    """Which of boxes are so alike that only one of them may stay."""

    def __init__(
        self,
        boxes: Boxes,
        class_id: NDArray[np.int64] | None,
        iou_threshold: float,
        inside_threshold: float,
    ) -> None:
        # Each edge of all boxes lies together in memory: five times as fast as box by box.
        self._edges = left, top, right, bottom = np.ascontiguousarray(boxes.T)
        area = np.maximum(right - left, 0) * np.maximum(bottom - top, 0)
        # Boxes without area share nothing: whatever is not 0 below the line gives 0.
        self._area = np.maximum(area, TINY)
        self._class = None if class_id is None else class_id.astype(np.int32)
        self._iou_threshold = iou_threshold
        self._inside_threshold = inside_threshold

    def between(self, better: NDArray[np.int64], worse: NDArray[np.int64]) -> NDArray[np.bool_]:
        """True where the box of `better` rules out that of `worse`; the shapes are broadcast."""
        left, top, right, bottom = (edge[better] for edge in self._edges)
        shared = np.minimum(right, self._edges[2][worse])
        shared -= np.maximum(left, self._edges[0][worse])
        np.maximum(shared, np.float32(0), out=shared)
        height = np.minimum(bottom, self._edges[3][worse])
        height -= np.maximum(top, self._edges[1][worse])
        # Below 0 where they are apart in height: so is the ratio, and no threshold is.
        shared *= height
        area = self._area[worse]
        union = np.add(self._area[better], area, out=height)
        union -= shared
        rules_out: NDArray[np.bool_] = np.divide(shared, union, out=union) > self._iou_threshold
        if self._inside_threshold < 1:
            rules_out |= shared / area > self._inside_threshold
        if self._class is not None:
            rules_out &= self._class[better] == self._class[worse]
        return rules_out


def _greedy(rules_out: NDArray[np.bool_]) -> list[int]:
    """Indices that stay, of boxes in the order of their scores; (N, N)."""
    rows = np.packbits(rules_out, axis=1, bitorder="little")
    gone, stay = 0, []
    for index in range(len(rows)):
        if not gone >> index & 1:
            stay.append(index)
            gone |= int.from_bytes(rows[index].tobytes(), "little")
    return stay


def best_detections(
    boxes: Boxes,
    score: NDArray[np.float32],
    class_id: NDArray[np.int64],
    placement: Placement,
    settings: NmsSettings,
) -> Detections:
    """The boxes of one picture's input after suppression, in pixels of the original picture.

    Boxes that are not finite, and those with nothing inside the picture, are dropped.
    """
    sure = score >= settings.score_threshold
    if not (sure.all() and np.isfinite(boxes).all()):
        usable = np.isfinite(boxes).all(axis=1) & sure
        boxes, score, class_id = boxes[usable], score[usable], class_id[usable]
    if not len(boxes):
        return Detections.empty()
    keep = nms(
        boxes,
        score,
        None if settings.class_agnostic else class_id,
        settings.iou_threshold,
        settings.max_detections,
        inside_threshold=settings.inside_threshold,
    )
    found = placement.to_picture(boxes[keep])
    inside = (found[:, 2] > found[:, 0]) & (found[:, 3] > found[:, 1])
    if not inside.all():
        found, keep = found[inside], keep[inside]
    return Detections(found, score[keep], class_id[keep])
