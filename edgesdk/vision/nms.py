"""Which boxes of a detector stay, and where they lie in the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgesdk.detections import Detections
from edgesdk.geometry import Boxes, Placement
from edgesdk.vision.suppression import nms


@dataclass(frozen=True)
class BoxSettings:
    """Which boxes of a detector are kept, where nothing has to be suppressed."""

    score_threshold: float = 0.3
    """Boxes below this are dropped, 0..1. 0.01 when mAP is measured."""
    max_detections: int = 300
    """At most so many boxes for a picture, the best first."""

    def __post_init__(self) -> None:
        if self.max_detections < 1:
            raise ValueError(f"max_detections should be 1 or more, found {self.max_detections}")
        for name in ("score_threshold", "iou_threshold", "inside_threshold"):
            if not 0 <= getattr(self, name, 0) <= 1:
                raise ValueError(f"{name} should be 0..1, found {getattr(self, name)}")


@dataclass(frozen=True)
class NmsSettings(BoxSettings):
    """Which boxes of a detector are kept, and which are another's duplicates."""

    iou_threshold: float = 0.45
    """Of two boxes that overlap by more than this (IoU, 0..1) the weaker is dropped."""
    inside_threshold: float = 1.0
    """A weaker box is also dropped when more than this share of it, 0..1, lies inside a better one:
    for detectors that find parts of large things again. 1: never."""
    class_agnostic: bool = False
    """Boxes of different classes suppress each other too: a van is a car or a truck, not both."""


def best_detections(
    boxes: Boxes,
    score: NDArray[np.float32],
    class_id: NDArray[np.int64],
    placement: Placement,
    settings: BoxSettings,
) -> Detections:
    """The boxes of one picture's input, best first, in pixels of the original picture.

    With NmsSettings duplicates are suppressed; else only the best are taken. Boxes that are not
    finite, and those with nothing inside the picture, are dropped.
    """
    usable = (score >= settings.score_threshold) & np.isfinite(boxes).all(axis=1)
    if not usable.all():
        boxes, score, class_id = boxes[usable], score[usable], class_id[usable]
    if not len(boxes):
        return Detections.empty()
    keep = _kept(boxes, score, class_id, settings)
    found = placement.to_picture(boxes.take(keep, axis=0))
    inside = found[:, 2:] > found[:, :2]
    if not inside.all():
        seen = inside.all(axis=1)
        found, keep = found[seen], keep[seen]
    return Detections(found, score.take(keep), class_id.take(keep))


def _kept(
    boxes: Boxes,
    score: NDArray[np.float32],
    class_id: NDArray[np.int64],
    settings: BoxSettings,
) -> NDArray[np.int64]:
    if not isinstance(settings, NmsSettings):
        return np.argsort(-score, kind="stable")[: settings.max_detections]
    return nms(
        boxes,
        score,
        None if settings.class_agnostic else class_id,
        settings.iou_threshold,
        settings.max_detections,
        inside_threshold=settings.inside_threshold,
    )
