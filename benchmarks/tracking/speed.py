"""CPU time of a frame with 3, 10 and 50 boxes, in one process and in turns."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import supervision
import trackers

from benchmarks.pipeline.rounds import as_object, interleaved, versions
from benchmarks.tracking.detections import crowd
from edgesdk.detections import Detections
from edgesdk.vision.tracker import Tracker

COUNTS, ROUNDS = (3, 10, 50), 9


def ours(frames: list[Detections]) -> None:
    """One video."""
    tracker = Tracker()
    for found in frames:
        tracker.update(found)


def theirs(frames: list[supervision.Detections]) -> None:
    """The same video."""
    tracker = trackers.ByteTrackTracker()
    for found in frames:
        tracker.update(found)


def main() -> dict[str, Any]:
    """A video of each count, both trackers, in turns; times are for a frame."""
    rows = {}
    for count in COUNTS:
        frames = crowd(count)
        given = [
            supervision.Detections(xyxy=f.xyxy, confidence=f.score, class_id=f.class_id)
            for f in frames
        ]
        cases: dict[str, Callable[[], object]] = {
            "edgesdk": partial(ours, frames),
            "trackers, ByteTrack": partial(theirs, given),
        }
        timed = interleaved(cases, ROUNDS, 1)
        ratio = timed["trackers, ByteTrack"]["cpu_times_ours"]
        rows[str(count)] = {
            **{f"{name}, cpu_ms": round(t["cpu_ms"] / len(frames), 4) for name, t in timed.items()},
            "ours_over_theirs": round(1 / ratio, 3),
        }
    return {
        "what": " ".join((__doc__ or "").split()),
        "goal": "of trackers.ByteTrack's time at most a half at 10 boxes and a fifth at 50",
        "versions": versions("trackers", "supervision", "numpy"),
        "boxes": rows,
    }


if __name__ == "__main__":
    as_object(main)
