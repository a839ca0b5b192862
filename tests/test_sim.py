"""The simulated road: what it shows, what it says is true, and that the two agree."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgesdk.errors import ConfigError, DataError, UnknownName
from edgesdk.sim import LABELS, TrafficScene, TrafficSettings, parse_uri
from edgesdk.sim.camera import Camera
from edgesdk.sim.flow import Lane

SEEDS = [0, 1, 2, 3, 4]
LIGHTS = ["day", "overcast", "dusk", "night", "varying"]


def scene(seed: int = 0, **given: object) -> TrafficScene:
    return TrafficScene(TrafficSettings(seed=seed, **given))  # type: ignore[arg-type]


def gap_below(height: float) -> int:
    """Rows of dark road between a bumper and the ground under it: shadow, so not in the box."""
    return int(0.1 * height)


def centre_y(one: TrafficScene, frame: int, vehicle: int) -> float:
    """From the truth's boxes alone."""
    truth = one.truth(frame)
    (row,) = np.flatnonzero(truth.track_id == vehicle)
    return float(truth.xyxy[row, 1] + truth.xyxy[row, 3]) / 2


def is_seen(one: TrafficScene, frame: int, vehicle: int) -> bool:
    return vehicle in one.truth(frame).track_id


# Pictures


def test_a_frame_is_a_bgr_picture_of_the_size_asked_for() -> None:
    frame = scene(width=320, height=200).frame(0)
    assert frame.shape == (200, 320, 3)
    assert frame.dtype == np.uint8


def test_the_same_seed_gives_the_same_frames() -> None:
    for index in (0, 7, 300):
        np.testing.assert_array_equal(scene(3).frame(index), scene(3).frame(index))


def test_another_seed_gives_another_road() -> None:
    roads = [scene(seed, density=0.0, noise=0.0).frame(0).astype(int) for seed in SEEDS]
    for i, one in enumerate(roads):
        for other in roads[i + 1 :]:
            assert np.abs(one - other).mean() > 3


@settings(max_examples=10, deadline=None)
@given(order=st.lists(st.integers(0, 479), min_size=1, max_size=4))
def test_frames_do_not_depend_on_the_order_they_are_asked_in(order: list[int]) -> None:
    used, fresh = scene(2, width=160, height=90), scene(2, width=160, height=90)
    for index in order:
        used.frame(index)
    np.testing.assert_array_equal(used.frame(order[0]), fresh.frame(order[0]))
    np.testing.assert_array_equal(used.truth(order[0]).xyxy, fresh.truth(order[0]).xyxy)


def test_a_longer_scene_begins_as_the_shorter_one() -> None:
    short, long = scene(1, frames=50), scene(1, frames=100_000)
    np.testing.assert_array_equal(short.frame(49), long.frame(49))
    assert short.crossings() == tuple(c for c in scene(1, frames=500).crossings() if c.frame < 50)
    assert long.frame(99_999).shape == (360, 640, 3)


def test_the_noise_has_the_strength_that_was_asked_for() -> None:
    clean, noisy = scene(1, noise=0.0), scene(1, noise=5.0)
    difference = noisy.frame(9).astype(float) - clean.frame(9)
    assert difference.std() == pytest.approx(5, rel=0.1)
    again = noisy.frame(10).astype(float) - clean.frame(10)
    assert abs(np.corrcoef(difference.ravel(), again.ravel())[0, 1]) < 0.05


def test_night_is_darker_than_dusk_and_dusk_than_day() -> None:
    day, dusk, night = (scene(light=light).frame(0).mean() for light in ("day", "dusk", "night"))
    assert night < 0.8 * dusk < 0.8 * 0.9 * day


def test_varying_light_passes_from_day_to_night() -> None:
    one = scene(light="varying", density=0.0, frames=960)
    levels = [one.frame(i).mean() for i in range(0, 960, 48)]
    assert min(levels) < 0.6 * max(levels)


