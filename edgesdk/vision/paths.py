"""Objects over time, whatever identities the tracker gave them.

A track that begins where another, lost one should be by now goes on as the same object. What
counts, measures and times objects does so by these paths, so an identity that changes at a line,
in a zone or in the middle of a measurement changes nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from edgesdk.detections import Detections
from edgesdk.vision.anchor import Box, Point
from edgesdk.vision.tracker import Confirmed, checked_fps

WIDE_S = 0.6
"""A velocity is a guess: who was hidden for so long may be twice as far from where it leads."""
STEADY = 2
"""Steps over which a velocity is smoothed: a box that is half hidden jumps."""


@dataclass(frozen=True)
class CountingSettings:
    """How far is far enough, and how long to remember."""

    band_sizes: float = 0.1
    """A point this near to a line or a zone's edge is on neither side, in box sizes sqrt(w * h):
    boxes tremble in proportion to their size."""
    band_px: float = 2.0
    """... and never less than this many pixels of the picture."""
    settle_sightings: int = 2
    """Sightings in a row beyond the band until it has changed sides: a box that jumps onto a
    neighbour for one frame, and back, crosses nothing."""
    handover_sizes: float = 0.75
    """A track that begins this near to where another, lost one should be by now is the same
    object under a new identity and goes on in its place; in sizes of the smaller box, and up to
    twice as far the longer it was lost. 0: never."""
    handover_s: float = 3.0
    """... if it was lost no longer ago than this, in seconds."""
    forget_s: float = 4.5
    """An object unseen for longer, in seconds, is dropped; not less than the tracker's `lost_s`."""

    def __post_init__(self) -> None:
        distances = (self.band_sizes, self.band_px, self.handover_sizes)
        if min(*distances, self.handover_s, self.forget_s) < 0:
            raise ValueError("distances and seconds should not be negative")
        if self.settle_sightings < 1:
            raise ValueError("settle_sightings should be 1 or more")

    def band(self, size: float) -> float:
        """Half the width of the undecided band for a box of this size, in pixels."""
        return max(self.band_px, self.band_sizes * size)


@dataclass(frozen=True)
class Seen:
    """One object in one frame."""

    path: int
    """Which object: 0, 1, 2 ... as they came into view; never used again."""
    track_id: int
    """What the tracker calls it now."""
    class_id: int
    """What most of its detections so far said; of equals the one seen first."""
    frame: int
    box: Box
    surprise: float = 0.0
    """How far its centre is from where its motion so far would have it, as a share of its size and
    of the way that it was to go since."""
    promised: Box | None = None
    """At the first sighting under a new identity: where the old one should have been by then."""

    @property
    def size(self) -> float:
        """sqrt(w * h) in pixels."""
        return _size(self.box)


@dataclass
class _Path:
    """What is remembered of one object."""

    number: int
    box: Box
    frame: int
    steps: int = 0
    velocity: Point = (0.0, 0.0)
    """Of the centre, smoothed, in pixels for each frame."""
    votes: Counter[int] = field(default_factory=Counter)

    def move(self, box: Box, frame: int) -> None:
        """Take in where it is now; frames grow."""
        gap = frame - self.frame
        (x, y), (old_x, old_y) = _center(box), _center(self.box)
        self.steps += 1
        share = 1 / min(self.steps, STEADY)
        vx, vy = self.velocity
        self.velocity = (
            vx + share * ((x - old_x) / gap - vx),
            vy + share * ((y - old_y) / gap - vy),
        )
        self.box, self.frame = box, frame

    def expected(self, frame: int) -> Box:
        """Where it would be in a later frame if it went on as it did."""
        gap = frame - self.frame
        x, y = self.velocity[0] * gap, self.velocity[1] * gap
        return (self.box[0] + x, self.box[1] + y, self.box[2] + x, self.box[3] + y)

    def surprise(self, box: Box, frame: int) -> float:
        """Of seeing it there: see `Seen`."""
        way = math.hypot(*self.velocity) * (frame - self.frame)
        return math.dist(_center(self.expected(frame)), _center(box)) / max(_size(box) + way, 1.0)


Sighting = tuple[int, Box, int]
"""Frame, box, class."""


