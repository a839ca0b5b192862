"""Ultralytics' ObjectCounter with its BoT-SORT and ByteTrack, on the same detections.

Its own classes and settings. Only what needs its own detector is left out: the model, pictures and
drawing; so BoT-SORT has no camera motion to make up for, as these cameras stand still. TrackTrack,
its newest default, uses boxes from before suppression, which other detectors do not give.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from shapely.geometry import LineString, Point, Polygon
from ultralytics.engine.results import Boxes
from ultralytics.solutions import ObjectCounter
from ultralytics.trackers.track import TRACKER_MAP
from ultralytics.utils import YAML
from ultralytics.utils.checks import check_yaml

from benchmarks.crossings import Passed
from benchmarks.lines.cases import Case, Ends
from benchmarks.lines.scores import scored
from benchmarks.lines.table import cases
from benchmarks.pipeline.rounds import as_object, versions
from edgesdk._resources import assets_folder
from edgesdk.detections import Detections


def counter(ends: Ends) -> Any:
    """An ObjectCounter at this line, without a model."""
    made = ObjectCounter.__new__(ObjectCounter)
    made.LineString, made.Polygon, made.Point = LineString, Polygon, Point
    made.region, made.names = [tuple(map(int, end)) for end in ends], defaultdict(str)
    made.in_count = made.out_count = 0
    made.counted_ids, made.track_history = set(), defaultdict(list)
    made.classwise_count = defaultdict(lambda: {"IN": 0, "OUT": 0})
    made.initialize_region()
    return made


def counted(case: Case, kind: str) -> list[list[Passed]]:
    """What it counts at each line of the case."""
    settings = SimpleNamespace(**{**YAML.load(check_yaml(f"{kind}.yaml")), "gmc_method": "none"})
    tracker = TRACKER_MAP[kind](args=settings)
    counters = [[counter(ends) for ends in line.parts] for line in case.lines]
    told: list[list[Passed]] = [[] for _ in case.lines]
    for index, found in case.frames:
        tracks = tracker.update(_boxes(found), np.zeros((8, 8, 3), np.uint8))
        gone = [track.track_id for track in tracker.removed_stracks_frame]
        for parts, passed in zip(counters, told, strict=True):
            for each in parts:
                passed.extend(_step(each, index, found, tracks, gone))
    return told


def _step(each: Any, index: int, found: Detections, tracks: Any, gone: list[int]) -> list[Passed]:
    each.forget_tracks(gone)
    passed = []
    for row in tracks:
        before = each.in_count + each.out_count, each.in_count
        box, track_id = torch.from_numpy(found.xyxy[int(row[7])]), int(row[4])
        each.store_tracking_history(track_id, box)
        history = each.track_history[track_id]
        previous = history[-2] if len(history) > 1 else None
        each.count_objects(history[-1], track_id, previous, int(row[6]))
        if each.in_count + each.out_count > before[0]:
            x, y = history[-1]
            passed.append(Passed(index, _is_forward(each, each.in_count > before[1]), x, y))
    return passed


def _is_forward(each: Any, into: bool) -> bool:
    """IN is to the right or downwards; forward is to the right of who walks the line."""
    (x1, y1), (x2, y2) = each.region
    upright = abs(x1 - x2) < abs(y1 - y2)
    return into == (y2 < y1 if upright else x2 > x1)


def _boxes(found: Detections) -> Boxes:
    columns = found.xyxy, found.score[:, None], found.class_id[:, None].astype(np.float32)
    return Boxes(np.concatenate(columns, axis=1), (1080, 1920))


def main(folder: Path) -> dict[str, Any]:
    """Every case with each tracker."""
    assets = assets_folder()
    assert assets, "needs the assets: set EDGESDK_ASSETS"
    table = cases(assets, folder)
    ways = {"ObjectCounter, BoT-SORT": "botsort", "ObjectCounter, ByteTrack": "bytetrack"}
    rows = {name: scored(table, partial(counted, kind=kind)) for name, kind in ways.items()}
    return {"versions": versions("ultralytics"), "rows": rows}


if __name__ == "__main__":
    as_object(partial(main, Path(sys.argv[1])))