# Truth


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_differs_from_the_empty_road_is_in_a_box(seed: int) -> None:
    """In overcast light, where vehicles cast no shadow beside themselves."""
    busy = scene(seed, noise=0.0, light="overcast", density=1.0)
    empty = scene(seed, noise=0.0, light="overcast", density=0.0)
    for index in (30, 200, 401):
        changed = np.abs(busy.frame(index).astype(int) - empty.frame(index)).max(axis=2) > 25
        allowed = np.zeros_like(changed)
        # Vehicles that are barely seen have no box: they touch the lower or upper edge.
        allowed[:50], allowed[-90:] = True, True
        for left, top, right, bottom in busy.truth(index).xyxy.astype(int):
            rows = slice(max(0, top - 2), bottom + 3 + gap_below(bottom - top))
            allowed[rows, max(0, left - 2) : right + 3] = True
        assert (changed & ~allowed).sum() == 0
        assert changed.any()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_box_is_tight_around_what_changed(seed: int) -> None:
    busy = scene(seed, noise=0.0, light="overcast", density=0.15)
    empty = scene(seed, noise=0.0, light="overcast", density=0.0)
    seen = 0
    for index in range(0, 480, 24):
        truth = busy.truth(index)
        if len(truth) != 1 or truth.xyxy[0, 1] < 1 or truth.xyxy[0, 3] > 359:
            continue
        changed = np.abs(busy.frame(index).astype(int) - empty.frame(index)).max(axis=2) > 8
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        left, top, right, bottom = truth.xyxy[0]
        extent = [columns[0], rows[0], columns[-1] + 1]
        np.testing.assert_allclose([left, top, right], extent, atol=2.5)
        assert bottom - 2.5 <= rows[-1] + 1 <= bottom + 2.5 + gap_below(bottom - top)
        seen += 1
    assert seen >= 1


@pytest.mark.parametrize("light", LIGHTS)
def test_boxes_lie_in_the_picture_with_score_class_and_a_unique_id(light: str) -> None:
    one = scene(5, light=light, density=1.0)
    for index in range(0, 480, 40):
        truth = one.truth(index)
        assert (truth.xyxy >= 0).all()
        assert (truth.xyxy <= [640, 360, 640, 360]).all()
        assert (truth.xyxy[:, 2:] > truth.xyxy[:, :2]).all()
        assert (truth.score == 1).all()
        assert set(truth.class_id) <= set(range(len(LABELS)))
        assert len(set(truth.track_id)) == len(truth)


def test_the_empty_road_has_no_truth() -> None:
    one = scene(density=0.0)
    assert len(one.truth(100)) == 0
    assert one.crossings() == ()


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**40), lanes=st.sampled_from([2, 4, 6]))
def test_vehicles_of_a_lane_keep_their_distance(seed: int, lanes: int) -> None:
    asked = TrafficSettings(seed=seed, lanes=lanes, density=1.0)
    camera = Camera.of(asked)
    for lane in (Lane(asked, camera, i) for i in range(lanes)):
        for time_s in np.arange(0, 60, 1.7):
            row = sorted(
                (vehicle.v_m(time_s), vehicle.mesh.length_m) for vehicle in lane.at(time_s)
            )
            for (v, length), (next_v, next_length) in itertools.pairwise(row):
                assert next_v - v > (length + next_length) / 2 + 2


@pytest.mark.parametrize("seed", SEEDS)
def test_a_vehicle_keeps_its_class_and_moves_one_way(seed: int) -> None:
    one = scene(seed, frames=240)
    seen: dict[int, list[tuple[int, float]]] = {}
    for index in range(240):
        truth = one.truth(index)
        for row, vehicle in enumerate(truth.track_id):
            place = (int(truth.class_id[row]), float(truth.centers[row, 1]))
            seen.setdefault(int(vehicle), []).append(place)
    assert len(seen) > 5
    for path in seen.values():
        assert len({class_id for class_id, _ in path}) == 1
        steps = np.diff([y for _, y in path])
        assert (steps > 0).all() or (steps < 0).all()


# Crossings


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**40), lanes=st.sampled_from([2, 4, 6]), density=st.floats(0.2, 1))
@example(seed=13831, lanes=6, density=1.0)
def test_every_crossing_is_seen_in_the_boxes(seed: int, lanes: int, density: float) -> None:
    one = scene(seed, lanes=lanes, density=density)
    (_, line_y), _ = one.line
    crossings = one.crossings()
    # On a full road of six lanes a bus may hide a motorcycle just as it crosses.
    seen = [c for c in crossings if is_seen(one, c.frame - 1, c.vehicle)]
    seen = [c for c in seen if is_seen(one, c.frame, c.vehicle)]
    assert len(crossings) - len(seen) <= max(1, 0.1 * len(crossings))
    for crossing in seen:
        before = centre_y(one, crossing.frame - 1, crossing.vehicle)
        after = centre_y(one, crossing.frame, crossing.vehicle)
        if crossing.direction == "down":
            assert before < line_y <= after
        else:
            assert after < line_y <= before