class Paths:
    """Follows objects through tracked detections. Memory follows those that are about."""

    def __init__(self, settings: CountingSettings | None = None, fps: float = 25.0) -> None:
        """`fps` is the stream's, as for `Tracker`. Raises UsageError as it does."""
        self._settings = settings or CountingSettings()
        self._second = 1 / checked_fps(fps)
        self._paths: dict[int, _Path] = {}
        """By the number of the track that each goes by now."""
        self._begun = 0
        self._gone: tuple[int, ...] = ()

    def update(
        self, detections: Detections, frame_index: int, confirmed: Sequence[Confirmed] = ()
    ) -> tuple[Seen, ...]:
        """Every tracked object of this frame, in the order of the detections.

        Call it for every frame, in order. `confirmed` is the tracker's `confirmed_now`: the
        earlier sightings of those tracks come before their present one, each with its frame.
        Detections without a track (-1) are passed over.
        """
        earlier = {track.track_id: track for track in confirmed}
        present = set(detections.track_id.tolist())
        seen: list[Seen] = []
        for row in np.flatnonzero(detections.track_id >= 0).tolist():
            track_id = int(detections.track_id[row])
            sightings = _sightings_of(earlier.get(track_id))
            box = tuple(detections.xyxy[row].tolist())
            sightings.append((frame_index, box, int(detections.class_id[row])))
            seen += self._follow(track_id, sightings, present)
        self._forget(frame_index)
        return tuple(seen)

    @property
    def gone(self) -> tuple[int, ...]:
        """The objects that the last `update` gave up: they will not be seen again."""
        return self._gone

    @property
    def remembered(self) -> int:
        """How many objects are remembered now."""
        return len(self._paths)

    def _follow(self, track_id: int, sightings: list[Sighting], present: set[int]) -> list[Seen]:
        """The sightings as those of the object that this track is, or takes over."""
        path, promised = self._paths.get(track_id), None
        if path is None:
            path = self._inherit(sightings, present)
            if path is not None:
                promised = path.expected(sightings[0][0])
            else:
                path = self._begin(sightings[0])
            self._paths[track_id] = path
        seen = []
        for frame, box, class_id in sightings:
            away = path.surprise(box, frame)
            if frame > path.frame:
                path.move(box, frame)
            path.votes[class_id] += 1
            voted = path.votes.most_common(1)[0][0]
            seen.append(Seen(path.number, track_id, voted, frame, box, away, promised))
            promised = None
        return seen

    def _begin(self, sighting: Sighting) -> _Path:
        """A new object. Its number is not the track's: a track that comes back after another went
        on in its place is no longer the same object as that one."""
        frame, box, _ = sighting
        self._begun += 1
        return _Path(self._begun - 1, box, frame)

    def _inherit(self, sightings: list[Sighting], present: set[int]) -> _Path | None:
        """The object that was lost here just now, if there is one; it gets a new track."""
        frame, box, _ = sightings[0]
        best, nearest = None, self._settings.handover_sizes
        for track_id, path in self._paths.items():
            hidden_s = (frame - path.frame) * self._second
            if track_id in present or not 0 < hidden_s <= self._settings.handover_s:
                continue
            # In sizes of the smaller of the two: what is far and small does not become a truck.
            distance = math.dist(_center(path.expected(frame)), _center(box))
            distance /= max(min(_size(path.box), _size(box)), 1.0)
            distance /= 1 + min(hidden_s / WIDE_S, 1.0)
            if distance < nearest and not self._opposed(path, sightings):
                best, nearest = track_id, distance
        return None if best is None else self._paths.pop(best)

    def _opposed(self, path: _Path, sightings: list[Sighting]) -> bool:
        """Both clearly move, and in opposite directions: two that met, not one that was lost."""
        (first, start, _), (last, end, _) = sightings[0], sightings[-1]
        (x, y), (vx, vy) = _between(start, end), path.velocity
        least = self._settings.band(_size(start))
        return (
            x * vx + y * vy < 0
            and min(math.hypot(x, y), math.hypot(vx, vy) * (last - first)) > least
        )

    def _forget(self, frame: int) -> None:
        most = self._settings.forget_s / self._second
        old = [track_id for track_id, path in self._paths.items() if frame - path.frame > most]
        self._gone = tuple(self._paths.pop(track_id).number for track_id in old)


def _sightings_of(track: Confirmed | None) -> list[Sighting]:
    if track is None:
        return []
    boxes = (tuple(box) for box in track.boxes.tolist())
    return list(zip(track.frames, boxes, track.class_ids.tolist(), strict=True))


def _center(box: Box) -> Point:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _between(a: Box, b: Box) -> Point:
    (ax, ay), (bx, by) = _center(a), _center(b)
    return bx - ax, by - ay


def _size(box: Box) -> float:
    return math.sqrt(max((box[2] - box[0]) * (box[3] - box[1]), 0.0))
