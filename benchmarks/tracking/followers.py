"""The trackers: each takes detections frame by frame and gives boxes with ids."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import norfair
import numpy as np
import supervision
import trackers

from edgesdk.detections import Detections
from edgesdk.tensors import Array
from edgesdk.vision.tracker import Tracker, TrackerSettings

Follow = Callable[[Detections], tuple[Array, Array]]
"""Boxes (N, 4) and ids (N,) that a tracker reports for one frame."""


def edgesdk(settings: TrackerSettings, fps: float) -> Follow:
    """Ours; what has no id is not reported."""
    tracker = Tracker(settings, fps)

    def follow(found: Detections) -> tuple[Array, Array]:
        tracked = tracker.update(found)
        named = tracked.track_id >= 0
        return tracked.xyxy[named], tracked.track_id[named]

    return follow


def roboflow(kind: Callable[..., Any], fps: float) -> Follow:
    """One of Roboflow's trackers, as it comes, told the frame rate."""
    tracker = kind(frame_rate=fps)

    def follow(found: Detections) -> tuple[Array, Array]:
        given = supervision.Detections(
            xyxy=found.xyxy, confidence=found.score, class_id=found.class_id
        )
        tracked = tracker.update(given)
        if tracked.tracker_id is None:
            return np.zeros((0, 4)), np.zeros(0, np.int64)
        named = tracked.tracker_id >= 0
        return tracked.xyxy[named], tracked.tracker_id[named]

    return follow


def as_norfair() -> Follow:
    """norfair by IoU with the threshold of its examples; it reports its estimates."""
    tracker = norfair.Tracker(distance_function="iou", distance_threshold=0.7)

    def follow(found: Detections) -> tuple[Array, Array]:
        given = [
            norfair.Detection(points=box.reshape(2, 2), scores=np.array([score, score]))
            for box, score in zip(found.xyxy, found.score, strict=True)
        ]
        live = [each for each in tracker.update(given) if each.live_points.any()]
        boxes = np.array([each.estimate.reshape(4) for each in live]).reshape(-1, 4)
        return boxes, np.array([each.id for each in live], np.int64)

    return follow


def peers(fps: float) -> Mapping[str, Callable[[], Follow]]:
    """All that are compared with ours, by name."""
    return {
        "trackers, ByteTrack": lambda: roboflow(trackers.ByteTrackTracker, fps),
        "trackers, C-BIoU": lambda: roboflow(trackers.CBIoUTracker, fps),
        "trackers, OC-SORT": lambda: roboflow(trackers.OCSORTTracker, fps),
        "norfair": as_norfair,
    }
