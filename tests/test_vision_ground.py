"""From pixels to metres and km/h: against OpenCV, and against a road whose speeds are known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edgesdk.sim import TrafficScene, TrafficSettings
from edgesdk.sim.camera import Camera
from edgesdk.vision.ground import Corners, Ground, SpeedGauge, SpeedSettings, measure
from edgesdk.vision.paths import Paths

PICTURE: Corners = ((290, 120), (370, 120), (560, 340), (180, 340))
METRES: Corners = ((0, 40), (7, 40), (7, 0), (0, 0))


def test_the_four_points_are_where_they_were_said_to_be() -> None:
    ground = Ground(PICTURE, METRES)
    for pixel, metres in zip(PICTURE, METRES, strict=True):
        assert ground.to_metres(pixel) == pytest.approx(metres, abs=1e-6)


@given(
    st.lists(st.tuples(*[st.floats(-30, 30)] * 2), min_size=4, max_size=4),
    st.tuples(st.floats(180, 560), st.floats(120, 340)),
)
def test_any_point_is_where_opencv_has_it(
    offsets: list[tuple[float, float]], at: tuple[float, float]
) -> None:
    moved = tuple((x + dx, y + dy) for (x, y), (dx, dy) in zip(PICTURE, offsets, strict=True))
    corners = np.array(moved, np.float32)
    assume(cv2.isContourConvex(corners) and abs(cv2.contourArea(corners)) > 2000)
    matrix = cv2.getPerspectiveTransform(corners, np.array(METRES, np.float32))
    right = cv2.perspectiveTransform(np.array([[at]], np.float64), matrix)[0, 0]
    assume(np.abs(right).max() < 100)
    found = Ground(moved, METRES).to_metres(at)  # type: ignore[arg-type]
    if found is not None:
        assert found == pytest.approx(right.tolist(), rel=1e-2, abs=0.05)


def test_there_is_no_ground_at_the_horizon_and_above_it() -> None:
    # The sides of the road meet at (319.3, 61.3).
    ground = Ground(PICTURE, METRES)
    assert ground.to_metres((320, 64)) is not None
    assert ground.to_metres((320, 61)) is None
    assert ground.to_metres((320, 20)) is None


@pytest.mark.parametrize(
    ("picture", "metres", "says"),
    [
        (((0, 0), (10, 10), (20, 20), (0, 5)), METRES, "picture: three of the four"),
        (PICTURE, ((0, 0), (0, 0), (5, 5), (0, 5)), "metres: three of the four"),
        (PICTURE, ((0, 0), (0, float("inf")), (5, 5), (0, 5)), "finite"),
    ],
)
def test_points_that_say_nothing_are_refused(picture: Corners, metres: Corners, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Ground(picture, metres)


def drive(
    kmh: float, seconds: float, noise_m: float = 0.0, seed: int = 0
) -> list[tuple[float, float, float]]:
    chance = np.random.default_rng(seed)
    times = np.arange(0, seconds + 1e-9, 0.04)
    way = np.stack([0.6 * times, 0.8 * times], axis=1) * kmh / 3.6
    way += chance.normal(0, noise_m, way.shape)
    return [(float(t), float(x), float(y)) for t, (x, y) in zip(times, way, strict=True)]


def test_a_steady_drive_has_its_speed_and_no_error() -> None:
    speed = measure(drive(50, 1.5))
    assert speed is not None
    assert (speed.kmh, speed.error_kmh) == pytest.approx((50, 0), abs=1e-6)


def test_one_bad_box_moves_the_speed_little() -> None:
    places = drive(50, 1.5)
    places[20] = (places[20][0], places[20][1] + 8, places[20][2])
    speed = measure(places, SpeedSettings(most_error=1))
    assert speed is not None
    assert speed.kmh == pytest.approx(50, rel=0.03)


@pytest.mark.parametrize("noise_m", [0.1, 0.2, 0.3])
def test_the_error_that_is_told_covers_most_of_what_trembling_does(noise_m: float) -> None:
    speeds = [measure(drive(50, 1.5, noise_m, seed), SpeedSettings()) for seed in range(100)]
    sure = [speed for speed in speeds if speed is not None]
    off = np.array([abs(speed.kmh - 50) for speed in sure])
    told = np.array([speed.error_kmh for speed in sure])
    assert len(sure) > 90
    # Twice a standard error covers 95 % of a mean; the median pays for its robustness.
    assert (off <= 1.6 * told).mean() > 0.9


@pytest.mark.parametrize(
    "places",
    [
        [],
        drive(50, 0.08),
        drive(50, 0.3),
        drive(3, 1.5),
        drive(0, 1.5, 0.3),
        drive(10, 1.5, 2.0),
    ],
    ids=["none", "three boxes", "too short a time", "too short a way", "parked", "unsure"],
)
def test_no_speed_is_told_where_it_is_not_sure(places: list[tuple[float, float, float]]) -> None:
    assert measure(places) is None


@pytest.mark.parametrize("seed", [1, 5])
def test_speeds_on_a_simulated_road_are_those_that_were_driven(seed: int) -> None:
    settings = TrafficSettings(seed=seed, frames=240)
    scene, camera = TrafficScene(settings), Camera.of(settings)
    far, near = 0.8 * camera.far_m, 1.2 * camera.near_m
    metres: Corners = ((-3.5, far), (3.5, far), (3.5, near), (-3.5, near))
    on_road = camera.project(np.array([[x, v, 0.0] for x, v in metres]))
    ground = Ground(tuple(map(tuple, on_road.tolist())), metres)  # type: ignore[arg-type]
    driven = {v.id: 3.6 * v.speed_m_s for v in scene._vehicles(5.0)}
    paths, gauge = Paths(), SpeedGauge(ground, (640, 360))
    told: dict[int, float] = {}
    for i in range(90, 150):
        seen = paths.update(scene.truth(i), i)
        gauge.take(seen, i / settings.fps, paths.gone)
        for each in seen:
            speed = gauge.speed(each.path)
            if speed is not None and each.track_id in driven:
                told[each.track_id] = speed.kmh
    assert len(told) >= 4
    for vehicle, kmh in told.items():
        assert kmh == pytest.approx(driven[vehicle], rel=0.04)
