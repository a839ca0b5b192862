"""From pixels to metres on a flat road, and from metres to speeds.

Four points of the picture whose places on the ground are known give a homography (Hartley and
Zisserman, "Multiple View Geometry", 4.1): it is right for what touches the ground, so a vehicle is
taken at the foot of its box.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edgesdk.vision.anchor import Box, Point, anchor_of
from edgesdk.vision.paths import Seen

EDGE_PX = 2.0
"""A box this near to the picture's edge is cut by it."""

Corners = tuple[Point, Point, Point, Point]


@dataclass(frozen=True)
class Ground:
    """Where four points of the picture are on the ground, in the same order."""

    picture: Corners
    """x, y in pixels; no three of them on one line."""
    metres: Corners
    """x, y on the road in metres, from any origin, e.g. a lane's width and the dashes' spacing."""

    def __post_init__(self) -> None:
        for name in ("picture", "metres"):
            points = getattr(self, name)
            if not all(math.isfinite(value) for point in points for value in point):
                raise ValueError(f"{name}: the points should be finite numbers")
            if _flattest(points) < 1e-3:
                raise ValueError(f"{name}: three of the four points lie on one line")

    @cached_property
    def homography(self) -> NDArray[np.float64]:
        """The 3 x 3 matrix from pixels to metres, its last element 1."""
        rows, right = [], []
        for (x, y), (u, v) in zip(self.picture, self.metres, strict=True):
            rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
            right += [u, v]
        solved = np.linalg.solve(np.array(rows, np.float64), np.array(right, np.float64))
        return np.append(solved, 1.0).reshape(3, 3)

    def to_metres(self, point: Point) -> Point | None:
        """Where a point of the picture is on the ground; None at the horizon and above it."""
        x, y, w = self.homography @ (*point, 1.0)
        # The four points are on the ground, so the ground is where w has their sign.
        if w * (self.homography[2] @ (*self.picture[0], 1.0)) <= 1e-12:
            return None
        return float(x / w), float(y / w)


@dataclass(frozen=True)
class Speed:
    """How fast something is, and how sure that is."""

    kmh: float
    error_kmh: float
    """Twice the standard error of the fit: what trembling boxes make uncertain. Not what is wrong
    with the four points: 5 % too long there are 5 % here."""


@dataclass(frozen=True)
class SpeedSettings:
    """Over what a speed is measured."""

    window_s: float = 1.5
    """The last so many seconds of a path."""
    least_s: float = 0.4
    """No speed from a shorter time."""
    least_m: float = 2.0
    """No speed from a shorter way: then the boxes' trembling is most of it."""
    most_error: float = 0.25
    """No speed that is less sure than this share of itself."""

    def __post_init__(self) -> None:
        if not (0 < self.least_s <= self.window_s and self.least_m > 0 and self.most_error > 0):
            raise ValueError("least_s should be above 0 and at most window_s, the others above 0")


Places = deque[tuple[float, float, float]]
"""Seconds, x and y in metres."""


class SpeedGauge:
    """Speeds of objects on the ground. Memory follows the objects that are about."""

    def __init__(
        self, ground: Ground, size: tuple[int, int], settings: SpeedSettings | None = None
    ) -> None:
        """`size` is the picture's width and height: a box that its edge cuts has no foot."""
        self._ground = ground
        self._size = size
        self._settings = settings or SpeedSettings()
        self._places: dict[int, Places] = {}

    def take(self, seen: Sequence[Seen], time_s: float, gone: Sequence[int] = ()) -> None:
        """Take in one frame at `time_s`, media time of `Paths.update` and `Paths.gone`."""
        for each in seen:
            places = self._places.setdefault(each.path, deque())
            metres = self._ground.to_metres(anchor_of(each.box, "foot"))
            if metres is not None and self._is_whole(each.box):
                places.append((time_s, *metres))
            while places and places[0][0] < time_s - self._settings.window_s:
                places.popleft()
        for path in gone:
            self._places.pop(path, None)

    def _is_whole(self, box: Box) -> bool:
        width, height = self._size
        inside = min(box[0], box[1], width - box[2], height - box[3])
        return inside > EDGE_PX

    def speed(self, path: int) -> Speed | None:
        """Of an object over its last `window_s`; None where that is too short to be sure."""
        places = self._places.get(path)
        return measure(tuple(places), self._settings) if places else None


def measure(
    places: Sequence[tuple[float, float, float]], settings: SpeedSettings | None = None
) -> Speed | None:
    """The speed along places (seconds, x and y in metres), or None where it is not sure.

    The median of the way over half the window, for each such pair of places: one bad box moves
    it little. Its error is twice the standard error of a straight line through the places.
    """
    settings = settings or SpeedSettings()
    table = np.array(places, np.float64).reshape(-1, 3)
    if len(table) < 4 or table[-1, 0] - table[0, 0] < settings.least_s:
        return None
    half = len(table) // 2
    steps = table[half:] - table[:-half]
    velocity = np.median(steps[:, 1:] / steps[:, :1], axis=0)
    speed = float(np.hypot(*velocity))
    error = 2 * _standard_error(table)
    long_enough = speed * (table[-1, 0] - table[0, 0]) >= settings.least_m
    if not long_enough or error > settings.most_error * speed:
        return None
    return Speed(3.6 * speed, 3.6 * error)


def _standard_error(table: NDArray[np.float64]) -> float:
    """Of the slope of a least-squares line along the way of the places, in m/s."""
    t = table[:, 0] - table[:, 0].mean()
    places = table[:, 1:] - table[:, 1:].mean(axis=0)
    slope = t @ places / (t @ t)
    left = places - np.outer(t, slope)
    return math.sqrt((left**2).sum() / max(len(table) - 2, 1) / (t @ t))


def _flattest(points: Corners) -> float:
    """The least sine of an angle that three of the points make; 0 when they lie on one line."""
    least = 1.0
    for skip in range(4):
        (ax, ay), (bx, by), (cx, cy) = (p for i, p in enumerate(points) if i != skip)
        ux, uy, vx, vy = bx - ax, by - ay, cx - ax, cy - ay
        size = math.hypot(ux, uy) * math.hypot(vx, vy)
        least = min(least, abs(ux * vy - uy * vx) / size if size else 0.0)
    return least
