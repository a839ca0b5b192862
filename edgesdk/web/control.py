"""The page's view of an inspection line: what was judged, and whether the line is in control."""

from __future__ import annotations

import math
from typing import Any

from edgesdk.inspection import Verdict
from edgesdk.inspection.control import Chart, Group, ProcessControl

MOST_STREAMS = 8


class Inspections:
    """Process control for each stream that gives verdicts. Not for several threads at once."""

    def __init__(self) -> None:
        self._streams: dict[int, ProcessControl] = {}
        self._late: dict[int, int] = {}

    def add(self, stream: int, verdict: Verdict) -> None:
        """Take in one verdict."""
        if stream not in self._streams:
            if len(self._streams) >= MOST_STREAMS:
                return
            self._streams[stream] = ProcessControl()
            self._late[stream] = 0
        self._streams[stream].add(verdict)
        self._late[stream] += verdict.late

    def as_objects(self) -> list[dict[str, Any]]:
        """One for each stream, by its number; an empty list where nothing is judged."""
        return [self._as_object(number, self._streams[number]) for number in sorted(self._streams)]

    def _as_object(self, number: int, control: ProcessControl) -> dict[str, Any]:
        groups = list(control.groups)
        return {
            "stream": number,
            "parts": control.parts,
            "rejects": control.rejects,
            "late": self._late[number],
            "group": control.settings.group,
            "baseline": control.settings.baseline,
            "charts": [
                _chart("reject rate", control.share, [group.share for group in groups]),
                _chart("median score", control.score, [group.median_score for group in groups]),
            ],
            "last_part": _last(groups),
        }


def _chart(name: str, chart: Chart, values: list[float]) -> dict[str, Any]:
    limits = chart.limits
    return {
        "name": name,
        "values": [None if math.isnan(value) else round(value, 6) for value in values],
        "limits": None if limits is None else [limits.low, limits.middle, limits.high],
        "alarm": chart.alarm,
    }


def _last(groups: list[Group]) -> int | None:
    return groups[-1].last_part if groups else None
