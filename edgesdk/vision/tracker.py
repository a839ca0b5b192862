"""Identities over time: which box of this picture is which of the last ones.

After ByteTrack (Zhang et al., arXiv:2110.06864): sure detections choose their track first and
unsure ones only prolong what is left, so that a vehicle is not lost when it is half hidden and a
shadow does not become one. A track may also take a sure detection that it does not overlap but
that lies where its motion allows: what is small and fast never overlaps itself. And what could
as well be somebody else, hidden just now behind it, is not given a name until that is settled.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from edgesdk.detections import Detections
from edgesdk.errors import UsageError
from edgesdk.geometry import Boxes
from edgesdk.vision.association import Indices, Mask, fit, inside, match, second_names
from edgesdk.vision.motion import Doubles, Motion, MotionSettings, measure, scale

TOUCHES = 0.05
"""So much of a box lies in another one that it may be a part of that."""
TORN_OFF = 0.5
"""So much of a box lies where the torn one was due."""
_ID, _BIRTH, _HITS, _MISSED, _PASSED = range(5)


@dataclass(frozen=True)
class TrackerSettings:
    """When boxes belong together, and when a track begins and ends."""

    high_score: float = 0.5
    """Detections from here on choose first and may begin a track; weaker ones, down to the
    detector's own threshold, only prolong one. Lower for a detector that is seldom this sure."""
    match_fit: float = 0.1
    """Least fit of a sure detection with a track's predicted box: overlap (IoU) times overlap of
    the heights."""
    low_match_fit: float = 0.2
    """Least fit of an unsure detection: it must fit better to be believed."""
    recent_s: float = 0.5
    """An unsure detection prolongs a track only when that was seen no longer ago than this: later
    its place is too vague for a weak sign. And so long may a hidden track raise doubt."""
    gate_sigma: float = 4.0
    """Without overlap, a sure detection may be this many standard deviations off; 0: never."""
    gate_sizes: float = 1.5
    """... but never further than this many box sizes sqrt(w * h), however unsure the track is."""
    doubt_fit: float = 0.4
    """A detection that fits a hidden track worse than its own by no more than this could be
    either: it prolongs its own but is given no id in this frame. 0: every one is given its id."""
    confirmed_lead: float = 0.2
    """A confirmed track is preferred to one that is not, unless that fits better by more than
    this: a part of a vehicle that is seen as a box of its own does not take over from it."""
    torn_area: float = 0.8
    """A track whose box is suddenly smaller than this share of what was due is torn: what else
    lies where it was due is the rest of it and begins no track. So a long vehicle at the edge of
    the picture stays one, and two that walked in one box become two a moment later. 0: never."""
    duplicate_iou: float = 0.7
    """A detection that overlaps a stronger one of another class by more than this is the same
    object under a second name and is left out; 1: never."""
    min_hits: int = 3
    """Sightings until a track is confirmed and gets an id."""
    lost_s: float = 1.5
    """For so many seconds a confirmed track is kept unseen."""
    unconfirmed_misses: int = 2
    """A track that is not confirmed yet may be missed so often in a row before it is given up, as
    a detector may lose one box in three; 0: never. Nor may one that touches a confirmed track: a
    part of a vehicle that is a box of its own now and then."""
    motion: MotionSettings = field(default_factory=MotionSettings)

    def __post_init__(self) -> None:
        if self.min_hits < 1 or self.unconfirmed_misses < 0:
            raise ValueError("min_hits should be 1 or more and unconfirmed_misses 0 or more")
        for name in ("high_score", "match_fit", "low_match_fit", "doubt_fit", "duplicate_iou"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ValueError(f"{name} should be from 0 to 1, found {value:g}")
        for name in ("recent_s", "lost_s", "gate_sigma", "gate_sizes"):
            value = getattr(self, name)
            if not value >= 0:
                raise ValueError(f"{name} should be 0 or more, found {value:g}")


@dataclass(frozen=True, eq=False)
class Confirmed:
    """A track that got its id in this frame, and where it had been seen before it had one."""

    track_id: int
    frames: tuple[int, ...]
    """Indices of the frames of its earlier sightings, growing; without the present frame."""
    boxes: Boxes
    """Where it was in each: left, top, right, bottom in pixels; shape (len(frames), 4)."""
    class_ids: Indices
    """What it was in each; shape (len(frames),)."""


@dataclass(frozen=True, eq=False)
class _Past:
    """A frame that is over: which detection was the next sighting of which track."""

    frame: int
    detections: Detections
    birth: Indices
    """Of each detection's track, -1 for none: the n-th that was ever begun, confirmed or not."""


class Tracker:
    """Gives detections an identity. Same input, same ids; memory follows the live tracks only."""

    def __init__(self, settings: TrackerSettings | None = None, fps: float = 25.0) -> None:
        """`fps` is the stream's: frames a second, before any are dropped.

        Raises UsageError when it is not a positive number.
        """
        self._settings = settings or TrackerSettings()
        self._second = 1 / checked_fps(fps)
        self._motion = Motion(self._settings.motion)
        self._tracks = np.empty((5, 0), np.int64)
        """Id (-1: not confirmed), number of birth, sightings; frames and updates since the last."""
        self._births = self._next_id = 0
        self._past: deque[_Past] = deque(maxlen=_span(self._settings))
        self._newly: tuple[Confirmed, ...] = ()
        self._frame = -1

    def update(self, detections: Detections, frame_index: int | None = None) -> Detections:
        """The same detections in the same order, with the id of each one's confirmed track or -1.

        Call it for every frame, also for one without detections. `frame_index` says where
        frames were dropped; left out, it is the next one. Ids count from 0 and are never used
        again. Raises UsageError when the index does not grow.
        """
        self._advance(frame_index)
        placed = measure(detections.xyxy)
        track_of, doubtful = self._associate(detections, placed)
        seen = np.flatnonzero(track_of >= 0)
        self._see(track_of[seen], placed[:, seen])
        self._newly = self._confirm()
        named = np.full((2, len(detections)), -1)
        named[:, seen] = self._tracks[: _BIRTH + 1, track_of[seen]]
        ids, births = named
        ids[doubtful] = -1
        self._past.append(_Past(self._frame, detections, births))
        self._bury()
        return detections.with_tracks(ids)

    @property
    def confirmed_now(self) -> tuple[Confirmed, ...]:
        """The tracks that the last `update` confirmed, in the order of their ids.

        Each with the sightings that `update` gave as -1 because it was not sure of them then. A
        counter that takes them in before the present frame misses nothing that happened between
        a track's first sighting and its confirmation. Empty when no track was confirmed. The
        present sighting may itself be in doubt, and then has no id in this frame.
        """
        return self._newly

    @property
    def live(self) -> int:
        """How many tracks are held now: confirmed, unconfirmed and lost ones."""
        return self._tracks.shape[1]

    @property
    def _lead(self) -> Doubles:
        return np.where(self._tracks[_ID] >= 0, self._settings.confirmed_lead, 0.0)

    def _advance(self, frame_index: int | None) -> None:
        index = self._frame + 1 if frame_index is None else frame_index
        if index <= self._frame:
            raise UsageError(
                f"the tracker was given frame {index} after frame {self._frame}",
                "make a new Tracker for each video and feed it in order",
            )
        frames = index - self._frame if self._frame >= 0 else 1
        self._frame = index
        if self.live:
            self._motion.predict(frames * self._second)
            self._tracks[_MISSED] += frames
            self._tracks[_PASSED] += 1

    def _associate(self, detections: Detections, placed: Doubles) -> tuple[Indices, Mask]:
        """Row of each detection's track or -1, new tracks are begun; and whose name is in doubt."""
        settings, score = self._settings, detections.score
        track_of = np.full(len(score), -1, np.int64)
        doubtful = np.zeros(len(score), np.bool_)
        single = ~second_names(detections, settings.duplicate_iou)
        sure = single & (score >= settings.high_score)
        if self.live and len(score):
            fits = fit(self._motion.placed, placed)
            recent = self._is_recent()
            if not recent.all():
                fits[np.ix_(~recent, ~sure)] = 0.0
            least = np.where(sure, settings.match_fit, settings.low_match_fit)
            least[~single] = np.inf
            match(fits, least, sure, self._lead, track_of)
            self._reach(placed, sure, track_of)
            doubtful = self._in_doubt(fits, track_of, recent)
        fresh = np.flatnonzero(sure & (track_of < 0))
        if len(fresh):
            fresh = fresh[~self._torn_off(placed, fresh, track_of)]
        if len(fresh):
            track_of[fresh] = self.live + np.arange(len(fresh))
            self._begin(placed[:, fresh])
        return track_of, doubtful

    def _reach(self, placed: Doubles, sure: Mask, track_of: Indices) -> None:
        """Match what lies where a track's motion allows, though they do not overlap."""
        columns = np.flatnonzero(sure & (track_of < 0))
        # Most frames leave nothing over for this second look, which costs as much as the first.
        if not len(columns) or self._settings.gate_sigma <= 0:
            return
        near = np.full((self.live, len(track_of)), -1.0)
        near[:, columns] = self._reachable(placed[:, columns])
        match(near, np.full(len(track_of), 1e-6), sure, self._lead, track_of)

    def _reachable(self, placed: Doubles) -> Doubles:
        """1 where a box is just where its track should be, 0 and less where it cannot be."""
        settings, tracks = self._settings, self._motion.placed
        size = scale(tracks)[:, None]
        ratio = size / scale(placed)
        distance = np.hypot(*(tracks[:2, :, None] - placed[:2, None]))
        possible = (distance <= settings.gate_sizes * size) & (ratio > 0.5) & (ratio < 2)
        surprise = self._motion.surprise(placed)
        return np.where(possible, 1 - surprise / settings.gate_sigma, 0.0)

    def _in_doubt(self, fits: Doubles, track_of: Indices, recent: Mask) -> Mask:
        """Which detections could as well be a confirmed track that is hidden in this frame."""
        settings = self._settings
        hidden = (self._tracks[_ID] >= 0) & recent
        hidden[track_of[track_of >= 0]] = False
        if not hidden.any() or settings.doubt_fit <= 0:
            return np.zeros(len(track_of), np.bool_)
        own = fits[track_of, np.arange(len(track_of))]
        other = fits[hidden].max(axis=0)
        close: Mask = (other >= settings.match_fit) & (other > own - settings.doubt_fit)
        return close & (track_of >= 0)

    def _torn_off(self, placed: Doubles, fresh: Indices, track_of: Indices) -> Mask:
        """Which of the fresh detections are the rest of a track whose box is torn."""
        seen = np.flatnonzero(track_of >= 0)
        due = self._motion.placed[:, track_of[seen]]
        known = self._tracks[_ID, track_of[seen]] >= 0
        smaller = placed[2:, seen].prod(axis=0) < self._settings.torn_area * due[2:].prod(axis=0)
        rest: Mask = np.any(inside(placed[:, fresh], due[:, known & smaller]) > TORN_OFF, axis=1)
        return rest

    def _see(self, rows: Indices, placed: Doubles) -> None:
        if len(rows):
            self._motion.correct(rows, placed)
            self._tracks[_HITS, rows] += 1
            self._tracks[_MISSED:, rows] = 0

    def _begin(self, placed: Doubles) -> None:
        count = placed.shape[1]
        new = np.zeros((5, count), np.int64)
        new[_ID], new[_BIRTH] = -1, self._births + np.arange(count)
        self._births += count
        self._motion.begin(placed)
        self._tracks = np.concatenate([self._tracks, new], axis=1)

    def _confirm(self) -> tuple[Confirmed, ...]:
        waiting = (self._tracks[_ID] < 0) & (self._tracks[_HITS] >= self._settings.min_hits)
        fresh = np.flatnonzero(waiting)
        if not len(fresh):
            return ()
        self._tracks[_ID, fresh] = self._next_id + np.arange(len(fresh))
        self._next_id += len(fresh)
        return tuple(self._early(*row) for row in self._tracks[: _BIRTH + 1, fresh].T.tolist())

    def _early(self, track_id: int, birth: int) -> Confirmed:
        found = [
            (past.frame, past.detections[row])
            for past in self._past
            for row in np.flatnonzero(past.birth == birth)[:, None]
        ]
        boxes = [seen.xyxy for _, seen in found]
        return Confirmed(
            track_id,
            tuple(frame for frame, _ in found),
            np.concatenate([np.zeros((0, 4), np.float32), *boxes]),
            np.concatenate([np.empty(0, np.int64), *(seen.class_id for _, seen in found)]),
        )

    def _bury(self) -> None:
        lost = self._tracks[_MISSED] * self._second > self._settings.lost_s + 1e-9
        known = self._tracks[_ID] >= 0
        given_up = self._tracks[_PASSED] > self._settings.unconfirmed_misses
        alive = ~np.where(known, lost, given_up | self._flickers(known))
        if not alive.all():
            self._motion.keep(alive)
            self._tracks = self._tracks[:, alive]

    def _flickers(self, known: Mask) -> Mask:
        """Which unconfirmed tracks are not seen now and touch a confirmed one: parts of it."""
        young = np.flatnonzero(~known & (self._tracks[_PASSED] > 0))
        flickers = np.zeros(self.live, np.bool_)
        old = known & self._is_recent()
        if len(young) and old.any():
            placed = self._motion.placed
            flickers[young] = np.any(inside(placed[:, young], placed[:, old]) > TOUCHES, axis=1)
        return flickers

    def _is_recent(self) -> Mask:
        recent: Mask = self._tracks[_MISSED] <= max(1.0, self._settings.recent_s / self._second)
        return recent


def checked_fps(fps: float) -> float:
    """The same. Raises UsageError when it is not a positive number."""
    if not 0 < fps < math.inf:
        raise UsageError(
            f"a tracker cannot follow {fps:g} frames a second",
            "give the stream's own rate, such as 25",
        )
    return fps


def _span(settings: TrackerSettings) -> int:
    """Frames that may lie between a track's first sighting and the one that confirms it."""
    return (settings.min_hits - 1) * (settings.unconfirmed_misses + 1)
