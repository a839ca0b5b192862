"""Which counted crossing is which true one, so that errors cannot cancel each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

WINDOW_S = 0.75
"""How far apart in time the two may be. In one lane vehicles follow each other by a second."""
WINDOW_PX = 60.0
"""How far apart along the line: less than a lane."""


@dataclass(frozen=True)
class Passage:
    """One vehicle over the line, counted or true."""

    time_s: float
    direction: str
    label: str
    x_px: float | None = None
    """Where along the line; None: not known, then time and direction decide."""


@dataclass(frozen=True)
class Matched:
    """How a count compares with the truth."""

    true: int
    """Crossings that there were."""
    missed: tuple[Passage, ...]
    """True ones that were not counted."""
    extra: tuple[Passage, ...]
    """Counted ones that were none."""
    misnamed: int
    """Right but for the class."""

    @property
    def wrong(self) -> int:
        """Missed and extra: neither makes up for the other."""
        return len(self.missed) + len(self.extra)

    def to_json(self) -> dict[str, object]:
        """For the report."""
        return {
            "missed": [asdict(p) for p in self.missed],
            "extra": [asdict(p) for p in self.extra],
            "misnamed": self.misnamed,
        }


def match(true: Sequence[Passage], found: Sequence[Passage], window_s: float = WINDOW_S) -> Matched:
    """Pairs of the same direction, near in time and place; the nearest in time first."""
    pairs = sorted(
        (abs(t.time_s - f.time_s), i, j)
        for i, t in enumerate(true)
        for j, f in enumerate(found)
        if _may_be(t, f, window_s)
    )
    of_true: dict[int, int] = {}
    taken: set[int] = set()
    for _, i, j in pairs:
        if i not in of_true and j not in taken:
            of_true[i] = j
            taken.add(j)
    return Matched(
        len(true),
        tuple(t for i, t in enumerate(true) if i not in of_true),
        tuple(f for j, f in enumerate(found) if j not in taken),
        sum(true[i].label != found[j].label for i, j in of_true.items()),
    )


def _may_be(true: Passage, found: Passage, window_s: float) -> bool:
    near = abs(true.time_s - found.time_s) <= window_s and true.direction == found.direction
    if true.x_px is None or found.x_px is None:
        return near
    return near and abs(true.x_px - found.x_px) <= WINDOW_PX
