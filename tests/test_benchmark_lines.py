"""The instruments of the table of lines: the truth by hand, the comparison, and the harms."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from benchmarks.crossings import Passed
from benchmarks.lines.cases import Case, Tally, TrueLine, compare, level, true_line
from benchmarks.lines.clips import _road_line
from benchmarks.lines.counters import edgesdk
from benchmarks.lines.harms import HARMS, harmed, skipping, slow
from edgesdk.detections import Detections

FRONT_AT_THE_LINE = (15, 70, 122, 172, 232, 411, 470, 705)
"""Noted by others: the frames in which a vehicle's front reaches y = 220 on the road clip."""


def walker(frame: int) -> Detections:
    """A box of 20 x 40 that goes down by 4 px a frame from y = 100."""
    y = 100.0 + 4 * frame
    box = np.array([[90, y - 20, 110, y + 20]], np.float32)
    return Detections(box, np.ones(1, np.float32), np.zeros(1, np.int64), np.array([7]))


WALK = [walker(i) for i in range(60)]
LINE = true_line(*level(200), WALK)


@pytest.mark.parametrize("y", [180, 200, 220, 240, 260])
def test_eight_vehicles_come_down_the_road_at_every_line(y: int) -> None:
    line = _road_line(*level(y))
    assert Counter(passed.forward for passed in line.sure) == {True: 8}
    assert line.possible == ()


def test_they_pass_when_others_have_noted_it() -> None:
    found = sorted(passed.frame for passed in _road_line(*level(220)).sure)
    late = np.subtract(found, FRONT_AT_THE_LINE)
    assert ((late >= 0) & (late <= 24)).all(), found


def test_at_the_top_the_first_is_past_already_and_one_that_waited_leaves_upwards() -> None:
    line = _road_line(*level(140))
    assert Counter(passed.forward for passed in line.sure) == {True: 7}
    assert [passed.forward for passed in line.possible] == [False]


def test_just_below_its_first_place_the_first_may_be_counted() -> None:
    line = _road_line(*level(160))
    assert (len(line.sure), len(line.possible)) == (7, 1)


def test_two_parts_of_a_line_are_passed_once_together() -> None:
    line = _road_line("two", (((0, 240), (320, 200)), ((320, 200), (640, 240))))
    assert len(line.sure) == 8


def case(*frames: Detections) -> Case:
    return Case("walk", "walk", 10.0, tuple(enumerate(frames)), (LINE,))


def test_missed_and_extra_do_not_cancel() -> None:
    (true,) = LINE.sure
    assert (true.frame, true.forward, true.y_px) == (26, True, 200)
    wrong = Passed(true.frame, False, true.x_px, true.y_px)
    assert compare(case(), LINE, [wrong]) == (Tally(1, 1, 1), [wrong])
    assert compare(case(), LINE, [true, true])[0] == Tally(1, 0, 1)
    assert compare(case(), LINE, [true])[0] == Tally(1, 0, 0)


def test_who_turns_round_on_the_line_may_be_counted_there_and_back() -> None:
    turned = true_line(*level(200), [*WALK[:27], *WALK[:26][::-1]])
    assert turned.sure == ()
    assert {passed.forward for passed in turned.possible} == {True, False}
    assert compare(case(), turned, [])[0] == Tally(0, 0, 0)
    assert compare(case(), turned, turned.possible[:1])[0] == Tally(0, 0, 0)


def test_a_line_that_is_possible_only_forgives_no_second_count() -> None:
    there = Passed(20, True, 100, 200)
    line = TrueLine("line", LINE.parts, (), (there,))
    assert compare(case(), line, [there, there])[0] == Tally(0, 0, 1)


def test_a_slower_camera_sees_the_same_crossing_at_its_own_rate() -> None:
    fast = case(*WALK)
    for every in (2, 3):
        slower = slow(fast, every)
        assert slower.fps == pytest.approx(10 / every)
        assert slower.lines[0].sure[0].frame == 26 // every
        assert compare(slower, slower.lines[0], edgesdk(slower)[0])[0] == Tally(1, 0, 0)
        dropped = skipping(fast, every)
        assert [index for index, _ in dropped.frames] == list(range(0, 60, every))
        assert compare(dropped, LINE, edgesdk(dropped)[0])[0] == Tally(1, 0, 0)


def test_harm_takes_the_share_of_boxes_that_it_says_and_the_true_identities() -> None:
    cases = {each.name: each for each in harmed("walk", WALK * 20, 10.0, ())}
    assert {name.split(", draw")[0] for name in cases if "draw" in name} == set(HARMS)
    seen = sum(len(found) for _, found in cases["20 % lost, draw 1, walk"].frames)
    assert seen == pytest.approx(0.8 * 1200, rel=0.05)
    frames = cases["5 px off, draw 1, walk"].frames
    off = [found.xyxy - WALK[i % 60].xyxy for i, found in frames]
    assert np.std(np.concatenate(off)) == pytest.approx(5, rel=0.1)
    assert all((found.track_id == -1).all() for _, found in frames)
