"""Counting what crosses a line, once each (docs/concepts/counting.md).

A track is on a side of the line once its centre is a band's width away from it. It has crossed
when it is then on the other side, and when the path of its centre went through the line between
its ends. What trembles on the line never leaves the band, and counts nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np

from edgesdk.detections import Detections
from edgesdk.vision.line import Line
from edgesdk.vision.trail import Sighting, Trail


@dataclass(frozen=True)
class CountingSettings:
    """How far is far enough, and how long to remember."""

    band_sizes: float = 0.1
    """A centre this near to the line is on neither side, in box sizes sqrt(w * h): boxes tremble
    in proportion to their size."""
    band_px: float = 2.0
    """... and never less than this many pixels of the picture."""
    handover_sizes: float = 0.5
    """A track that begins this near to where another, lost one should be by now is the same
    object under a new identity and goes on in its place; in box sizes. 0: never."""
    handover_frames: int = 15
    """... if it was lost no longer ago than this."""
    forget_frames: int = 90
    """A track unseen for longer is dropped; not less than the tracker's `lost_frames`."""

    def __post_init__(self) -> None:
        distances = (self.band_sizes, self.band_px, self.handover_sizes)
        if min(*distances, self.handover_frames, self.forget_frames) < 0:
            raise ValueError("distances and frames should not be negative")


@dataclass(frozen=True)
class Crossing:
    """One object went over the line."""

    frame_index: int
    """In which its path met the line; it is reported some frames later, when that is sure."""
    track_id: int
    class_id: int
    """What most of the track's detections so far said; of equals the one seen first."""
    label: str
    """Its name, or the number where there are no labels."""
    direction: str
    """The line's `forward` or `backward`."""
    x_px: float
    """Where its path met the line."""
    y_px: float


class LineCounter:
    """Counts crossings from tracked detections. Memory follows the tracks that are about."""

    def __init__(
        self,
        line: Line,
        labels: tuple[str, ...] = (),
        settings: CountingSettings | None = None,
    ) -> None:
        self.line = line
        self.labels = labels
        self.settings = settings or CountingSettings()
        self._trails: dict[int, Trail] = {}
        self._counts: Counter[tuple[str, str]] = Counter()

    def update(self, detections: Detections, frame_index: int) -> tuple[Crossing, ...]:
        """The crossings that this frame completes, in the order of the detections.

        Call it for every frame, in order. Detections without a track (-1) are passed over.
        """
        crossings: list[Crossing] = []
        present = set(detections.track_id.tolist())
        for row in np.flatnonzero(detections.track_id >= 0).tolist():
            track_id, class_id = int(detections.track_id[row]), int(detections.class_id[row])
            seen = self._sighting(detections.xyxy[row].tolist(), frame_index)
            trail = self._follow(track_id, seen, present)
            trail.votes[class_id] += 1
            if self._crossed(trail):
                crossings.append(self._crossing(track_id, trail))
        self._forget(frame_index)
        self._counts.update((c.label, c.direction) for c in crossings)
        return tuple(crossings)

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
        """How many tracks are remembered now."""
        return len(self._trails)

    def _sighting(self, box: list[float], frame: int) -> Sighting:
        left, top, right, bottom = box
        along, beside = self.line.locate(((left + right) / 2, (top + bottom) / 2))
        return Sighting(along, beside, math.sqrt((right - left) * (bottom - top)), frame)

    def _follow(self, track_id: int, seen: Sighting, present: set[int]) -> Trail:
        """The trail of this track, or the one it takes over, with this sighting at its end."""
        trail = self._trails.get(track_id)
        if trail is None:
            heir_of = self._predecessor(seen, present)
            if heir_of is None:
                trail = Trail(seen, seen.side)
                self._trails[track_id] = trail
                return trail
            trail = self._trails[track_id] = self._trails.pop(heir_of)
            # The new box may only lie elsewhere on an object that has not moved over the line.
            trail.doubtful = trail.side == trail.expected(seen.frame).side != seen.side
        trail.move(seen)
        return trail

    def _predecessor(self, seen: Sighting, present: set[int]) -> int | None:
        """The track that ended here just now, if there is one."""
        best, nearest = None, self.settings.handover_sizes * seen.size
        for track_id, trail in self._trails.items():
            gap = seen.frame - trail.last.frame
            if track_id not in present and gap <= self.settings.handover_frames:
                expected = trail.expected(seen.frame)
                distance = math.hypot(expected.along - seen.along, expected.beside - seen.beside)
                if distance < nearest:
                    best, nearest = track_id, distance
        return best

    def _crossed(self, trail: Trail) -> bool:
        """Settle the side that the trail is on; True when that completes a crossing."""
        seen, settings = trail.last, self.settings
        needed = max(settings.band_px, settings.band_sizes * seen.size)
        if trail.doubtful:
            needed = max(needed, settings.handover_sizes * seen.size)
        if abs(seen.beside) <= needed:
            return False
        before, trail.side, trail.doubtful = trail.side, seen.side, False
        return before != trail.side and 0 <= trail.met <= self.line.length

    def _crossing(self, track_id: int, trail: Trail) -> Crossing:
        line, share = self.line, trail.met / self.line.length
        class_id = trail.votes.most_common(1)[0][0]
        return Crossing(
            frame_index=trail.met_frame,
            track_id=track_id,
            class_id=class_id,
            label=self.labels[class_id] if class_id < len(self.labels) else str(class_id),
            direction=line.forward if trail.side > 0 else line.backward,
            x_px=line.start[0] + share * (line.end[0] - line.start[0]),
            y_px=line.start[1] + share * (line.end[1] - line.start[1]),
        )

    def _forget(self, frame: int) -> None:
        limit = frame - self.settings.forget_frames
        for track_id in [i for i, trail in self._trails.items() if trail.last.frame < limit]:
            del self._trails[track_id]