@pytest.mark.parametrize("seed", SEEDS)
def test_no_crossing_is_missed(seed: int) -> None:
    """Counted again from the boxes of each frame, without .crossings()."""
    one = scene(seed)
    (_, line_y), _ = one.line
    below: dict[int, bool] = {}
    counted: list[tuple[int, int, int, str]] = []
    for index in range(one.settings.frames):
        truth = one.truth(index)
        for row, vehicle in enumerate(truth.track_id):
            is_below = bool(truth.centers[row, 1] >= line_y)
            if below.get(int(vehicle), is_below) != is_below:
                way = "down" if is_below else "up"
                counted.append((index, int(vehicle), int(truth.class_id[row]), way))
            below[int(vehicle)] = is_below
    told = [(c.frame, c.vehicle, c.class_id, c.direction) for c in one.crossings()]
    assert sorted(told) == sorted(counted)
    assert len(told) > 10


def test_over_many_scenes_all_kinds_cross_in_both_directions() -> None:
    every = [c for seed in range(20) for c in scene(seed, width=128, height=72).crossings()]
    kinds = Counter(LABELS[c.class_id] for c in every)
    assert kinds.most_common(1)[0][0] == "car"
    assert all(kinds[label] > 0.03 * len(every) for label in LABELS)
    ways = Counter(c.direction for c in every)
    assert 0.5 < ways["down"] / ways["up"] < 2


def test_more_density_brings_more_vehicles() -> None:
    few, many = (len(scene(1, density=density).crossings()) for density in (0.2, 1.0))
    assert 0 < 2 * few < many


# What is asked for


def test_a_uri_names_settings() -> None:
    uri = "sim://traffic?seed=3&frames=600&light=night&density=1&noise=2.5"
    expected = TrafficSettings(seed=3, frames=600, light="night", density=1.0, noise=2.5)
    assert parse_uri(uri) == expected
    assert parse_uri("sim://traffic") == TrafficSettings()


@given(st.integers(0, 2**63 - 1), st.integers(64, 4096), st.floats(0, 1), st.sampled_from(LIGHTS))
def test_any_settings_survive_being_written_as_a_uri(
    seed: int, width: int, density: float, light: str
) -> None:
    uri = f"sim://traffic?seed={seed}&width={width}&height=64&density={density!r}&light={light}"
    found = parse_uri(uri)
    assert (found.seed, found.width, found.density, found.light) == (seed, width, density, light)


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("sim://traffic?sede=3", ["sede", "'seed'"]),
        ("sim://traffic?light=noon", ["light", "'night'", "'noon'"]),
        ("sim://traffic?frames=many", ["frames", "an integer", "many"]),
        ("sim://traffic?frames=1.5", ["frames", "an integer"]),
        ("sim://traffic?frames=0", ["frames", "from 1"]),
        ("sim://traffic?density=nan", ["density", "nan"]),
        ("sim://traffic?seed=-1", ["seed", "from 0"]),
        ("sim://traffic?lanes=3", ["lanes", "2, 4 or 6"]),
        ("sim://traffic?height=700", ["height", "640"]),
        ("sim://traffic?seed", ["seed=3"]),
        ("sim://traffic?seed=", ["seed", "an integer"]),
        ("sim://traffic?seed=1&seed=2", ["twice"]),
        ("rtsp://traffic", ["no simulation", "sim://traffic"]),
    ],
)
def test_a_wrong_uri_is_refused_with_what_would_be_right(uri: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_uri(uri)
    for word in words:
        assert word in str(caught.value)


def test_another_scene_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownName, match="traffic"):
        parse_uri("sim://trafic?seed=1")


@pytest.mark.parametrize("index", [-1, 480])
def test_a_frame_outside_the_scene_is_refused(index: int) -> None:
    for ask in (scene().frame, scene().truth):
        with pytest.raises(DataError, match="0 to 479"):
            ask(index)
