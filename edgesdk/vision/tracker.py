"""Identities over time: which box of this picture is which of the last ones.

After ByteTrack (Zhang et al., arXiv:2110.06864): sure detections are matched to tracks first and
unsure ones only prolong what is left, so that a vehicle is not lost when it is half hidden and a
shadow does not become one. Between the two, a track may also take a sure detection that it does
not overlap but that lies where its motion allows: what is small and fast never overlaps itself.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgesdk.detections import Detections
from edgesdk.errors import UsageError
from edgesdk.geometry import Boxes, iou
from edgesdk.vision.motion import Motion, MotionSettings

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class TrackerSettings:
    """When boxes belong together, and when a track begins and ends."""

    high_score: float = 0.4
    """Detections from here on are matched first and may start a track; weaker ones, down to the
    detector's own threshold, only prolong one."""
    match_iou: float = 0.2
    """Least overlap (IoU) of a sure detection with a track's predicted box."""
    low_match_iou: float = 0.4
    """Least overlap of an unsure detection: it must fit better to be believed."""
    gate_sigma: float = 3.0
    """Without overlap, a sure detection may be this many standard deviations off; 0: never."""
    gate_sizes: float = 2.0
    """... but never further than this many box sizes sqrt(w * h), however unsure the track is."""
    duplicate_iou: float = 0.7
    """A detection that overlaps a stronger one of another class by more than this is the same
    object under a second name and is left out; 1: never."""
    min_hits: int = 3
    """Sightings until a track is confirmed and gets an id."""
    lost_frames: int = 30
    """For so many frames a confirmed track is kept unseen. An unconfirmed one dies at once."""
    motion: MotionSettings = field(default_factory=MotionSettings)

    def __post_init__(self) -> None:
        if self.min_hits < 1 or self.lost_frames < 0:
            raise ValueError("min_hits should be 1 or more and lost_frames 0 or more")


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

    def __init__(self, settings: TrackerSettings | None = None) -> None:
        self._settings = settings or TrackerSettings()
        self._motion = Motion.start(np.zeros((0, 4), np.float32), self._settings.motion)
        self._id = np.empty(0, np.int64)
        self._birth = np.empty(0, np.int64)
        self._births = 0
        self._past: deque[_Past] = deque(maxlen=self._settings.min_hits - 1)
        self._newly: list[Confirmed] = []
        self._hits = np.empty(0, np.int64)
        self._missed = np.empty(0, np.int64)
        self._next_id = 0
        self._frame = -1

    def update(self, detections: Detections, frame_index: int | None = None) -> Detections:
        """The same detections in the same order, with the id of each one's confirmed track or -1.

        Call it for every frame, also for one without detections. `frame_index` says where
        frames were dropped; left out, it is the next one. Ids count from 0 and are never used
        again. Raises UsageError when the index does not grow.
        """
        self._advance(frame_index)
        track_of = self._associate(detections)
        known = (track_of >= 0) & (track_of < len(self._id))
        self._see(track_of[known], detections.xyxy[known])
        self._begin(detections.xyxy[(track_of >= 0) & ~known])
        self._confirm()
        ids, births = (np.append(column, -1)[track_of] for column in (self._id, self._birth))
        self._bury()
        self._past.append(_Past(self._frame, detections, births))
        return detections.with_tracks(ids)

    @property
    def confirmed_now(self) -> tuple[Confirmed, ...]:
        """The tracks that the last `update` confirmed, in the order of their ids.

        Each with the sightings that `update` gave as -1 because it was not sure of them then. A
        counter that takes them in before the present frame misses nothing that happened between
        a track's first sighting and its confirmation. Empty when no track was confirmed.
        """
        return tuple(self._newly)

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

    @property
    def live(self) -> int:
        """How many tracks are held now: confirmed, unconfirmed and lost ones."""
        return len(self._id)

    def _advance(self, frame_index: int | None) -> None:
        index = self._frame + 1 if frame_index is None else frame_index
        if index <= self._frame:
            raise UsageError(
                f"the tracker was given frame {index} after frame {self._frame}",
                "make a new Tracker for each video and feed it in order",
            )
        frames = index - self._frame if self._frame >= 0 else 1
        self._frame = index
        self._motion = self._motion.predict(frames, self._settings.motion)
        self._missed = self._missed + frames

    def _associate(self, detections: Detections) -> Indices:
        """Row of each detection's track; rows from the last on are new tracks, -1 is none."""
        settings = self._settings
        track_of = np.full(len(detections), -1, np.int64)
        single = ~_second_names(detections, settings.duplicate_iou)
        sure = single & (detections.score >= settings.high_score)
        overlap = iou(self._motion.boxes, detections.xyxy)
        _match(overlap, settings.match_iou, sure, track_of)
        # Most frames leave nothing over for the second look, which costs as much as the first.
        if settings.gate_sigma > 0 and (sure & (track_of < 0)).any():
            _match(self._reachable(detections.xyxy), 1e-6, sure, track_of)
        _match(overlap, settings.low_match_iou, single & ~sure, track_of)
        fresh = np.flatnonzero(sure & (track_of < 0))
        track_of[fresh] = np.arange(len(fresh)) + len(self._id)
        return track_of

    def _reachable(self, boxes: Boxes) -> NDArray[np.float64]:
        """1 where a box is just where its track should be, 0 and less where it cannot be."""
        settings = self._settings
        surprise = self._motion.surprise(boxes, settings.motion)
        size = np.sqrt(np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), 1.0))
        ratio = self._motion.scale[:, None] / size[None]
        centers = (boxes[:, :2] + boxes[:, 2:]) / 2
        distance = np.linalg.norm(self._motion.center[:, None] - centers[None], axis=2)
        near = distance <= settings.gate_sizes * self._motion.scale[:, None]
        alike = (ratio > 0.5) & (ratio < 2)
        return np.where(near & alike, 1 - surprise / settings.gate_sigma, 0.0)

    def _see(self, rows: Indices, boxes: Boxes) -> None:
        self._motion = self._motion.correct(rows, boxes, self._settings.motion)
        self._hits[rows] += 1
        self._missed[rows] = 0

    def _begin(self, boxes: Boxes) -> None:
        self._motion = self._motion.join(Motion.start(boxes, self._settings.motion))
        self._id = np.append(self._id, np.full(len(boxes), -1))
        self._birth = np.append(self._birth, self._births + np.arange(len(boxes)))
        self._births += len(boxes)
        self._hits = np.append(self._hits, np.ones(len(boxes), np.int64))
        self._missed = np.append(self._missed, np.zeros(len(boxes), np.int64))

    def _confirm(self) -> None:
        fresh = np.flatnonzero((self._id < 0) & (self._hits >= self._settings.min_hits))
        self._id[fresh] = self._next_id + np.arange(len(fresh))
        self._newly = [
            self._early(track_id, birth)
            for track_id, birth in zip(
                self._id[fresh].tolist(), self._birth[fresh].tolist(), strict=True
            )
        ]
        self._next_id += len(fresh)

    def _bury(self) -> None:
        patience = np.where(self._id >= 0, self._settings.lost_frames, 0)
        alive = self._missed <= patience
        self._motion = self._motion.select(alive)
        self._id, self._hits = self._id[alive], self._hits[alive]
        self._missed, self._birth = self._missed[alive], self._birth[alive]


