"""Of boxes that show the same thing the best one is kept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesdk.geometry import Placement
from edgesdk.vision.nms import NmsSettings, best_detections
from edgesdk.vision.suppression import CANDIDATES, FEW, nms

SAME = Placement(1.0, 1.0, 0.0, 0.0, 640, 480)


def overlap(a: tuple[int, ...], b: tuple[int, ...]) -> float:
    """Intersection over union of two boxes, in plain Python."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    whole = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / whole


def slow_nms(
    boxes: list[tuple[int, ...]], scores: list[float], classes: list[int] | None, least: float
) -> list[int]:
    """As the textbook says it: sort, then keep what no kept box suppresses."""
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        rivals = (k for k in kept if classes is None or classes[k] == classes[i])
        if all(overlap(boxes[k], boxes[i]) <= least for k in rivals):
            kept.append(i)
    return kept


side = st.integers(1, 14)
box = st.tuples(st.integers(0, 14), st.integers(0, 14), side, side).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)
found = st.lists(st.tuples(box, st.integers(0, 9), st.integers(0, 2)), max_size=90)


@given(found, st.booleans(), st.sampled_from([0.1234, 0.4567, 0.7891]))
def test_keeps_what_the_textbook_keeps(
    rows: list[tuple[tuple[int, ...], int, int]], by_class: bool, least: float
) -> None:
    boxes, scores = [r[0] for r in rows], [r[1] / 10 for r in rows]
    classes = [r[2] for r in rows] if by_class else None
    keep = nms(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
        None if classes is None else np.array(classes, np.int64),
        least,
        100,
    )
    assert keep.tolist() == slow_nms(boxes, scores, classes, least)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(13, 700), st.sampled_from([0, 3, 20]))
def test_many_boxes_in_many_blocks_are_kept_as_the_textbook_keeps_them(
    seed: int, count: int, by_class: int
) -> None:
    make = np.random.default_rng(seed)
    corner, size = make.uniform(0, 150, (count, 2)), make.uniform(5, 60, (count, 2))
    boxes = np.concatenate([corner, corner + size], axis=1).astype(np.float32)
    score = make.permutation(count).astype(np.float32) / count
    classes = make.integers(0, max(by_class, 1), count)
    keep = nms(boxes, score, classes if by_class else None, 0.4321, count)
    order = np.argsort(-score)
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = np.maximum(high - low, 0).prod(axis=2)
    whole = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    rival = shared / (whole[:, None] + whole - shared) > 0.4321
    if by_class:
        rival &= classes[:, None] == classes
    expected: list[int] = []
    for i in order:
        if not rival[i, expected].any():
            expected.append(i)
    assert keep.tolist() == expected


def test_stops_at_the_most_boxes_asked_for_and_keeps_the_best() -> None:
    apart = np.array([[20 * i, 0, 20 * i + 10, 10] for i in range(6)], np.float32)
    score = np.array([0.5, 0.9, 0.6, 0.95, 0.4, 0.8], np.float32)
    assert nms(apart, score, None, 0.5, 3).tolist() == [3, 1, 5]


def test_a_picture_full_of_noise_is_limited_to_the_best_candidates() -> None:
    count = CANDIDATES + 50
    left = np.arange(count, dtype=np.float32) * 2
    boxes = np.stack([left, left * 0, left + 1, left * 0 + 1], axis=1)
    score = np.linspace(0.1, 0.9, count, dtype=np.float32)
    keep = nms(boxes, score, None, 0.5, count)
    assert len(keep) == CANDIDATES
    assert keep[0] == count - 1


def detections(boxes: list[list[float]], placement: Placement = SAME, **settings: object):  # type: ignore[no-untyped-def]
    count = len(boxes)
    return best_detections(
        np.array(boxes, np.float32),
        np.linspace(0.9, 0.5, count, dtype=np.float32),
        np.arange(count, dtype=np.int64),
        placement,
        NmsSettings(**settings),  # type: ignore[arg-type]
    )


def test_boxes_are_given_in_pixels_of_the_picture_and_cut_at_its_edges() -> None:
    half = Placement(0.5, 0.5, 0.0, 10.0, 640, 480)
    (only,) = detections([[100, 60, 400, 110]], half).xyxy.tolist()
    assert only == [200, 100, 640, 200]


def test_boxes_that_are_not_numbers_or_outside_the_picture_are_dropped() -> None:
    boxes = [[0, 0, np.nan, 9], [0, 0, np.inf, 9], [-20, 0, -5, 9], [5, 5, 5, 30], [1, 2, 8, 9]]
    assert detections(boxes).xyxy.tolist() == [[1, 2, 8, 9]]


def test_two_classes_on_one_object_stay_unless_told_otherwise() -> None:
    twice = [[10, 10, 50, 50], [11, 10, 50, 50]]
    assert detections(twice).class_id.tolist() == [0, 1]
    assert detections(twice, class_agnostic=True).class_id.tolist() == [0]


@pytest.mark.parametrize(
    ("key", "value"), [("score_threshold", 1.5), ("iou_threshold", -0.1), ("max_detections", 0)]
)
def test_impossible_settings_are_refused_by_name(key: str, value: float) -> None:
    with pytest.raises(ValueError, match=key):
        NmsSettings(**{key: value})  # type: ignore[arg-type]


def test_a_part_found_inside_a_better_box_goes_when_that_is_asked_for() -> None:
    bus, part, behind = [0, 0, 100, 200], [20, 20, 80, 120], [60, 0, 160, 100]
    boxes = np.array([bus, part, behind], np.float32)
    score = np.array([0.9, 0.6, 0.5], np.float32)
    # By hand: the part lies inside whole (IoU .3), of the box behind 40 %.
    assert nms(boxes, score, None, 0.45, 10).tolist() == [0, 1, 2]
    assert nms(boxes, score, None, 0.45, 10, inside_threshold=0.85).tolist() == [0, 2]
    classes = np.array([0, 1, 0])
    assert nms(boxes, score, classes, 0.45, 10, inside_threshold=0.85).tolist() == [0, 1, 2]
    # The same among so many boxes that they are looked at together.
    apart = [[300 + 20 * i, 0, 310 + 20 * i, 10] for i in range(FEW)]
    many = np.array([bus, part, behind, *apart], np.float32)
    falling = np.linspace(0.9, 0.4, len(many), dtype=np.float32)
    kept = nms(many, falling, None, 0.45, 100, inside_threshold=0.85).tolist()
    assert kept == [0, *range(2, len(many))]
    # And of so many classes that the best of each are looked at together.
    of_several = np.array([0, 0, 0, *(i % 5 for i in range(FEW))])
    kept = nms(many, falling, of_several, 0.45, 100, inside_threshold=0.85).tolist()
    assert kept == [0, *range(2, len(many))]


def test_boxes_without_area_do_not_rule_each_other_out() -> None:
    for count in (3, FEW + 1):
        flat = np.tile(np.array([5, 5, 5, 30], np.float32), (count, 1))
        score = np.linspace(0.9, 0.5, count, dtype=np.float32)
        assert nms(flat, score, None, 0.45, 100).tolist() == list(range(count))
