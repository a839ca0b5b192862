"""Pictures for people: boxes, trails, lines, zones and their counts."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from edgesdk.detections import Detections
from edgesdk.vision.line import Line
from edgesdk.vision.pen import Color, Pen, Picture, Pixel, pixel
from edgesdk.vision.zone import Zone

PALETTE: tuple[Color, ...] = (
    (0, 159, 230),
    (233, 180, 86),
    (115, 158, 0),
    (66, 228, 240),
    (178, 114, 0),
    (0, 94, 213),
    (167, 121, 204),
)
"""BGR of Okabe and Ito's colours, which colour-blind people can tell apart too; by class."""
LINE_COLOR: Color = (80, 255, 255)
ZONE_COLOR: Color = (230, 190, 90)
ARROW = 0.05
"""Length of a line's arrow, as a share of the picture's smaller side."""


@dataclass(frozen=True)
class DrawSettings:
    """How much is drawn."""

    trail_frames: int = 24
    """Length of the tail behind each track, in frames; 0: none."""
    show_score: bool = True
    """Write the score beside the label."""
    untracked: bool = True
    """Draw boxes without a confirmed track too, thin and without text."""


@dataclass(frozen=True)
class Notes:
    """What is written into a picture besides names and scores."""

    corner: Mapping[str, int] = field(default_factory=dict)
    """Counts by name, in the upper left corner."""
    lines: Mapping[str, str] = field(default_factory=dict)
    """At each line, by its name."""
    zones: Mapping[str, str] = field(default_factory=dict)
    """In each zone, by its name."""
    tracks: Mapping[int, str] = field(default_factory=dict)
    """At each box, by its track."""


class Annotator:
    """Draws what was found onto copies of the pictures. Remembers only the recent trails."""

    def __init__(
        self,
        labels: tuple[str, ...] = (),
        lines: Sequence[Line] = (),
        zones: Sequence[Zone] = (),
        regions: Sequence[Zone] = (),
        settings: DrawSettings | None = None,
    ) -> None:
        """What lies outside all of `regions` is drawn darker; without regions, nothing."""
        self.labels = labels
        self.lines = tuple(lines)
        self.zones = tuple(zones)
        self.regions = tuple(regions)
        self.settings = settings or DrawSettings()
        self._trails: dict[int, deque[tuple[int, Pixel]]] = {}
        self._frame = 0

    def __call__(
        self, image: Picture, detections: Detections, notes: Notes | None = None
    ) -> Picture:
        """A copy of `image` (BGR, (H, W, 3)) with boxes, trails, lines, zones and `notes`.

        Detections are in pixels of that picture. Raises MissingExtra without OpenCV.
        """
        pen, notes = Pen(image.copy()), notes or Notes()
        self._remember(detections)
        self._places(pen)
        for track_id, trail in self._trails.items():
            pen.path([place for _, place in trail], PALETTE[track_id % len(PALETTE)])
        # The strongest last, so that its text stays readable.
        for row in np.argsort(detections.score, kind="stable").tolist():
            self._box(pen, detections, row, notes)
        self._write(pen, notes)
        return pen.image

    def _places(self, pen: Pen) -> None:
        if self.regions:
            pen.dim_outside([_pixels(region) for region in self.regions])
        for zone in self.zones:
            pen.area(_pixels(zone), ZONE_COLOR, 0.2)
        for line in self.lines:
            pen.line(pixel(line.start), pixel(line.end), LINE_COLOR)
            pen.arrow(*_arrow(line, pen.image), LINE_COLOR)

    def _write(self, pen: Pen, notes: Notes) -> None:
        for zone in self.zones:
            if zone.name in notes.zones:
                corners = np.array(zone.points)
                pen.note(notes.zones[zone.name], pixel(tuple(corners.mean(axis=0))))
        for line in self.lines:
            if line.name in notes.lines:
                # A quarter of the way along: in the middle is the arrow, and most of the traffic.
                pen.note(notes.lines[line.name], pixel(_along(line, 0.2)))
        if notes.corner:
            pen.panel([f"{name}  {count}" for name, count in notes.corner.items()])

    def _box(self, pen: Pen, detections: Detections, row: int, notes: Notes) -> None:
        box = np.rint(detections.xyxy[row]).astype(int).tolist()
        class_id, track_id = int(detections.class_id[row]), int(detections.track_id[row])
        tracked = track_id >= 0 or bool((detections.track_id < 0).all())
        if not tracked and not self.settings.untracked:
            return
        color = PALETTE[class_id % len(PALETTE)]
        pen.box(box, color, thin=not tracked)
        if tracked:
            pen.label(self._texts(detections, row, notes.tracks.get(track_id, "")), box, color)

    def _texts(self, detections: Detections, row: int, note: str) -> list[str]:
        """What to write over a box: the whole, and what is left of it over a small one."""
        class_id, track_id = int(detections.class_id[row]), int(detections.track_id[row])
        name = self.labels[class_id] if class_id < len(self.labels) else str(class_id)
        identity = f"#{track_id}" if track_id >= 0 else ""
        score = f"{detections.score[row]:.2f}" if self.settings.show_score else ""
        texts = [(identity, name, score, note), (identity, name, note), (identity, note)]
        texts += [(identity, name)] if not note else []
        return [" ".join(part for part in text if part) or name for text in texts]

    def _remember(self, detections: Detections) -> None:
        self._frame += 1
        oldest = self._frame - self.settings.trail_frames
        for track_id, center in zip(detections.track_id.tolist(), detections.centers, strict=True):
            if track_id >= 0 and self.settings.trail_frames:
                place = (int(center[0]), int(center[1]))
                self._trails.setdefault(track_id, deque()).append((self._frame, place))
        for track_id, trail in list(self._trails.items()):
            while trail and trail[0][0] <= oldest:
                trail.popleft()
            if not trail:
                del self._trails[track_id]


def _pixels(zone: Zone) -> list[Pixel]:
    return [pixel(point) for point in zone.points]


def _along(line: Line, share: float) -> tuple[float, float]:
    (ax, ay), (bx, by) = line.start, line.end
    return ax + share * (bx - ax), ay + share * (by - ay)


def _arrow(line: Line, image: Picture) -> tuple[Pixel, Pixel]:
    """From the middle of the line to its right, which is forward."""
    x, y = _along(line, 0.5)
    length = ARROW * min(image.shape[:2]) / math.dist(line.start, line.end)
    dx, dy = line.end[0] - line.start[0], line.end[1] - line.start[1]
    return pixel((x, y)), pixel((x - dy * length, y + dx * length))