def _second_names(detections: Detections, duplicate_iou: float) -> NDArray[np.bool_]:
    """Which detections lie on a stronger one of another class; of equals the first counts."""
    score, class_id = detections.score, detections.class_id
    if len(score) < 2 or (class_id == class_id[0]).all():
        return np.zeros(len(score), np.bool_)
    rank = np.empty(len(score), np.int64)
    rank[np.argsort(-score, kind="stable")] = np.arange(len(score))
    stronger = (rank[None] < rank[:, None]) & (class_id[None] != class_id[:, None])
    overlap = iou(detections.xyxy, detections.xyxy) > duplicate_iou
    second: NDArray[np.bool_] = (stronger & overlap).any(axis=1)
    return second


def _match(
    fit: NDArray[np.floating], least: float, allowed: NDArray[np.bool_], track_of: Indices
) -> None:
    """Pair free tracks (rows) and free, allowed detections (columns), the best fit first.

    Greedy and not optimal in the sum: a pair that fits very well is never torn apart to
    rescue another one. Writes the row into `track_of`.
    """
    free = allowed & (track_of < 0)
    if not free.any():
        return
    usable = (fit >= least) & free[None]
    usable[track_of[track_of >= 0]] = False
    rows, columns = np.nonzero(usable)
    order = np.argsort(-fit[rows, columns], kind="stable")
    used: set[int] = set()
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if row not in used and track_of[column] < 0:
            track_of[column] = row
            used.add(row)
