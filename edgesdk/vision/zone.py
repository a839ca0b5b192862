"""A zone in the picture: who is in it, since when, and for how long it stayed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgesdk.detections import Detections
from edgesdk.vision.anchor import Anchor, Point, anchor_of, anchors_of
from edgesdk.vision.paths import CountingSettings, Seen

Change = Literal["enter", "leave"]
CHANGES: tuple[Change, ...] = ("enter", "leave")


@dataclass(frozen=True)
class Zone:
    """A polygon in pixels of the picture, closed by itself; which way round does not matter."""

    points: tuple[Point, ...]
    """At least three corners."""
    name: str = "zone"
    anchor: Anchor = "foot"
    """What has to be in it: the box's foot (the middle of its lower edge), which is where the
    object stands, or its center."""

    def __post_init__(self) -> None:
        if len(self.points) < 3:
            raise ValueError(f"a zone takes 3 points or more, found {len(self.points)}")
        if not all(math.isfinite(value) for point in self.points for value in point):
            raise ValueError("the zone's points should be finite numbers")
        if _crosses_itself(self._edges):
            raise ValueError(
                "the zone's edges cross each other: give its corners in their order around it"
            )
        if abs(self.area) < 1e-6:
            raise ValueError("the zone has no area: its points lie on one line")

    @property
    def area(self) -> float:
        """In square pixels, by Gauss's shoelace formula; negative for the other way round."""
        return sum(ax * by - bx * ay for (ax, ay), (bx, by) in self._edges) / 2

    def depth(self, point: Point) -> float:
        """Pixels to the nearest edge: positive inside, negative outside."""
        distance = min(_distance(point, a, b) for a, b in self._edges)
        return distance if self.holds(np.array([point]))[0] else -distance

    def holds(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which of the points (N, 2) lie inside, by the parity of edges to their right."""
        x, y = points.T
        inside = np.zeros(len(points), np.bool_)
        for (ax, ay), (bx, by) in self._edges:
            if ay != by:
                level = (ay > y) != (by > y)
                inside ^= level & (x < ax + (y - ay) * (bx - ax) / (by - ay))
        return inside

    @property
    def _edges(self) -> Sequence[tuple[Point, Point]]:
        return tuple(pairwise((*self.points, self.points[0])))


def _crosses_itself(edges: Sequence[tuple[Point, Point]]) -> bool:
    """Two edges cross when the ends of each lie on either side of the other."""
    return any(
        _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0
        for (a, b), (c, d) in combinations(edges, 2)
    )


def _side(a: Point, b: Point, point: Point) -> float:
    """Twice the area of the triangle; its sign says on which side of a line a point lies."""
    return (b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0])


def within(detections: Detections, zones: Sequence[Zone]) -> Detections:
    """The detections that lie in any of the zones; without zones, all."""
    if not zones:
        return detections
    inside = [zone.holds(anchors_of(detections.xyxy, zone.anchor)) for zone in zones]
    return detections[np.any(inside, axis=0)]


@dataclass(frozen=True)
class Visit:
    """Somebody came into a zone or left it."""

    frame_index: int
    """Of the first sighting inside, or of the last one."""
    change: Change
    zone: str
    track_id: int
    class_id: int
    """What most of its detections so far said."""
    label: str
    seconds: float
    """How long it had been inside; 0 for who enters."""
    occupancy: int
    """How many are inside after it."""


@dataclass
class _Guest:
    """Somebody whom the zone has met."""

    seen: Seen
    since_s: float
    inside: bool
    last_s: float


class ZoneWatch:
    """Who is in a zone. Memory follows the objects that are about.

    As at a line, an object whose place is within a band of the edge stays what it was. One that is
    first seen inside has entered; one that is lost inside has left when it was seen last.
    """

    def __init__(
        self,
        zone: Zone,
        labels: tuple[str, ...] = (),
        settings: CountingSettings | None = None,
    ) -> None:
        self.zone = zone
        self._labels = labels
        self._settings = settings or CountingSettings()
        self._guests: dict[int, _Guest] = {}

    def take(
        self, seen: Sequence[Seen], time_s: float, gone: Sequence[int] = ()
    ) -> tuple[Visit, ...]:
        """What `Paths.update` and `Paths.gone` of one frame at `time_s` (any clock) change here."""
        visits = [visit for each in seen for visit in self._step(each, time_s)]
        visits += [visit for path in gone for visit in self._last(path)]
        return tuple(visits)

    def finish(self) -> tuple[Visit, ...]:
        """After the last frame: those who are still inside leave as they were seen last."""
        return self.take((), 0.0, tuple(self._guests))

    @property
    def occupancy(self) -> int:
        """How many are inside now; also one who is hidden for a moment."""
        return sum(guest.inside for guest in self._guests.values())

    def seconds_inside(self, now_s: float) -> dict[int, float]:
        """Seconds so far by object, for those who are inside."""
        return {path: now_s - g.since_s for path, g in self._guests.items() if g.inside}

    def _step(self, seen: Seen, time_s: float) -> list[Visit]:
        depth = self.zone.depth(anchor_of(seen.box, self.zone.anchor))
        guest = self._guests.get(seen.path)
        clear = guest is None or abs(depth) > self._settings.band(seen.size)
        if guest is None:
            guest = self._guests[seen.path] = _Guest(seen, time_s, False, time_s)
        before = guest.inside
        guest.seen, guest.inside = seen, depth > 0 if clear else before
        if guest.inside == before:
            guest.last_s = time_s if before else guest.last_s
            return []
        if guest.inside:
            guest.since_s = guest.last_s = time_s
            return [self._visit(guest, "enter")]
        guest.last_s = time_s
        return [self._visit(guest, "leave")]

    def _last(self, path: int) -> list[Visit]:
        guest = self._guests.pop(path, None)
        return [self._visit(guest, "leave")] if guest and guest.inside else []

    def _visit(self, guest: _Guest, change: Change) -> Visit:
        seen, inside = guest.seen, change == "leave"
        known = seen.class_id < len(self._labels)
        return Visit(
            frame_index=seen.frame,
            change=change,
            zone=self.zone.name,
            track_id=seen.track_id,
            class_id=seen.class_id,
            label=self._labels[seen.class_id] if known else str(seen.class_id),
            seconds=guest.last_s - guest.since_s if inside else 0.0,
            occupancy=self.occupancy,
        )


def _distance(point: Point, a: Point, b: Point) -> float:
    """To the segment from a to b."""
    (px, py), (ax, ay), (bx, by) = point, a, b
    length = (bx - ax) ** 2 + (by - ay) ** 2
    share = ((px - ax) * (bx - ax) + (py - ay) * (by - ay)) / length if length else 0.0
    share = min(max(share, 0.0), 1.0)
    return math.hypot(px - ax - share * (bx - ax), py - ay - share * (by - ay))
