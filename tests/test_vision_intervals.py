"""Counts by interval: none is left out, none counts twice, and the sum is all there was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesdk.vision.intervals import IntervalCounts, moment

QUARTER = 900.0


def test_each_interval_is_told_once_also_without_anything_in_it() -> None:
    counts = IntervalCounts(["in", "out"], 10.0, late_s=2.0)
    told = []
    for second in range(36):
        told += counts.frame(float(second))
        if second in (3, 4, 25):
            counts.add("in", float(second))
    told += counts.finish()
    assert [(i.start_s, i.end_s, i.counts) for i in told] == [
        (0, 10, {"in": 2, "out": 0}),
        (10, 20, {"in": 0, "out": 0}),
        (20, 30, {"in": 1, "out": 0}),
        (30, 40, {"in": 0, "out": 0}),
    ]
    assert [i.watched_s for i in told] == [10, 10, 10, 5]


def test_intervals_begin_on_the_clock_and_the_first_one_says_how_little_it_saw() -> None:
    # 2026-11-26 06:52:00 UTC.
    start_s = 1795675920.0
    counts = IntervalCounts(["in"], QUARTER)
    told = []
    for minute in range(10):
        for second in range(0, 60, 5):
            told += counts.frame(start_s + 60 * minute + second)
    assert [moment(i.start_s, wall=True) for i in told] == ["2026-11-26T06:45:00Z"]
    assert [moment(i.end_s, wall=True) for i in told] == ["2026-11-26T07:00:00Z"]
    assert told[0].watched_s == 480


def test_what_is_sure_only_after_the_end_of_its_interval_still_counts_in_it() -> None:
    counts = IntervalCounts(["in"], 10.0, late_s=5.0)
    counts.frame(0.0)
    assert counts.frame(14.0) == ()
    counts.add("in", 9.5)
    (first,) = counts.frame(15.0)
    assert first.counts == {"in": 1}
    # One that comes later still is not lost: it counts in the next.
    counts.add("in", 9.9)
    assert counts.finish()[0].counts == {"in": 1}


def test_a_camera_that_was_away_has_empty_intervals_that_nobody_watched() -> None:
    counts = IntervalCounts(["in"], 10.0, late_s=0.0)
    counts.frame(0.0)
    counts.frame(4.0)
    told = counts.frame(41.0)
    assert [(i.start_s, i.watched_s) for i in told] == [(0, 4), (10, 0), (20, 0), (30, 0)]


def test_a_clock_that_is_set_back_counts_nothing_twice() -> None:
    counts = IntervalCounts(["in"], 10.0, late_s=0.0)
    told = [*counts.frame(8.0), *counts.frame(11.0), *counts.frame(2.0)]
    counts.add("in", 2.0)
    told += [*counts.frame(12.0), *counts.frame(20.0)]
    assert [(i.start_s, i.counts["in"]) for i in told] == [(0, 0), (10, 1)]


def test_a_run_without_frames_has_no_intervals() -> None:
    assert IntervalCounts(["in"], QUARTER).finish() == ()


@pytest.mark.parametrize("length_s", [0.0, -1.0, float("nan")])
def test_an_interval_has_a_length(length_s: float) -> None:
    with pytest.raises(ValueError, match="longer than 0 s"):
        IntervalCounts(["in"], length_s)


@given(st.lists(st.floats(0.01, 40), min_size=1, max_size=60), st.data())
def test_the_sum_of_all_intervals_is_all_that_happened(
    gaps: list[float], data: st.DataObject
) -> None:
    counts, told, now_s, added = IntervalCounts(["a", "b"], 7.0), [], 0.0, 0
    for gap in gaps:
        now_s += gap
        told += counts.frame(now_s)
        for _ in range(data.draw(st.integers(0, 2))):
            counts.add(data.draw(st.sampled_from("ab")), now_s - data.draw(st.floats(0, 20)))
            added += 1
    told += counts.finish()
    assert sum(sum(i.counts.values()) for i in told) == added
    starts = [i.start_s for i in told]
    assert starts == [starts[0] + 7.0 * k for k in range(len(starts))]
    assert all(0 <= i.watched_s <= 7.0 + 1e-9 for i in told)


def test_a_files_time_is_told_from_its_beginning() -> None:
    assert moment(900.0, wall=False) == "0:15:00"
