"""What the frames of a belt show, and what passes between two of them."""

from __future__ import annotations

import statistics
from collections import deque
from dataclasses import dataclass

from edgesdk.frames import Frame

_USUAL = 15
"""The median of so many steps from frame to frame is the usual one."""


@dataclass(frozen=True)
class Way:
    """Of a part through the picture, in pixels along the belt."""

    in_px: float
    """Its middle comes in sight as a whole here."""
    station_px: float
    out_px: float
    """It begins to leave here."""
    sightings: int
    """In so many frames it has to be seen."""


class Gaps:
    """The steps between frames: the usual one, and those in which parts may come and go."""

    def __init__(self, way: Way) -> None:
        self._way = way
        self._steps_s: deque[float] = deque(maxlen=_USUAL)
        self._before_s: float | None = None
        self.step_s = 0.0
        """From the frame before to this one, in media time."""

    def take(self, frame: Frame) -> None:
        """The next frame."""
        time_s, before_s = frame.time_ns / 1e9, self._before_s
        self._before_s = time_s
        if before_s is not None:
            self.step_s = max(time_s - before_s, 0.0)
            self._steps_s.append(self.step_s)

    @property
    def usual_s(self) -> float:
        """The usual step; 0 before there was one."""
        return statistics.median(self._steps_s) if self._steps_s else 0.0

    def crossed_ns(self, frame: Frame, beyond_px: float, speed_px_s: float, fresh: bool) -> int:
        """When a part that is `beyond_px` past the station should have been due: in the first frame
        after it passed, had frames come as usual. `fresh`: not before the last frame."""
        if speed_px_s <= 0:
            return frame.captured_ns
        ago_s = beyond_px / speed_px_s
        ago_s = (min(ago_s, self.step_s) if fresh else ago_s) - self.usual_s
        return frame.captured_ns - round(max(ago_s, 0.0) * 1e9)

    def unseen_ns(self, frame: Frame, speed_px_s: float) -> tuple[int, int] | None:
        """Since the frame before: from when to when a part can have passed the station that was in
        sight neither before nor after. None: never."""
        if speed_px_s <= 0:
            return None
        way, more_s = self._way, (self._way.sightings - 1) * self.usual_s
        if (way.out_px - way.in_px) / speed_px_s - more_s >= self.step_s:
            return None
        before_s = max((way.station_px - way.in_px) / speed_px_s - more_s, 0.0)
        after_s = max((way.out_px - way.station_px) / speed_px_s - more_s, 0.0)
        start_ns = frame.captured_ns - round(self.step_s * 1e9)
        return start_ns + round(before_s * 1e9), frame.captured_ns - round(after_s * 1e9)
