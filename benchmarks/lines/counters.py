"""Ours: a tracker for each case, and a counter for each line; and its settings, moved."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.crossings import Passed
from benchmarks.lines.cases import Case
from edgesdk.vision.counting import CountingSettings, Crossing, Line, LineCounter
from edgesdk.vision.tracker import Tracker, TrackerSettings

TRACKING, COUNTING = TrackerSettings(), CountingSettings()
MOVED_TRACKING: dict[str, tuple[float, ...]] = {
    "high_score": (0.4, 0.6),
    "match_fit": (0.05, 0.2),
    "doubt_fit": (0, 0.25),
    "confirmed_lead": (0, 0.4),
    "torn_area": (0, 0.6, 0.9),
    "min_hits": (2, 4),
    "lost_s": (0.8, 3),
    "unconfirmed_misses": (0, 1, 3),
}
MOVED_COUNTING: dict[str, tuple[float, ...]] = {
    "band_sizes": (0.05, 0.2),
    "settle_sightings": (1, 3),
    "handover_sizes": (0, 0.5, 1),
    "handover_s": (1, 6),
}
Settings = tuple[TrackerSettings, CountingSettings]
VARIANTS: dict[str, Settings] = {
    "as it comes": (TRACKING, COUNTING),
    **{
        f"{name} = {value:g}": (replace(TRACKING, **{name: value}), COUNTING)  # type: ignore[arg-type]
        for name, values in MOVED_TRACKING.items()
        for value in values
    },
    **{
        f"motion.brisk = {value:g}": (
            replace(TRACKING, motion=replace(TRACKING.motion, brisk=value)),
            COUNTING,
        )
        for value in (1.0, 3.0, 1e6)
    },
    **{
        f"{name} = {value:g}": (TRACKING, replace(COUNTING, **{name: value}))  # type: ignore[arg-type]
        for name, values in MOVED_COUNTING.items()
        for value in values
    },
}
"""One setting changed at a time."""


def edgesdk(
    case: Case, tracking: TrackerSettings | None = None, counting: CountingSettings | None = None
) -> list[list[Passed]]:
    """What is counted at each line of the case."""
    tracker = Tracker(tracking, case.fps)
    counters = [
        [
            LineCounter(Line(*ends, "on", "back"), settings=counting, fps=case.fps)
            for ends in line.parts
        ]
        for line in case.lines
    ]
    crossings: list[list[Passed]] = [[] for _ in case.lines]
    for index, found in case.frames:
        tracked = tracker.update(found, index)
        for told, parts in zip(crossings, counters, strict=True):
            for part in parts:
                told.extend(map(_passed, part.update(tracked, index, tracker.confirmed_now)))
    for told, parts in zip(crossings, counters, strict=True):
        told.extend(_passed(c) for part in parts for c in part.finish())
    return crossings


def _passed(crossing: Crossing) -> Passed:
    return Passed(crossing.frame_index, crossing.direction == "on", crossing.x_px, crossing.y_px)
