"""A line in the picture, its two sides and its two directions."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgesdk.vision.anchor import Anchor, Point


@dataclass(frozen=True)
class Line:
    """A line from `start` to `end`, in pixels of the picture.

    Someone who walks it from start to end has the side "left" and the side "right", as seen in
    the picture. Forward is from left to right: over a line drawn from left to right it is
    downwards (y grows), over one drawn from the bottom to the top it is to the right.
    """

    start: Point
    end: Point
    forward: str = "down"
    """What to call a crossing from left to right."""
    backward: str = "up"
    """What to call a crossing from right to left."""
    name: str = "line"
    anchor: Anchor = "center"
    """What has to go over it: the middle of the box, or its foot (the middle of the lower edge),
    which is where the object stands on the ground."""

    def __post_init__(self) -> None:
        if not all(math.isfinite(value) for value in (*self.start, *self.end)):
            raise ValueError(f"the line {self._ends} takes four finite numbers")
        if self.length < 1e-6:
            raise ValueError(f"the line {self._ends} has no length: it begins where it ends")
        if self.forward == self.backward:
            raise ValueError(
                f"forward and backward should be two names, found {self.forward!r} for both"
            )

    @property
    def length(self) -> float:
        """In pixels."""
        return math.dist(self.start, self.end)

    @property
    def _ends(self) -> str:
        return "{:g},{:g},{:g},{:g}".format(*self.start, *self.end)

    def locate(self, point: Point) -> Point:
        """(along, beside): pixels along the line from its start, and from it to the right."""
        dx = (self.end[0] - self.start[0]) / self.length
        dy = (self.end[1] - self.start[1]) / self.length
        x, y = point[0] - self.start[0], point[1] - self.start[1]
        return dx * x + dy * y, dx * y - dy * x
