"""A zone knows who is in it, since when and for how long; and regions are all that is tracked."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesdk.detections import Detections
from edgesdk.vision.paths import CountingSettings, Paths
from edgesdk.vision.zone import Visit, Zone, ZoneWatch, within

SQUARE = Zone(((100, 100), (300, 100), (300, 300), (100, 300)), "yard")
SIZE = 40.0
FPS = 10.0


def boxes(*rows: tuple[int, float, float]) -> Detections:
    """Track and foot (x, y) of boxes of 40 x 40 pixels."""
    table = np.array([row[1:] for row in rows], np.float32).reshape(-1, 2)
    edges = [table[:, 0] - SIZE / 2, table[:, 1] - SIZE, table[:, 0] + SIZE / 2, table[:, 1]]
    ids = np.array([row[0] for row in rows], np.int64)
    count = len(rows)
    return Detections(
        np.stack(edges, axis=1), np.full(count, 0.9, np.float32), np.zeros(count, np.int64), ids
    )


class Watch:
    """A zone fed with frames at 10 fps."""

    def __init__(self, zone: Zone = SQUARE, settings: CountingSettings | None = None) -> None:
        self.paths = Paths(settings)
        self.zone = ZoneWatch(zone, ("car",), settings)
        self.visits: list[Visit] = []
        self.frame = 0

    def show(self, *rows: tuple[int, float, float], times: int = 1) -> Watch:
        for _ in range(times):
            seen = self.paths.update(boxes(*rows), self.frame)
            self.visits += self.zone.take(seen, self.frame / FPS, self.paths.gone)
            self.frame += 1
        return self

    @property
    def told(self) -> list[tuple[str, int, float, int]]:
        return [(v.change, v.frame_index, round(v.seconds, 6), v.occupancy) for v in self.visits]


def test_who_comes_in_and_leaves_is_told_with_the_seconds_between() -> None:
    watch = Watch().show((3, 50, 200), times=5).show((3, 200, 200), times=20)
    assert watch.zone.occupancy == 1
    assert watch.zone.seconds_inside(2.4) == {0: pytest.approx(1.9)}
    watch.show((3, 350, 200), times=2)
    assert watch.told == [("enter", 5, 0.0, 1), ("leave", 25, 2.0, 0)]
    assert {(v.zone, v.label, v.track_id) for v in watch.visits} == {("yard", "car", 3)}


def test_trembling_on_the_edge_is_no_visit_and_ends_none() -> None:
    # The band is a tenth of 40 pixels.
    outside = Watch().show((0, 90, 200))
    for i in range(50):
        outside.show((0, 100 + 3 * (-1) ** i, 200))
    assert outside.told == []
    inside = Watch().show((0, 110, 200))
    for i in range(50):
        inside.show((0, 100 + 3 * (-1) ** i, 200))
    assert inside.told == [("enter", 0, 0.0, 1)]


def test_two_are_counted_at_once_and_each_has_its_own_time() -> None:
    watch = Watch().show((0, 200, 200), times=10).show((0, 200, 200), (1, 250, 250), times=10)
    watch.show((0, 50, 200), (1, 250, 250)).show((1, 50, 250))
    assert watch.told == [
        ("enter", 0, 0.0, 1),
        ("enter", 10, 0.0, 2),
        ("leave", 20, 2.0, 1),
        ("leave", 21, 1.1, 0),
    ]


def test_who_is_hidden_inside_stays_and_who_is_lost_there_has_left_when_last_seen() -> None:
    settings = CountingSettings(forget_s=1.2)
    watch = Watch(settings=settings).show((0, 200, 200), times=10).show(times=20)
    assert watch.zone.occupancy == 1
    watch.show((0, 210, 200)).show(times=40)
    assert watch.told == [("enter", 0, 0.0, 1), ("leave", 30, 3.0, 0)]


def test_who_is_inside_at_the_end_has_left_then() -> None:
    watch = Watch().show((0, 200, 200), times=11)
    last = watch.zone.finish()
    assert [(v.change, v.seconds) for v in last] == [("leave", pytest.approx(1.0))]
    assert watch.zone.finish() == ()


def test_a_new_identity_inside_is_no_new_visit() -> None:
    watch = Watch().show((0, 200, 200), times=10).show((7, 202, 200), times=10).show((7, 50, 200))
    assert watch.told == [("enter", 0, 0.0, 1), ("leave", 20, 2.0, 0)]


def test_the_foot_or_the_centre_has_to_be_inside_as_was_chosen() -> None:
    # Foot at y = 310, centre at y = 290.
    assert Watch().show((0, 200, 310)).zone.occupancy == 0
    assert Watch(Zone(SQUARE.points, anchor="center")).show((0, 200, 310)).zone.occupancy == 1


def test_only_what_is_in_a_region_is_kept_and_without_regions_all() -> None:
    found = boxes((0, 200, 200), (1, 50, 50), (2, 620, 210))
    other = Zone(((600, 200), (640, 200), (640, 240)), "far")
    assert within(found, (SQUARE,)).track_id.tolist() == [0]
    assert within(found, (SQUARE, other)).track_id.tolist() == [0, 2]
    assert within(found, ()).track_id.tolist() == [0, 1, 2]
    assert len(within(Detections.empty(), (SQUARE,))) == 0


@pytest.mark.parametrize(
    ("points", "says"),
    [
        (((0, 0), (5, 5)), "3 points or more, found 2"),
        (((0, 0), (5, 5), (float("nan"), 0)), "finite"),
        (((0, 0), (5, 5), (9, 9)), "no area"),
    ],
)
def test_a_zone_that_is_none_is_refused(points: object, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Zone(points)  # type: ignore[arg-type]


corners = st.tuples(st.integers(0, 200), st.integers(0, 200))


@given(
    st.lists(corners, min_size=3, max_size=8, unique=True),
    st.tuples(st.integers(-20, 220), st.integers(-20, 220)),
)
def test_inside_and_how_deep_is_what_opencv_says(
    points: list[tuple[int, int]], at: tuple[int, int]
) -> None:
    # Half a pixel off the grid: on an edge itself both answers would be right.
    place = (at[0] + 0.37, at[1] + 0.53)
    try:
        zone = Zone(tuple((float(x), float(y)) for x, y in points))
    except ValueError:  # it has no area
        return
    contour = np.array(points, np.float32)
    depth = cv2.pointPolygonTest(contour, place, True)
    if abs(depth) > 1e-3:
        assert zone.depth(place) == pytest.approx(depth, abs=1e-3)
