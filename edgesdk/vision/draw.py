"""Pictures for people: boxes, trails, the counting line and its counts."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from edgesdk._optional import require
from edgesdk.detections import Detections
from edgesdk.vision.line import Line

Picture = NDArray[np.uint8]
Color = tuple[int, int, int]
Pixel = tuple[int, int]

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
DARK: Color = (24, 24, 24)
LIGHT: Color = (250, 250, 250)


@dataclass(frozen=True)
class DrawSettings:
    """How much is drawn."""

    trail_frames: int = 24
    """Length of the tail behind each track, in frames; 0: none."""
    show_score: bool = True
    """Write the score beside the label."""
    untracked: bool = True
    """Draw boxes without a confirmed track too, thin and without text."""


class Annotator:
    """Draws what was found onto copies of the pictures. Remembers only the recent trails."""

    def __init__(
        self,
        labels: tuple[str, ...] = (),
        line: Line | None = None,
        settings: DrawSettings | None = None,
    ) -> None:
        self.labels = labels
        self.line = line
        self.settings = settings or DrawSettings()
        self._trails: dict[int, deque[tuple[int, Pixel]]] = {}
        self._frame = 0

    def __call__(
        self, image: Picture, detections: Detections, totals: Mapping[str, int] | None = None
    ) -> Picture:
        """A copy of `image` (BGR, (H, W, 3)) with boxes, trails, line and `totals` by direction.

        Detections are in pixels of that picture. Raises MissingExtra without OpenCV.
        """
        pen = Pen(image.copy())
        self._remember(detections)
        if self.line is not None:
            pen.line(_pixel(self.line.start), _pixel(self.line.end), LINE_COLOR)
        for track_id, trail in self._trails.items():
            pen.path([place for _, place in trail], PALETTE[track_id % len(PALETTE)])
        # The strongest last, so that its text stays readable.
        for row in np.argsort(detections.score, kind="stable").tolist():
            self._box(pen, detections, row)
        if totals:
            pen.panel([f"{name}  {count}" for name, count in totals.items()])
        return pen.image

    def _box(self, pen: Pen, detections: Detections, row: int) -> None:
        box = np.rint(detections.xyxy[row]).astype(int).tolist()
        class_id, track_id = int(detections.class_id[row]), int(detections.track_id[row])
        tracked = track_id >= 0 or bool((detections.track_id < 0).all())
        if not tracked and not self.settings.untracked:
            return
        color = PALETTE[class_id % len(PALETTE)]
        pen.box(box, color, thin=not tracked)
        if tracked:
            pen.label(self._texts(detections, row), box, color)

    def _texts(self, detections: Detections, row: int) -> list[str]:
        """What to write over a box: the whole, and what is left of it over a small one."""
        class_id, track_id = int(detections.class_id[row]), int(detections.track_id[row])
        name = self.labels[class_id] if class_id < len(self.labels) else str(class_id)
        identity = f"#{track_id}" if track_id >= 0 else ""
        score = f"{detections.score[row]:.2f}" if self.settings.show_score else ""
        whole = " ".join(part for part in (identity, name, score) if part)
        return [whole, f"{identity} {name}".strip(), identity or name]

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


class Pen:
    """Strokes and letters whose size follows the picture's."""

    def __init__(self, image: Picture) -> None:
        self._cv2: ModuleType = require("cv2", "draw on pictures")
        self.image = image
        unit = max(min(image.shape[:2]) / 360, 0.75)
        self._scale = 0.4 * unit
        self._stroke = max(round(1.8 * unit), 1)
        self._pad = max(round(3 * unit), 2)

    def line(self, start: Pixel, end: Pixel, color: Color) -> None:
        """A bright line with a dark rim, to be seen on any ground."""
        for tint, width in ((DARK, self._stroke + 2), (color, self._stroke)):
            self._cv2.line(self.image, start, end, tint, width, self._cv2.LINE_AA)

    def path(self, points: list[Pixel], color: Color) -> None:
        """A thin polyline."""
        shape = np.array(points, np.int32).reshape(-1, 1, 2)
        self._cv2.polylines(self.image, [shape], False, color, 1, self._cv2.LINE_AA)

    def box(self, box: list[int], color: Color, thin: bool) -> None:
        """A rectangle."""
        width = 1 if thin else self._stroke
        self._cv2.rectangle(self.image, box[:2], box[2:], color, width)

    def label(self, texts: list[str], box: list[int], color: Color, ink: Color = DARK) -> None:
        """The first text that fits a box's width (or else the last), above it or inside."""
        room = 1.5 * (box[2] - box[0])
        fitting = (text for text in texts if self._size(text)[0] <= room)
        text = next(fitting, texts[-1])
        width, height = self._size(text)
        top = box[1] - height if box[1] >= height else box[1]
        left = min(max(box[0], 0), max(self.image.shape[1] - width, 0))
        self._text(text, (left, top), color, ink)

    def panel(self, lines: list[str]) -> None:
        """Lines of larger text in the upper left corner."""
        scale, self._scale = self._scale, self._scale * 1.5
        width = max(self._size(text)[0] for text in lines)
        top = self._pad
        for text in lines:
            self._text(text, (self._pad, top), DARK, LIGHT, width)
            top += self._size(text)[1]
        self._scale = scale

    def _size(self, text: str) -> Pixel:
        (width, height), below = self._cv2.getTextSize(text, self._font, self._scale, 1)
        return width + 2 * self._pad, height + below + self._pad

    def _text(self, text: str, corner: Pixel, ground: Color, ink: Color, width: int = 0) -> None:
        own, height = self._size(text)
        (_, above), _ = self._cv2.getTextSize(text, self._font, self._scale, 1)
        end = (corner[0] + (width or own), corner[1] + height)
        self._cv2.rectangle(self.image, corner, end, ground, -1)
        foot = (corner[0] + self._pad, corner[1] + above + self._pad // 2 + 1)
        self._cv2.putText(
            self.image, text, foot, self._font, self._scale, ink, 1, self._cv2.LINE_AA
        )

    @property
    def _font(self) -> int:
        return int(self._cv2.FONT_HERSHEY_SIMPLEX)


def _pixel(point: tuple[float, float]) -> Pixel:
    return round(point[0]), round(point[1])
