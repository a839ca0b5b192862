"""Supervision's LineZone with Roboflow's ByteTrack and OC-SORT, on the same detections.

Both as they come, told the frame rate. LineZone once by the box's centre, as ours, and once by its
four corners, which is its default. A line of several parts is a LineZone for each.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import supervision
import trackers

from benchmarks.crossings import Passed
from benchmarks.lines.cases import Case
from benchmarks.lines.scores import scored
from benchmarks.lines.table import cases
from benchmarks.pipeline.rounds import as_object, versions
from edgesdk._resources import assets_folder

CENTER = (supervision.Position.CENTER,)


def counted(
    case: Case, kind: Callable[..., Any], anchors: tuple[supervision.Position, ...] | None
) -> list[list[Passed]]:
    """What it counts at each line of the case."""
    tracker = kind(frame_rate=case.fps)
    zones = [[_zone(*ends, anchors) for ends in line.parts] for line in case.lines]
    told: list[list[Passed]] = [[] for _ in case.lines]
    for index, found in case.frames:
        tracked = tracker.update(
            supervision.Detections(xyxy=found.xyxy, confidence=found.score, class_id=found.class_id)
        )
        for parts, passed in zip(zones, told, strict=True):
            for zone in parts:
                into, out = zone.trigger(tracked)
                for forward, rows in ((False, into), (True, out)):
                    for x1, y1, x2, y2 in tracked.xyxy[rows]:
                        passed.append(Passed(index, forward, (x1 + x2) / 2, (y1 + y2) / 2))
    return told


def _zone(start: Any, end: Any, anchors: Any) -> supervision.LineZone:
    """Its inside is on the left of who walks the line in the picture, so "in" is backward."""
    more = {"triggering_anchors": anchors} if anchors else {}
    return supervision.LineZone(supervision.Point(*start), supervision.Point(*end), **more)


def main(folder: Path) -> dict[str, Any]:
    """Every case with each pair of tracker and anchor."""
    assets = assets_folder()
    assert assets, "needs the assets: set EDGESDK_ASSETS"
    ways = {
        "LineZone (centre), ByteTrack": (trackers.ByteTrackTracker, CENTER),
        "LineZone (corners), ByteTrack": (trackers.ByteTrackTracker, None),
        "LineZone (centre), OC-SORT": (trackers.OCSORTTracker, CENTER),
    }
    table = cases(assets, folder)
    rows = {
        name: scored(table, partial(counted, kind=kind, anchors=anchors))
        for name, (kind, anchors) in ways.items()
    }
    return {"versions": versions("trackers", "supervision"), "rows": rows}


if __name__ == "__main__":
    as_object(partial(main, Path(sys.argv[1])))
