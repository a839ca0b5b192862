"""An object keeps its identity for as long as it is about, and nobody else gets it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesdk.detections import Detections
from edgesdk.errors import UsageError
from edgesdk.vision.association import fit
from edgesdk.vision.motion import Motion, MotionSettings, measure
from edgesdk.vision.tracker import Tracker, TrackerSettings

Row = tuple[float, float, float, float]
"""Centre x, y, size in pixels, score."""


def seen(rows: Iterable[Row], classes: list[int] | None = None) -> Detections:
    table = np.array(list(rows), np.float32).reshape(-1, 4)
    half = table[:, 2:3] / 2
    return Detections(
        np.concatenate([table[:, :2] - half, table[:, :2] + half], axis=1),
        table[:, 3],
        np.array(classes or [0] * len(table), np.int64),
    )


def follow(tracker: Tracker, frames: Iterable[Iterable[Row]]) -> list[list[int]]:
    return [tracker.update(seen(rows)).track_id.tolist() for rows in frames]


def test_a_thing_that_moves_steadily_is_one_thing_from_its_third_sighting_on() -> None:
    ids = follow(Tracker(), [[(100 + 6 * i, 50, 40, 0.9)] for i in range(20)])
    assert ids == [[-1], [-1], *[[0]] * 18]


def test_a_track_that_is_confirmed_brings_the_sightings_it_had_before() -> None:
    tracker = Tracker()
    for i in (3, 4):
        tracker.update(seen([(100 + 9 * i, 50, 40, 0.9), (5, 5, 9, 0.1)], classes=[i, 0]), i)
        assert tracker.confirmed_now == ()
    tracker.update(seen([(400, 50, 40, 0.9), (100 + 9 * 5, 50, 40, 0.9)]), 5)
    (one,) = tracker.confirmed_now
    assert (one.track_id, one.frames, one.class_ids.tolist()) == (0, (3, 4), [3, 4])
    assert one.boxes.tolist() == [[107, 30, 147, 70], [116, 30, 156, 70]]
    tracker.update(seen([(100 + 9 * 6, 50, 40, 0.9)]), 6)
    assert tracker.confirmed_now == ()


def test_a_track_that_needs_one_sighting_only_has_none_before_it() -> None:
    tracker = Tracker(TrackerSettings(min_hits=1))
    tracker.update(seen([(100, 50, 40, 0.9)]))
    (one,) = tracker.confirmed_now
    assert (one.frames, one.boxes.shape, one.class_ids.shape) == ((), (0, 4), (0,))


def test_the_first_sightings_of_a_track_are_brought_though_it_is_confirmed_in_doubt() -> None:
    tracker = Tracker(fps=10)
    follow(tracker, [[(100, 100, 60, 0.9)]] * 3)
    follow(tracker, [[(100, 100, 60, 0.9), (112, 100, 60, 0.9)]] * 2)
    assert follow(tracker, [[(112, 100, 60, 0.9)]]) == [[-1]]
    assert [(each.track_id, each.frames) for each in tracker.confirmed_now] == [(1, (3, 4))]
    assert follow(tracker, [[(100, 100, 60, 0.9), (112, 100, 60, 0.9)]]) == [[0, 1]]


def test_a_flash_of_two_frames_is_nothing() -> None:
    tracker = Tracker()
    ids = follow(tracker, [[(9, 9, 20, 0.9)]] * 2 + [[]] * 3 + [[(9, 9, 20, 0.9)]] * 2)
    assert {i for frame in ids for i in frame} == {-1}
    follow(tracker, [[]] * 3)
    assert tracker.live == 0


@pytest.mark.parametrize("missed", [{1}, {2}, {1, 2}, {1, 3, 4}])
def test_a_new_thing_is_one_thing_though_the_detector_misses_it_now_and_then(
    missed: set[int],
) -> None:
    tracker = Tracker()
    for i in range(8):
        places = [] if i in missed else [(100 + 9.0 * i, 50, 40, 0.9)]
        last = tracker.update(seen(places), i)
        if tracker.confirmed_now:
            (one,) = tracker.confirmed_now
    assert last.track_id.tolist() == [0]
    assert one.frames == tuple(i for i in range(8) if i not in missed)[:2]


def test_what_comes_towards_the_camera_is_followed_as_it_gains_speed() -> None:
    # A motorcycle of a simulated road at four frames a second.
    boxes = [
        (289, 7, 306, 47), (286, 31, 303, 73), (283, 58, 303, 103), (280, 90, 300, 138),
        (277, 127, 298, 179), (272, 172, 295, 228), (268, 226, 294, 288), (262, 293, 290, 360),
    ]  # fmt: skip
    tracker = Tracker(fps=4)
    one, zero = np.full(1, 0.9, np.float32), np.zeros(1, np.int64)
    for box in boxes:
        found = tracker.update(Detections(np.array([box], np.float32), one, zero))
    assert found.track_id.tolist() == [0]


def test_a_part_that_is_seen_beside_the_whole_does_not_take_over_from_it() -> None:
    # The front of a lorry is a box of its own for two frames; then there is one box again, which
    # fits the front better than the whole.
    whole, front = (200.0, 100.0, 100.0, 0.8), (225.0, 112.0, 70.0, 0.8)
    tracker = Tracker()
    follow(tracker, [[whole]] * 10)
    follow(tracker, [[whole, front]] * 2)
    assert follow(tracker, [[(216.0, 108.0, 84.0, 0.8)]] * 3)[-1] == [0]


def test_a_part_that_is_a_box_of_its_own_now_and_then_is_no_second_thing() -> None:
    # The roof of a lorry, in every second frame: a newcomer would be given that patience, but it
    # overlaps what is known.
    lorry, roof, newcomer = (200.0, 100.0, 100.0, 0.8), (200.0, 40.0, 50.0, 0.8), (500, 40, 50, 0.8)
    tracker = Tracker()
    follow(tracker, [[lorry]] * 10)
    ids = follow(tracker, [[lorry, roof, newcomer], [lorry]] * 6)
    assert ids[-2:] == [[0, -1, 1], [0]]


def test_a_lorry_that_is_torn_into_two_boxes_at_the_edge_stays_one() -> None:
    # YOLOX-nano on road_8_vehicles.mp4, frames 184 to 196, in pixels.
    boxes = [
        [(275, 153, 483, 290)], [(282, 155, 501, 298)], [(283, 159, 515, 308)],
        [(290, 160, 535, 320)], [(296, 163, 552, 330)], [(312, 161, 567, 342)],
        [(313, 170, 596, 351)], [(314, 177, 612, 352)], [(347, 186, 635, 351)],
        [(336, 188, 636, 351)],
        [(435, 197, 640, 352), (340, 197, 462, 300)],
        [(457, 206, 639, 352), (352, 198, 477, 319)],
        [(469, 206, 640, 351), (367, 206, 504, 328)],
    ]  # fmt: skip
    tracker = Tracker(fps=24)
    for frame in boxes:
        score, kind = np.full(len(frame), 0.8, np.float32), np.zeros(len(frame), np.int64)
        found = tracker.update(Detections(np.array(frame, np.float32), score, kind))
    assert found.track_id.tolist() == [0, -1]
    assert tracker.live == 1


def test_two_that_walked_in_one_box_become_two_a_moment_later() -> None:
    tracker = Tracker(fps=10)
    one, zero = np.full(2, 0.8, np.float32), np.zeros(2, np.int64)
    for i in range(10):
        box = np.array([[100 + 4 * i, 50, 180 + 4 * i, 150]], np.float32)
        tracker.update(Detections(box, one[:1], zero[:1]))
    for i in range(10, 20):
        pair = [[100 + 4 * i, 50, 138 + 4 * i, 150], [142 + 4 * i, 50, 180 + 4 * i, 150]]
        found = tracker.update(Detections(np.array(pair, np.float32), one, zero))
    assert (found.track_id >= 0).all()


def test_two_that_pass_each_other_keep_their_identities() -> None:
    tracker = Tracker()
    ids = follow(
        tracker, [[(50 + 8 * i, 100, 40, 0.9), (450 - 8 * i, 112, 40, 0.9)] for i in range(50)]
    )
    assert ids[3:] == [[0, 1]] * 47


@pytest.mark.parametrize(("hidden", "same"), [(5, True), (25, True), (40, False)])
def test_what_was_hidden_for_less_than_lost_s_comes_back_as_itself(hidden: int, same: bool) -> None:
    tracker = Tracker(TrackerSettings(lost_s=1.2), fps=25)
    path = [[(100 + 3 * i, 80, 50, 0.8)] for i in range(100)]
    before = follow(tracker, path[:20])
    follow(tracker, [[]] * hidden)
    after = follow(tracker, path[20 + hidden :])
    assert before[-1] == [0]
    assert after[-1] == ([0] if same else [1])


@pytest.mark.parametrize("fps", [5, 10, 50])
def test_a_slow_camera_and_a_fast_one_wait_as_long_for_who_is_hidden(fps: int) -> None:
    settings = TrackerSettings(lost_s=1.2)
    for hidden_s, same in ((1.0, True), (1.6, False)):
        tracker = Tracker(settings, fps)
        path = [[(100 + 50 * i / fps, 80.0, 50.0, 0.8)] for i in range(8 * fps)]
        follow(tracker, path[: 2 * fps])
        follow(tracker, [[]] * round(hidden_s * fps))
        after = follow(tracker, path[2 * fps + round(hidden_s * fps) :])
        assert after[-1] == ([0] if same else [1])


@pytest.mark.parametrize("step", [0.5, 1.0, 1.4])
def test_what_is_small_and_fast_is_followed_though_it_never_overlaps_itself(step: float) -> None:
    path = [[(50 + 10 * step * i, 40.0, 10.0, 0.9)] for i in range(15)]
    assert follow(Tracker(), path)[2:] == [[0]] * 13


def test_a_leap_that_its_motion_does_not_allow_is_another_thing() -> None:
    path = [[(50.0 + i, 40.0, 20.0, 0.9)] for i in range(10)]
    leap = [[(160.0 + i, 140.0, 20.0, 0.9)] for i in range(5)]
    assert follow(Tracker(), path + leap)[-1] == [1]


def test_dropped_frames_are_allowed_for_when_their_number_is_given() -> None:
    tracker = Tracker()
    position = {i: [(30 + 9.0 * i, 60.0, 30.0, 0.9)] for i in range(60)}
    for i in range(10):
        tracker.update(seen(position[i]), i)
    for i in (14, 18, 22, 30):
        assert tracker.update(seen(position[i]), i).track_id.tolist() == [0]


def test_an_unsure_sighting_prolongs_a_track_but_starts_none() -> None:
    tracker = Tracker()
    sure, unsure = [(60.0, 60.0, 40.0, 0.8)], [(61.0, 60.0, 40.0, 0.15)]
    follow(tracker, [sure] * 4)
    assert follow(tracker, [unsure] * 40)[-1] == [0]
    assert follow(Tracker(), [unsure] * 40) == [[-1]] * 40


def test_one_vehicle_under_two_names_is_one_track() -> None:
    tracker = Tracker()
    for i in range(12):
        # Which of the two names is the stronger one changes from frame to frame.
        car, truck = (0.8, 0.5) if i % 2 else (0.5, 0.8)
        both = seen([(80 + i, 80, 60, car), (81 + i, 80, 61, truck)], classes=[2, 7])
        ids = tracker.update(both).track_id.tolist()
    assert sorted(ids) == [-1, 0]
    assert tracker.live == 1


def test_two_people_of_one_class_close_together_are_two() -> None:
    ids = follow(Tracker(), [[(80, 80, 60, 0.8), (88, 80, 60, 0.8)]] * 5)
    assert ids[-1] == [0, 1]


def test_one_box_for_two_who_meet_is_nobodys_until_it_is_clear_whose() -> None:
    tracker = Tracker(fps=10)
    apart = [[(100 + 8 * i, 100, 60, 0.9), (260 - 8 * i, 104, 60, 0.9)] for i in range(10)]
    assert follow(tracker, apart)[-1] == [0, 1]
    # Both are in the middle now, and the detector gives one box for the two.
    assert follow(tracker, [[(181, 102, 60, 0.9)]]) == [[-1]]
    after = [[(100 + 8 * i, 100, 60, 0.9), (260 - 8 * i, 104, 60, 0.9)] for i in range(11, 20)]
    assert follow(tracker, after)[-1] == [0, 1]


def test_who_is_gone_for_longer_than_the_doubt_lasts_leaves_the_other_his_name() -> None:
    tracker = Tracker(fps=10)
    together = [[(100 + i, 100, 60, 0.9), (108 + i, 102, 60, 0.9)] for i in range(9)]
    follow(tracker, together)
    alone = follow(tracker, [[(100 + i, 100, 60, 0.9)] for i in range(9, 20)])
    assert alone[:5] == [[-1]] * 5
    assert alone[5:] == [[0]] * 6


def test_without_doubt_every_sighting_has_a_name() -> None:
    tracker = Tracker(TrackerSettings(doubt_fit=0), fps=10)
    follow(tracker, [[(100 + i, 100, 60, 0.9), (108 + i, 102, 60, 0.9)] for i in range(9)])
    assert follow(tracker, [[(109, 100, 60, 0.9)]]) == [[0]]


@pytest.mark.parametrize("fps", [8.0, 25.0, 60.0])
def test_the_same_walk_is_one_track_at_any_frame_rate(fps: float) -> None:
    """Two box widths a second, stopping for a second and turning back."""
    seconds = np.arange(0, 9, 1 / fps)
    x = 100 + 80 * np.interp(seconds, [0, 4, 5, 9], [0, 4, 4, 0])
    ids = follow(Tracker(fps=fps), [[(each, 90, 40, 0.9)] for each in x.tolist()])
    assert ids[2:] == [[0]] * (len(x) - 2)


def test_a_weak_sign_does_not_bring_back_what_was_gone_for_longer_than_it_is_recent() -> None:
    sure, unsure = [(60.0, 60.0, 40.0, 0.8)], [(61.0, 60.0, 40.0, 0.2)]
    for unseen, found in ((3, [0]), (9, [-1])):
        tracker = Tracker(TrackerSettings(recent_s=0.5), fps=10)
        follow(tracker, [[*sure]] * 5 + [[]] * unseen)
        assert follow(tracker, [unsure])[-1] == found


def test_frames_must_go_forward() -> None:
    tracker = Tracker()
    tracker.update(Detections.empty(), 7)
    with pytest.raises(UsageError, match="frame 7 after frame 7"):
        tracker.update(Detections.empty(), 7)


@pytest.mark.parametrize("wrong", [{"min_hits": 0}, {"lost_s": -1.0}, {"unconfirmed_misses": -1}])
def test_impossible_settings_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TrackerSettings(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("fps", [0.0, -25.0, float("nan"), float("inf")])
def test_a_frame_rate_that_is_none_is_refused(fps: float) -> None:
    with pytest.raises(UsageError, match="frames a second"):
        Tracker(fps=fps)


rows = st.lists(
    st.tuples(
        st.integers(0, 300).map(float),
        st.integers(0, 200).map(float),
        st.integers(8, 64).map(float),
        st.integers(1, 10).map(lambda tenths: tenths / 10),
    ),
    max_size=6,
)
videos = st.lists(rows, max_size=12)


@given(videos)
@settings(deadline=None)
def test_whatever_comes_detections_stay_and_ids_are_never_shared_or_used_again(
    frames: list[list[Row]],
) -> None:
    tracker, other, named = Tracker(), Tracker(), 0
    for number, frame in enumerate(frames):
        given_boxes = seen(frame)
        out = tracker.update(given_boxes)
        ids = [i for i in out.track_id.tolist() if i >= 0]
        assert np.array_equal(out.xyxy, given_boxes.xyxy)
        assert np.array_equal(out.score, given_boxes.score)
        assert len(set(ids)) == len(ids)
        fresh = [each.track_id for each in tracker.confirmed_now]
        assert fresh == list(range(named, named + len(fresh)))
        named += len(fresh)
        assert all(i < named for i in ids)
        assert out.track_id.tolist() == other.update(given_boxes, number).track_id.tolist()
    for _ in range(38):
        tracker.update(Detections.empty())
    assert tracker.live == 0
    again = [tracker.update(seen([(50.0, 50.0, 30.0, 0.9)])).track_id[0] for _ in range(3)]
    assert again[-1] == named


@given(videos)
@settings(deadline=None)
def test_a_picture_of_twice_the_size_has_the_same_tracks(frames: list[list[Row]]) -> None:
    # Doubling is exact in floating point, so even ties fall alike.
    doubled = [[(2 * x, 2 * y, 2 * size, score) for x, y, size, score in f] for f in frames]
    assert follow(Tracker(), frames) == follow(Tracker(), doubled)


@given(
    st.lists(st.tuples(st.integers(-40, 40), st.integers(1, 30)), min_size=1, max_size=12),
    st.floats(0.01, 0.2),
    st.floats(0.05, 1.0),
    st.floats(0.1, 10.0),
    st.floats(0.5, 5.0),
)
def test_motion_is_what_a_textbook_kalman_filter_estimates(
    moves: list[tuple[int, int]], measured: float, acceleration: float, first: float, brisk: float
) -> None:
    size = 40.0
    box = np.array([[80.0, 80.0, 120.0, 120.0]], np.float32)
    motion = Motion(MotionSettings(measured, acceleration, brisk, first))
    motion.begin(measure(box))
    # The same in matrices, in pixels, for one axis: x' = F x, P' = F P F^T + Q, ...
    state = np.array([100.0, 0.0])
    covariance = np.diag([(measured * size) ** 2, (first * size) ** 2])
    observe, noise = np.array([[1.0, 0.0]]), (measured * size) ** 2
    for move, twenty_fifths in moves:
        t = twenty_fifths / 25
        transition = np.array([[1.0, t], [0.0, 1.0]])
        grown = np.array([[t**3 / 3, t**2 / 2], [t**2 / 2, t]])
        # Both axes move alike, so the speed is sqrt(2) times that of one.
        faster = max(np.sqrt(2) * abs(state[1]) / size / brisk, 1.0)
        noise_px = acceleration * size * faster
        state = transition @ state
        covariance = transition @ covariance @ transition.T + grown * noise_px**2
        motion.predict(t)
        gain = covariance @ observe.T / (observe @ covariance @ observe.T + noise)
        state = state + gain[:, 0] * (100 + move - state[0])
        covariance = (np.eye(2) - gain @ observe) @ covariance
        motion.correct(np.array([0]), measure(box + np.float32(move)))
    assert motion.center[:, 0] == pytest.approx([state[0]] * 2, abs=1e-6)
    assert motion.velocity[:, 0] == pytest.approx([state[1]] * 2, abs=1e-5)
    assert motion.covariance[:, 0] * size**2 == pytest.approx(
        [covariance[0, 0], covariance[0, 1], covariance[1, 1]], rel=1e-6, abs=1e-7
    )


@given(st.integers(1, 40))
def test_many_small_steps_of_time_are_one_great_step(steps: int) -> None:
    once, often = Motion(MotionSettings()), Motion(MotionSettings())
    for motion in (once, often):
        motion.begin(measure(np.array([[10.0, 20.0, 50.0, 90.0]], np.float32)))
        motion.predict(0.1)
        motion.correct(np.array([0]), measure(np.array([[13.0, 21.0, 53.0, 91.0]], np.float32)))
    once.predict(steps / 25)
    for _ in range(steps):
        often.predict(1 / 25)
    assert often.placed == pytest.approx(once.placed)
    assert often.covariance == pytest.approx(once.covariance)


boxes = st.tuples(*[st.integers(0, 60)] * 2, *[st.integers(1, 40)] * 2)


@given(boxes, boxes)
def test_the_fit_is_the_share_of_pixels_times_the_share_of_rows(
    a: tuple[int, int, int, int], b: tuple[int, int, int, int]
) -> None:
    pictures = np.zeros((2, 100, 100), np.bool_)
    for picture, (x, y, w, h) in zip(pictures, (a, b), strict=True):
        picture[y : y + h, x : x + w] = True
    shared = (pictures[0] & pictures[1]).sum() / (pictures[0] | pictures[1]).sum()
    in_rows = pictures.any(axis=2)
    rows_shared = (in_rows[0] & in_rows[1]).sum() / (in_rows[0] | in_rows[1]).sum()
    corners = np.array([(x, y, x + w, y + h) for x, y, w, h in (a, b)], np.float32)
    found = fit(measure(corners[:1]), measure(corners[1:]))
    assert found == pytest.approx(np.array([[shared * rows_shared]]), abs=1e-9)
