"""A simulated inspection line: parts on a conveyor, some of them damaged, all of it known."""

from __future__ import annotations

import math
from bisect import bisect_left

import numpy as np
from numpy.typing import NDArray

from edgesdk.detections import Detections
from edgesdk.errors import DataError
from edgesdk.sim.line_paint import LinePainter
from edgesdk.sim.line_parts import SIZE, LinePart, Points, TruePart
from edgesdk.sim.line_settings import LINE_LABELS, LineSettings
from edgesdk.vision.parts import cut_out

__all__ = ["LINE_LABELS", "LineScene", "LineSettings", "TruePart"]

Picture = NDArray[np.uint8]
Row = tuple[tuple[float, ...], int, int]
"""Box, class and part of one line of the truth."""

_SPACING = 2.0
_LEAST_VISIBLE = 0.3
_WOBBLE_S = 2.3


class LineScene:
    """A camera above a conveyor that moves to the right. Frames depend on settings and number."""

    labels = LINE_LABELS

    def __init__(self, settings: LineSettings) -> None:
        self.settings = settings
        self.part_px = SIZE * settings.height
        """Diameter of a part; a plate's sides are shorter."""
        self._spacing_px = _SPACING * self.part_px
        self._speed_px_s = self._spacing_px * settings.rate / 60
        self._paint = LinePainter(settings)

    @property
    def line(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The upright line ((x1, y1), (x2, y2)) in pixels at which parts are judged."""
        x = round(self.settings.width / 2)
        return (float(x), 0.0), (float(x), float(self.settings.height))

    def frame(self, index: int) -> Picture:
        """The picture: height x width x 3, BGR. Raises DataError when there is no such frame."""
        moved_px = self._moved_px(index)
        picture = self._paint.belt(moved_px)
        for part in self._parts_at(moved_px):
            self._paint.part(picture, part, self._middle(part, moved_px))
        return self._paint.seen(picture, index, index / self.settings.fps)

    def truth(self, index: int) -> Detections:
        """Parts of which at least 30 % are seen, then their defects, with their part's track_id.

        Raises DataError when there is no such frame.
        """
        moved_px = self._moved_px(index)
        rows = [row for part in self._parts_at(moved_px) for row in self._rows(part, moved_px)]
        rows.sort(key=lambda row: (row[1] > 0, row[2]))
        if not rows:
            return Detections.empty()
        return Detections(
            np.array([box for box, _, _ in rows], np.float32),
            np.ones(len(rows), np.float32),
            np.array([class_id for _, class_id, _ in rows], np.int64),
            np.array([number for _, _, number in rows], np.int64),
        )

    def parts(self) -> tuple[TruePart, ...]:
        """Every part whose middle passes the line within the scene, in order of frames."""
        end = self.settings.frames - 1
        first = self._parts_past(self._moved_px(0))
        last = self._parts_past(self._moved_px(end))
        found = (LinePart.of(self.settings, n) for n in range(max(0, first - 1), last + 2))
        passed = [
            TruePart(part.number, frame, part.shape, part.defect)
            for part, frame in ((part, self._passes(part)) for part in found)
            if 0 < frame <= end
        ]
        return tuple(sorted(passed, key=lambda part: (part.frame, part.part)))

    def picture_of(self, part: TruePart, side_px: int) -> Picture:
        """The part in the frame in which it passed the line, a square around its middle, BGR."""
        drawn = LinePart.of(self.settings, part.part)
        x, y = self._middle(drawn, self._moved_px(part.frame))
        return cut_out(self.frame(part.frame), (x, y), side_px)

    def _passes(self, part: LinePart) -> int:
        """The first frame with its middle on the line or past it; at most one past the last."""
        way_px = self.line[0][0] - self._middle(part, 0.0)[0] - 1e-9
        frames = range(self.settings.frames)
        return bisect_left(frames, way_px, key=self._moved_px)

    def _parts_past(self, moved_px: float) -> int:
        return math.floor((moved_px - self.line[0][0]) / self._spacing_px)

    def _moved_px(self, index: int) -> float:
        if not 0 <= index < self.settings.frames:
            raise DataError(
                f"there is no frame {index}: the scene has frames 0 to {self.settings.frames - 1}",
                "ask for more with frames=",
            )
        time_s = index / self.settings.fps
        if self.settings.wobble:  # the speed is 1 + wobble * sin
            turns = 2 * math.pi / _WOBBLE_S
            time_s += self.settings.wobble * (1 - math.cos(turns * time_s)) / turns
        return self._speed_px_s * time_s

    def _parts_at(self, moved_px: float) -> list[LinePart]:
        """Those that may be seen, and perhaps a few beside the picture."""
        newest = math.ceil(moved_px / self._spacing_px) + 1
        oldest = math.floor((moved_px - self.settings.width) / self._spacing_px) - 2
        return [LinePart.of(self.settings, n) for n in range(max(0, oldest), newest + 1)]

    def _middle(self, part: LinePart, moved_px: float) -> Points:
        """Before the belt moves all parts wait left of the picture."""
        x = moved_px - self._spacing_px * (part.number + 0.5) + part.aside_px
        return np.array([x, self.settings.height / 2 + part.across_px])

    def _rows(self, part: LinePart, moved_px: float) -> list[Row]:
        middle = self._middle(part, moved_px)
        outline = part.outline(middle)
        rows: list[Row] = [((*outline.min(axis=0), *outline.max(axis=0)), 0, part.number)]
        if part.defect:
            box = part.defect_box(middle, self._paint.scratch_px)
            rows.append((box, LINE_LABELS.index(part.defect), part.number))
        seen = ((self._seen(box), class_id, number) for box, class_id, number in rows)
        return [(box, class_id, number) for box, class_id, number in seen if box is not None]

    def _seen(self, box: tuple[float, ...]) -> tuple[float, ...] | None:
        """What of it is in the picture; None when that is less than 30 %."""
        x1, x2 = max(box[0], 0.0), min(box[2], float(self.settings.width))
        y1, y2 = max(box[1], 0.0), min(box[3], float(self.settings.height))
        whole = (box[2] - box[0]) * (box[3] - box[1])
        if x2 <= x1 or y2 <= y1 or (x2 - x1) * (y2 - y1) < _LEAST_VISIBLE * whole:
            return None
        return x1, y1, x2, y2
