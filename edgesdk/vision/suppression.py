"""Non-maximum suppression: of boxes that show the same thing, keep the best."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgesdk.geometry import Boxes, Floats

CANDIDATES = 2000
"""Only so many of the best boxes enter: bounds the time on a picture full of noise."""
BLOCK = 128
"""Boxes that are compared with each other at once: few enough for the cache."""
CLASSES = 4
"""From so many classes on, the best box of each is taken at once."""
FEW = 48
"""So few are compared one by one, which is as fast and needs no arrays."""
TINY = np.float32(1e-30)
"""Less than the area of any box that has one."""


def nms(
    boxes: Boxes,
    score: NDArray[np.float32],
    class_id: NDArray[np.int64] | None,
    iou_threshold: float,
    max_detections: int,
    *,
    inside_threshold: float = 1.0,
) -> NDArray[np.int64]:
    """Indices of the boxes to keep, best first; equal scores keep their order.

    Greedy: the best box is kept, all that overlap it by more than `iou_threshold`, or lie
    inside it by more than `inside_threshold`, are dropped, and so on. With `class_id`, numbers
    from 0 on, only boxes of the same class suppress each other.
    Only the `CANDIDATES` best boxes are looked at.
    """
    limits = _Limits(iou_threshold, inside_threshold)
    order = np.argsort(-score, kind="stable")[:CANDIDATES]
    kinds = np.zeros(len(order), np.int64) if class_id is None else class_id.take(order)
    boxes = boxes.take(order, axis=0)
    if len(order) <= FEW:
        return order.take(_one_by_one(boxes, kinds, limits)[:max_detections])
    everything = _Candidates(_sides(boxes), kinds, np.arange(len(order)))
    left, keep = _class_by_class(everything, limits)
    if len(left.place) > FEW:
        keep += _block_by_block(left, limits, max_detections)
    else:
        rest = _one_by_one(boxes.take(left.place, axis=0), left.kinds, limits)
        keep.append(left.place.take(rest))
    return order.take(np.sort(np.concatenate(keep))[:max_detections])


class _Limits(NamedTuple):
    """How much of a weaker box may be shared with a better one."""

    iou: float
    inside: float


class _Candidates(NamedTuple):
    """Boxes that are still to be looked at, best first."""

    sides: Floats
    """-left, -top, right, bottom, area: each of all boxes together in memory; shape (5, N)."""
    kinds: NDArray[np.int64]
    """Class of each, shape (N,)."""
    place: NDArray[np.int64]
    """Index of each among all, shape (N,)."""

    def only(self, which: NDArray[np.int64]) -> _Candidates:
        sides = self.sides.take(which, axis=1)
        return _Candidates(sides, self.kinds.take(which), self.place.take(which))


def _sides(boxes: Boxes) -> Floats:
    sides = np.empty((5, len(boxes)), np.float32)
    np.negative(boxes.T[:2], out=sides[:2])
    sides[2:4] = boxes.T[2:]
    size = np.maximum(sides[:2] + sides[2:4], np.float32(0))
    # Boxes without area share nothing: whatever is not 0 below the line gives 0.
    np.maximum(size[0] * size[1], TINY, out=sides[4])
    return sides


def _rules_out(better: Floats, worse: Floats, limits: _Limits) -> NDArray[np.bool_]:
    """True where a better box leaves no room for a worse one; the sides' shapes are broadcast."""
    common = np.minimum(better[:4], worse[:4])
    size = np.add(common[:2], common[2:], out=common[:2])
    # One side below 0, as of boxes that are apart, gives a ratio below 0, and no limit is.
    np.maximum(size[0], np.float32(0), out=size[0])
    shared = np.multiply(size[0], size[1], out=size[0])
    union = np.add(better[4], worse[4], out=common[2])
    union -= shared
    alike: NDArray[np.bool_] = np.divide(shared, union, out=union) > limits.iou
    if limits.inside < 1:
        alike |= shared / worse[4] > limits.inside
    return alike


def _class_by_class(
    left: _Candidates, limits: _Limits
) -> tuple[_Candidates, list[NDArray[np.int64]]]:
    """Those that are still to be looked at, and places that stay.

    Each look takes the best box of every class at once and rules out what it rules out. That
    pays as long as the boxes are many and of several classes.
    """
    keep: list[NDArray[np.int64]] = []
    best = np.empty(left.kinds.max() + 1, np.int64)
    while len(left.place) > FEW:
        sides, kinds, place = left
        count = np.arange(len(place))
        # Of several values for one class the last stays: backwards, that is its best box's.
        best[kinds[::-1]] = count[::-1]
        rival = best.take(kinds)
        done = rival == count
        if np.count_nonzero(done) < CLASSES:
            break
        keep.append(place[done])
        done |= _rules_out(sides.take(rival, axis=1), sides, limits)
        left = left.only(np.logical_not(done, out=done).nonzero()[0])
    return left, keep


def _block_by_block(left: _Candidates, limits: _Limits, most: int) -> list[NDArray[np.int64]]:
    """Places that stay, best first: the best `most`, or a few more."""
    keep: list[NDArray[np.int64]] = []
    count = 0
    while len(left.place) and count < most:
        first = left.only(np.arange(min(BLOCK, len(left.place))))
        stay = _greedy(_between(first, first, limits))
        kept = first.only(np.array(stay))
        keep.append(kept.place)
        count += len(stay)
        left = left.only(np.arange(BLOCK, len(left.place)))
        if len(left.place):
            left = left.only((~_between(kept, left, limits).any(axis=0)).nonzero()[0])
    return keep


def _between(better: _Candidates, worse: _Candidates, limits: _Limits) -> NDArray[np.bool_]:
    """Which of `better` rules out which of `worse`; shape (N, M)."""
    alike = _rules_out(better.sides[:, :, None], worse.sides[:, None], limits)
    alike &= better.kinds[:, None] == worse.kinds
    return alike


def _greedy(rules_out: NDArray[np.bool_]) -> list[int]:
    """Indices that stay, of boxes in the order of their scores; (N, N)."""
    rows = np.packbits(rules_out, axis=1, bitorder="little")
    left, stay = (1 << len(rows)) - 1, []
    while left:
        index = (left & -left).bit_length() - 1
        stay.append(index)
        # A box without area does not rule out itself.
        left &= ~(int.from_bytes(rows[index].tobytes(), "little") | 1 << index)
    return stay


def _one_by_one(boxes: Boxes, kinds: NDArray[np.int64], limits: _Limits) -> NDArray[np.int64]:
    """The same without arrays: each call of numpy's costs as much as comparing two boxes, and
    several times that while the caches are full of what inference left there."""
    keep: list[int] = []
    classes = kinds.tolist()
    better: dict[int, list[tuple[float, float, float, float, float]]] = {}
    for index, (left, top, right, bottom) in enumerate(boxes.tolist()):
        area = max(right - left, 0) * max(bottom - top, 0)
        rivals = better.setdefault(classes[index], [])
        for x1, y1, x2, y2, other in rivals:
            width = (x2 if x2 < right else right) - (x1 if x1 > left else left)
            height = (y2 if y2 < bottom else bottom) - (y1 if y1 > top else top)
            if width <= 0 or height <= 0:
                continue
            shared = width * height
            if shared > limits.iou * (other + area - shared) or shared > limits.inside * area:
                break
        else:
            keep.append(index)
            rivals.append((left, top, right, bottom, area))
    return np.array(keep, np.int64)
