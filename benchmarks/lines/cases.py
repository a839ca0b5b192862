"""What is counted: detections by frame, lines, what truly crossed each; and how it is compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.crossings import Passed, match, true_passages
from edgesdk.detections import Detections

Ends = tuple[tuple[float, float], tuple[float, float]]
Frames = tuple[tuple[int, Detections], ...]
"""Frame index and boxes; indices may have gaps."""
WINDOW_S = 1.5
"""How far apart in time a true and a counted crossing may be: who stands on a line is counted when
it goes on."""
SURE_PX, NEAR_PX = 8.0, 6.0
"""Who comes so far to either side has crossed. Who turns round this near to the line may be counted
there and back: boxes, and people's true boxes too, are not more exact."""


@dataclass(frozen=True)
class TrueLine:
    """One line, or several that follow each other, and what crossed."""

    name: str
    parts: tuple[Ends, ...]
    sure: tuple[Passed, ...]
    """To be counted once each."""
    possible: tuple[Passed, ...] = ()
    """May be counted once each: they only just crossed, or left the picture on the line."""


@dataclass(frozen=True)
class Case:
    """Detections of one video, and its lines."""

    group: str
    name: str
    fps: float
    frames: Frames
    """Frame index and boxes; indices may have gaps."""
    lines: tuple[TrueLine, ...]
    window_px: float = 60.0
    """How far apart a true and a counted crossing may be: less than two are from each other."""


@dataclass(frozen=True)
class Tally:
    """Errors never cancel each other."""

    true: int = 0
    missed: int = 0
    extra: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.true + other.true, self.missed + other.missed, self.extra + other.extra)


def compare(case: Case, line: TrueLine, found: Sequence[Passed]) -> tuple[Tally, list[Passed]]:
    """One by one; also what was counted on top."""
    window = round(WINDOW_S * case.fps)
    sure = match(line.sure, found, window, case.window_px)
    rest = match(line.possible, sure.extra, window, case.window_px)
    return Tally(len(line.sure), len(sure.missed), len(rest.extra)), list(rest.extra)


def level(y: float, left: float = 0.0, right: float = 640.0) -> tuple[str, tuple[Ends, ...]]:
    """The name and the parts of a line straight across the picture."""
    return f"y={y:g}", (((left, y), (right, y)),)


def true_line(name: str, parts: tuple[Ends, ...], true: Sequence[Detections]) -> TrueLine:
    """Of true boxes with identities; each end of the parts in pixels."""
    sure = tuple(p for part in parts for p in true_passages(true, part, SURE_PX))
    possible: list[Passed] = []
    for part in parts:
        for px in (-NEAR_PX, 0.0, NEAR_PX):
            near = true_passages(true, _beside(part, px), 1)
            possible += match(sure, near, 20, 60).extra
    return TrueLine(name, parts, sure, tuple(possible))


def _beside(ends: Ends, px: float) -> Ends:
    """The line, moved to its right."""
    (x1, y1), (x2, y2) = ends
    length = np.hypot(x2 - x1, y2 - y1)
    dx, dy = -(y2 - y1) / length * px, (x2 - x1) / length * px
    return (x1 + dx, y1 + dy), (x2 + dx, y2 + dy)
