"""Counting what crosses a line, once each (docs/concepts/counting.md).

An object is on a side of the line once its centre (or foot) is a band's width away from it. It has
crossed when it is then on the other side, and when its path went through the line between its
ends. What trembles on the line never leaves the band, and counts nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from edgesdk.detections import Detections
from edgesdk.vision.anchor import anchor_of
from edgesdk.vision.ground import Speed
from edgesdk.vision.line import Line
from edgesdk.vision.paths import CountingSettings, Paths, Seen
from edgesdk.vision.tracker import Confirmed

__all__ = ["CountingSettings", "Crossing", "Line", "LineCounter"]

PLAUSIBLE_SIZES = 0.2
"""A last sighting beyond the line is believed when it lies so near to where it was due: a track
often ends by jumping onto a neighbour."""


@dataclass(frozen=True)
class Crossing:
    """One object went over the line."""

    frame_index: int
    """In which its path met the line; it is reported some frames later, when that is sure."""
    track_id: int
    class_id: int
    """What most of its detections so far said; of equals the one seen first."""
    label: str
    """Its name, or the number where there are no labels."""
    direction: str
    """The line's `forward` or `backward`."""
    x_px: float
    """Where its path met the line."""
    y_px: float
    line: str = "line"
    """The line's name."""
    path: int = -1
    """Which object, as `Paths` numbers them."""
    speed: Speed | None = None
    """Where a ground plane is given and it was long enough in view."""


@dataclass
class _Course:
    """One object as the line sees it."""

    seen: Seen
    """Its last sighting."""
    along: float
    """Where it is, in pixels along the line from its start."""
    beside: float
    """Pixels from the line, to the right of it."""
    side: int
    """-1 left, 1 right: where it was last for sure, at first where it was first seen."""
    doubtful: bool = False
    """It got a new identity that lies on the other side than it should."""
    met: float = math.nan
    """Where its path last met the line, in pixels along it."""
    met_frame: int = -1
    beyond: int = 0
    """Sightings clear of the line, on the other side, since the last one on this side."""

    def move(self, seen: Seen, along: float, beside: float) -> None:
        """Take in where it is now, and whether its path met the line on the way."""
        if _side(self.beside) != _side(beside):
            share = self.beside / (self.beside - beside)
            self.met = self.along + share * (along - self.along)
            self.met_frame = seen.frame
        self.seen, self.along, self.beside = seen, along, beside


class LineCounter:
    """Counts crossings from tracked detections. Memory follows the objects that are about."""

    def __init__(
        self,
        line: Line,
        labels: tuple[str, ...] = (),
        settings: CountingSettings | None = None,
        fps: float = 25.0,
    ) -> None:
        """`fps` is the stream's, as for `Tracker`. Raises UsageError as it does."""
        self.line = line
        self.labels = labels
        self.settings = settings or CountingSettings()
        self._paths = Paths(self.settings, fps)
        self._courses: dict[int, _Course] = {}
        self._counts: Counter[tuple[str, str]] = Counter()

    def update(
        self, detections: Detections, frame_index: int, confirmed: Sequence[Confirmed] = ()
    ) -> tuple[Crossing, ...]:
        """The crossings that this frame completes, in the order of the detections.

        Call it for every frame, in order. `confirmed` is the tracker's `confirmed_now`: what
        happened before a track was sure counts too. Detections without a track (-1) are passed
        over. Several counters can share the paths instead: see `take`.
        """
        return self.take(self._paths.update(detections, frame_index, confirmed), self._paths.gone)

    def take(self, seen: Sequence[Seen], gone: Sequence[int] = ()) -> tuple[Crossing, ...]:
        """The same from `Paths.update` and `Paths.gone`. Use one of the two only."""
        crossings = [c for each in seen for c in self._step(each)]
        crossings += [c for path in gone for c in self._last(path)]
        self._counts.update((c.label, c.direction) for c in crossings)
        return tuple(crossings)

    def finish(self) -> tuple[Crossing, ...]:
        """After the last frame: the crossings that one more sighting would have made sure."""
        return self.take((), tuple(self._courses))

    @property
    def totals(self) -> dict[str, int]:
        """Crossings by direction; both directions are always there."""
        names = (self.line.forward, self.line.backward)
        return {
            name: sum(n for (_, way), n in self._counts.items() if way == name) for name in names
        }

    @property
    def by_class(self) -> dict[str, dict[str, int]]:
        """Crossings by label, then direction, in the order of the labels' names."""
        names = (self.line.forward, self.line.backward)
        labels = sorted({label for label, _ in self._counts})
        return {label: {name: self._counts[label, name] for name in names} for label in labels}

    @property
    def remembered(self) -> int:
        """How many objects are remembered now."""
        return len(self._courses)

    def _step(self, seen: Seen) -> list[Crossing]:
        along, beside = self.line.locate(anchor_of(seen.box, self.line.anchor))
        course = self._courses.get(seen.path)
        if course is None:
            self._courses[seen.path] = _Course(seen, along, beside, _side(beside))
            return []
        if seen.promised is not None:
            # The new box may only lie elsewhere on an object that has not moved over the line.
            due = _side(self.line.locate(anchor_of(seen.promised, self.line.anchor))[1])
            course.doubtful = course.side == due != _side(beside)
        course.move(seen, along, beside)
        if not self._is_sure(course):
            return []
        course.beyond += _side(beside) != course.side
        return self._settle(course) if course.beyond >= self.settings.settle_sightings else []

    def _is_sure(self, course: _Course) -> bool:
        """It is clear of the line; back on its own side it was never beyond."""
        size = course.seen.size
        needed = self.settings.band(size)
        if course.doubtful:
            needed = max(needed, self.settings.handover_sizes * size)
        if abs(course.beside) <= needed:
            return False
        if _side(course.beside) == course.side:
            course.beyond, course.doubtful = 0, False
        return True

    def _settle(self, course: _Course) -> list[Crossing]:
        """It is on the other side now, and has crossed if that was through the line."""
        course.side, course.beyond, course.doubtful = -course.side, 0, False
        return [self._crossing(course)] if 0 <= course.met <= self.line.length else []

    def _last(self, path: int) -> list[Crossing]:
        """What an object leaves behind that will not be seen again."""
        course = self._courses.pop(path, None)
        if course is None or not course.beyond or course.seen.surprise > PLAUSIBLE_SIZES:
            return []
        return self._settle(course)

    def _crossing(self, course: _Course) -> Crossing:
        line, share, seen = self.line, course.met / self.line.length, course.seen
        class_id = seen.class_id
        return Crossing(
            frame_index=course.met_frame,
            track_id=seen.track_id,
            class_id=class_id,
            label=self.labels[class_id] if class_id < len(self.labels) else str(class_id),
            direction=line.forward if course.side > 0 else line.backward,
            x_px=line.start[0] + share * (line.end[0] - line.start[0]),
            y_px=line.start[1] + share * (line.end[1] - line.start[1]),
            line=line.name,
            path=seen.path,
        )


def _side(beside: float) -> int:
    """-1 left, 1 right; on the line itself is right."""
    return -1 if beside < 0 else 1
