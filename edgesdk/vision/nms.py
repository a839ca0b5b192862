"""Non-maximum suppression: of boxes that show the same thing, keep the best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgesdk.detections import Detections
from edgesdk.geometry import Boxes, Placement, area, iou, share_inside

CANDIDATES = 2000
"""Only so many of the best boxes enter: bounds the time on a picture full of noise."""


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
    keep: list[int] = []
    while len(order) and len(keep) < max_detections:
        best, order = order[0], order[1:]
        keep.append(int(best))
        stays = iou(boxes[best : best + 1], boxes[order])[0] <= iou_threshold
        if inside_threshold < 1:
            stays &= share_inside(boxes[best : best + 1], boxes[order])[0] <= inside_threshold
        if class_id is not None:
            stays |= class_id[order] != class_id[best]
        order = order[stays]
    return np.array(keep, np.int64)


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
    usable = np.isfinite(boxes).all(axis=1) & (score >= settings.score_threshold)
    boxes, score, class_id = boxes[usable], score[usable], class_id[usable]
    by_class = None if settings.class_agnostic else class_id
    keep = nms(
        boxes,
        score,
        by_class,
        settings.iou_threshold,
        settings.max_detections,
        inside_threshold=settings.inside_threshold,
    )
    found = Detections(placement.to_picture(boxes[keep]), score[keep], class_id[keep])
    return found[area(found.xyxy) > 0]
