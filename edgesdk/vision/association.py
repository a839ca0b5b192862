"""Which detection is the next sighting of which track: how well they fit, and who gets whom."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgesdk.detections import Detections
from edgesdk.geometry import iou
from edgesdk.vision.motion import Doubles

Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]


def fit(tracks: Doubles, found: Doubles) -> Doubles:
    """How well each track's box fits each detection's, 0 (apart) to 1 (equal); shape (N, M).

    Boxes are columns of centre x, y, width, height. It is the overlap (IoU) times the overlap
    of the heights alone, since what is nearer to the camera is taller and lower down in the
    picture: of two that stand in line, the height tells which one is seen. (Yang et al.,
    "Hybrid-SORT", arXiv:2308.00783, height-modulated IoU.)
    """
    shared = _shared(tracks, found)
    common, tall = shared[0] * shared[1], shared[1]
    area = (tracks[2] * tracks[3])[:, None] + found[2] * found[3] - common
    height = tracks[3][:, None] + found[3] - tall
    both: Doubles = common * tall / np.maximum(area * height, 1e-9)
    return both


def inside(parts: Doubles, wholes: Doubles) -> Doubles:
    """Which share of each of N boxes lies in each of M others; shape (N, M)."""
    width, height = _shared(parts, wholes)
    share: Doubles = width * height / np.maximum(parts[2] * parts[3], 1e-9)[:, None]
    return share


def _shared(a: Doubles, b: Doubles) -> Doubles:
    """Width and height of what each of N boxes has in common with each of M; shape (2, N, M)."""
    half_a, half_b = a[2:] / 2, b[2:] / 2
    low = np.maximum((a[:2] - half_a)[:, :, None], (b[:2] - half_b)[:, None])
    high = np.minimum((a[:2] + half_a)[:, :, None], (b[:2] + half_b)[:, None])
    shared: Doubles = np.maximum(high - low, 0.0)
    return shared


def match(fits: Doubles, least: Doubles, first: Mask, lead: Doubles, track_of: Indices) -> None:
    """Pair free tracks (rows) and free detections (columns), the best fit first.

    A pair needs a fit of `least` (shape (M,), infinite: never), and the detections of `first`
    choose before the others. `lead` (shape (N,)) is added to a track's fits when it is compared
    with others. Greedy and not optimal in the sum: a pair that fits very well is never torn apart
    to rescue another one. Writes the row into `track_of`; -1 is free.
    """
    rows, columns = np.nonzero(fits >= least)
    if not len(rows):
        return
    order = np.argsort(-fits[rows, columns] - lead[rows] - 2 * first[columns], kind="stable")
    used, row_of = set(track_of.tolist()), track_of.tolist()
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if row_of[column] < 0 and row not in used:
            row_of[column] = row
            used.add(row)
    track_of[:] = row_of


def second_names(detections: Detections, duplicate_iou: float) -> Mask:
    """Which detections lie on a stronger one of another class; of equals the first counts."""
    score, class_id = detections.score, detections.class_id
    if len(score) < 2 or (class_id == class_id[0]).all():
        return np.zeros(len(score), np.bool_)
    overlap = iou(detections.xyxy, detections.xyxy) > duplicate_iou
    if np.count_nonzero(overlap) == len(score):  # each with itself
        return np.zeros(len(score), np.bool_)
    rank = np.empty(len(score), np.int64)
    rank[np.argsort(-score, kind="stable")] = np.arange(len(score))
    stronger = (rank[None] < rank[:, None]) & (class_id[None] != class_id[:, None])
    second: Mask = (stronger & overlap).any(axis=1)
    return second
