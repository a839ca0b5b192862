"""True crossings from true tracks, and found ones matched to them one by one.

Totals can be right by two errors that cancel; a matching cannot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edgesdk.detections import Detections

Numbers = NDArray[np.float64]
Point = tuple[float, float]


@dataclass(frozen=True)
class Passed:
    """Something went over the line, in truth or as counted."""

    frame: int
    forward: bool
    x_px: float
    y_px: float


@dataclass(frozen=True)
class Matching:
    """What was found of what is true."""

    matched: tuple[tuple[Passed, Passed], ...]
    """(true, found)."""
    missed: tuple[Passed, ...]
    extra: tuple[Passed, ...]

    @property
    def errors(self) -> int:
        """They cannot cancel."""
        return len(self.missed) + len(self.extra)


def match(
    true: Sequence[Passed], found: Sequence[Passed], frames: int, distance_px: float
) -> Matching:
    """Pair as many as can be: same direction, at most so many frames and pixels apart."""

    def near(i: int, j: int) -> bool:
        a, b = true[i], found[j]
        away = np.hypot(a.x_px - b.x_px, a.y_px - b.y_px)
        return a.forward == b.forward and abs(a.frame - b.frame) <= frames and away <= distance_px

    taken: dict[int, int] = {}

    def seat(i: int, tried: set[int]) -> bool:
        """Kuhn's augmenting path: who sits there already may find another place."""
        options = [j for j in range(len(found)) if j not in tried and near(i, j)]
        for j in sorted(options, key=lambda j: abs(true[i].frame - found[j].frame)):
            tried.add(j)
            if j not in taken or seat(taken[j], tried):
                taken[j] = i
                return True
        return False

    missed = [t for i, t in enumerate(true) if not seat(i, set())]
    seated = set(taken.values())
    missed = [t for i, t in enumerate(true) if i not in seated]
    pairs = tuple((true[i], found[j]) for j, i in sorted(taken.items(), key=lambda item: item[1]))
    extra = [f for j, f in enumerate(found) if j not in taken]
    return Matching(pairs, tuple(missed), tuple(extra))


def passages(
    frames: NDArray[np.int64], places: Numbers, line: tuple[Point, Point], least_px: float
) -> list[Passed]:
    """How often one true object with these places (N, 2) went over a line between its ends.

    It has when it was `least_px` to one side and later so far to the other; where it did is where
    its path last changed sides in between. Forward is from the left of who walks the line.
    """
    start, end = np.array(line, np.float64)
    along_unit = (end - start) / np.linalg.norm(end - start)
    along = (places - start) @ along_unit
    beside = along_unit[0] * (places[:, 1] - start[1]) - along_unit[1] * (places[:, 0] - start[0])
    sure = np.flatnonzero(np.abs(beside) > least_px)
    found = []
    for a, b in pairwise(sure.tolist()):
        if np.sign(beside[a]) == np.sign(beside[b]):
            continue
        steps = np.arange(a, b)
        last = steps[np.sign(beside[steps]) != np.sign(beside[steps + 1])][-1]
        share = beside[last] / (beside[last] - beside[last + 1])
        met = along[last] + share * (along[last + 1] - along[last])
        if 0 <= met <= np.linalg.norm(end - start):
            x, y = start + met * along_unit
            found.append(Passed(int(frames[last + 1]), bool(beside[b] > 0), float(x), float(y)))
    return found


def true_passages(
    truth: Sequence[Detections], line: tuple[Point, Point], least_px: float, foot: bool = False
) -> list[Passed]:
    """Of all identities in true boxes (one entry a frame), by centre or by foot."""
    table: dict[int, list[tuple[int, float, float]]] = {}
    for frame, boxes in enumerate(truth):
        for who, (left, top, right, bottom) in zip(
            boxes.track_id.tolist(), boxes.xyxy.tolist(), strict=True
        ):
            y = bottom if foot else (top + bottom) / 2
            table.setdefault(who, []).append((frame, (left + right) / 2, y))
    found: list[Passed] = []
    for rows in table.values():
        columns = np.array(rows, np.float64)
        found += passages(columns[:, 0].astype(np.int64), columns[:, 1:], line, least_px)
    return sorted(found, key=lambda passed: passed.frame)
