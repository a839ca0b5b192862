"""Parts on a belt: each is found, followed and due once, whatever the belt, light and camera do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesdk.errors import UsageError
from edgesdk.inspection import PartFinder, PartSettings
from edgesdk.inspection.belt import Belt
from edgesdk.inspection.finder import CROWDED, CUT
from edgesdk.pipeline import Packet, open_source
from edgesdk.sim import FaultySource, LineScene, SimSource
from edgesdk.vision.parts import Part, cut_out
from tests.drawn_belt import HEIGHT, SIDE, WIDTH, Place, due, finder, moving, packet, picture

# --- one part, once ---------------------------------------------------------------------------


def test_a_part_is_due_in_the_first_frame_with_its_middle_past_the_station() -> None:
    found = due(finder(), moving(10, 60, [(-58, 90)]))
    # -58 + 10 i >= 240 first at i = 30.
    assert [(index, part.number) for index, part in found] == [(30, 0)]
    part = found[0][1]
    assert part.triggered_ns == round(30 * 1e9 / 25)
    assert part.views[0].frame == 30
    assert part.views[0].box == pytest.approx((222, 70, 262, 110), abs=2)
    assert part.views[0].picture.shape == (64, 64, 3)
    assert part.views[0].inspected is None
    assert part.error == ""


def test_the_picture_of_a_part_is_the_frame_around_its_middle() -> None:
    found = due(finder(), moving(10, 40, [(-58, 90)]))
    x, y = 242, 90
    wanted = picture([(x, y)])[y - 32 : y + 32, x - 32 : x + 32]
    difference = np.abs(found[0][1].views[0].picture.astype(int) - wanted)
    assert (difference > 0).mean() < 0.1  # The middle is right to two pixels.


@given(
    speed=st.floats(4, 46),
    start=st.floats(-100, -30),
    gaps=st.lists(st.floats(75, 130), min_size=1, max_size=6),
    aside=st.lists(st.floats(-35, 35), min_size=7, max_size=7),
    dropped=st.sets(st.integers(3, 200), max_size=25),
)
@settings(max_examples=12, deadline=None)
def test_every_part_is_due_exactly_once_in_its_order(
    speed: float, start: float, gaps: list[float], aside: list[float], dropped: set[int]
) -> None:
    """Whatever the speed, up to more than half the way to the next part, and with frames lost."""
    places: list[Place] = [(start, 90 + aside[0])]
    for gap, y in zip(gaps, aside[1:], strict=False):
        places.append((places[-1][0] - gap, 90 + y))
    frames = moving(speed, round((WIDTH + 100 - places[-1][0]) / speed) + 1, places)
    look = finder(sightings=1 if speed > 20 else 2)
    parts: list[Part] = []
    for index, now in enumerate(frames):
        if index not in dropped or index % 3:  # Never two of three in a row.
            parts += look(packet(picture(now), index)).parts
    assert [part.number for part in parts] == list(range(len(places)))
    assert [part.views[0].box[1] for part in parts] == pytest.approx(
        [y - SIDE / 2 for _, y in places], abs=2
    )


@pytest.mark.parametrize(
    ("moves", "turn"),
    [
        ("right", lambda image: image),
        ("left", lambda image: image[:, ::-1]),
        ("down", lambda image: image.transpose(1, 0, 2)),
        ("up", lambda image: image.transpose(1, 0, 2)[::-1]),
    ],
)
def test_the_belt_may_go_any_way(moves: str, turn: Callable[[np.ndarray], np.ndarray]) -> None:
    frames = [np.ascontiguousarray(turn(picture(now))) for now in moving(10, 60, [(-55, 90)])]
    high, wide = frames[0].shape[:2]
    look = PartFinder(PartSettings((30, 60), moves=moves), wide, high)  # type: ignore[arg-type]
    found = [(i, p) for i, image in enumerate(frames) for p in look(packet(image, i)).parts]
    assert [index for index, _ in found] == [30]


def test_a_part_that_lay_beyond_the_station_when_the_run_began_is_not_judged() -> None:
    found = due(finder(), moving(10, 40, [(300, 90), (150, 90)]))
    assert [index for index, _ in found] == [9]


def test_a_belt_that_stops_and_goes_on_has_each_part_judged_once() -> None:
    steps = [12.0] * 20 + [0.0] * 15 + [20.0] * 60
    way = np.cumsum(steps).tolist()
    frames = [[(x + moved, 90 + 5 * i) for i, x in enumerate((-30, -130, -230))] for moved in way]
    found = due(finder(), frames)
    assert [part.number for _, part in found] == [0, 1, 2]


def test_a_part_that_is_not_seen_for_some_frames_keeps_its_number_and_its_verdict() -> None:
    frames = moving(10, 60, [(-55, 90)])
    for hidden in (*range(24, 33), *range(38, 42)):
        frames[hidden] = []
    found = due(finder(), frames)
    assert [part.number for _, part in found] == [0]
    assert found[0][0] == 30  # Where it must have got to.
    assert found[0][1].views[0].frame == 23


def test_what_is_seen_in_one_frame_only_is_no_part() -> None:
    frames = moving(10, 60, [(-55, 90)])
    frames[12] = [*frames[12], (300, 60)]
    frames[20] = [*frames[20], (260, 120)]
    assert [part.number for _, part in due(finder(), frames)] == [0]


def test_the_views_nearest_to_the_station_are_taken_nearest_first() -> None:
    found = due(finder(views=3), moving(20, 30, [(-55, 90)]))
    # At 205, 225 and 245 in the frames 13, 14 and 15; the station is at 240.
    assert [view.frame for view in found[0][1].views] == [15, 14, 13]


def test_boxes_of_the_parts_in_sight_carry_their_number_once_they_were_due() -> None:
    look = finder()
    for index, now in enumerate(moving(10, 40, [(-55, 90), (-155, 90)])):
        shown = look(packet(picture(now), index)).detections
    assert shown.track_id.tolist() == [0, -1]
    assert shown.centers[0] == pytest.approx((335, 90), abs=2)


# --- trouble ------------------------------------------------------------------------------------


def test_parts_that_touch_are_due_apart_and_say_so() -> None:
    found = due(finder(), moving(10, 60, [(-55, 90), (-93, 90)]))
    assert [part.number for _, part in found] == [0, 1]
    assert {part.error for _, part in found} == {CROWDED}


def test_why_a_part_fails_is_said_once_for_each_reason(caplog: pytest.LogCaptureFixture) -> None:
    look = finder(size_px=(10.0, 20.0))
    due(look, moving(10, 90, [(-55 - 110 * i, 90) for i in range(4)]))
    (told,) = (record.message for record in caplog.records)
    assert told.startswith("part 0 cannot be judged: " + CROWDED)
    assert "(parts.size_px allows 10 to 20 px)" in told


def test_a_part_that_touched_another_only_for_a_while_is_judged_by_its_own_views() -> None:
    frames = moving(10, 60, [(-55, 90)])
    for index in range(20, 28):  # Something lies against it.
        frames[index] = [*frames[index], (frames[index][0][0] - 36, 90)]
    part = due(finder(), frames)[0][1]
    assert part.error == ""


def test_a_part_that_is_partly_outside_the_picture_says_so() -> None:
    found = due(finder(), moving(10, 60, [(-55, 15)]))
    assert [part.error for _, part in found] == [CUT]


def test_dirt_is_no_part() -> None:
    look = finder()
    for index in range(60):
        image = picture([(-55 + index * 10, 90)], side=14)
        assert not look(packet(image, index)).parts


def test_the_light_may_drift_and_jump() -> None:
    look, parts = finder(), []
    for index, now in enumerate(moving(10, 160, [(-55 - 110 * i, 90) for i in range(10)])):
        gain = 1 + 0.3 * np.sin(index / 12) - 0.15 * (index > 80)
        parts += look(packet(picture(now, float(gain)), index)).parts
    assert [part.number for part in parts] == list(range(len(parts)))
    assert len(parts) == 10


def test_a_belt_with_a_pattern_is_learned() -> None:
    rng = np.random.default_rng(0)
    pattern = (
        np.where(rng.random((HEIGHT, WIDTH, 1)) < 0.5, -8, 8)
        + np.linspace(-15, 15, WIDTH)[None, :, None]
    )
    look, parts = finder(contrast=20.0), []
    for index, now in enumerate(moving(10, 60, [(-55, 90)])):
        image = np.clip(picture(now) + pattern, 0, 255).astype(np.uint8)
        parts += look(packet(image, index)).parts
    assert [part.number for part in parts] == [0]


def test_rails_beside_the_belt_are_left_out() -> None:
    look, parts = finder(between=(0.2, 0.8)), []
    for index, now in enumerate(moving(10, 60, [(-55, 90)])):
        image = picture(now)
        image[:12] = 200
        parts += look(packet(image, index)).parts
    assert [part.error for part in parts] == [""]


# --- the simulated line ------------------------------------------------------------------------


def scene_of(source: SimSource | FaultySource) -> LineScene:
    scene = source.scene if isinstance(source, SimSource) else source._source.scene  # type: ignore[attr-defined]
    assert isinstance(scene, LineScene)
    return scene


@pytest.mark.parametrize(
    "uri",
    [
        "sim://line?frames=350&rate=60&seed=1",
        "sim://line?frames=200&rate=600&fps=50&light=drift&seed=3",
        "sim://line?frames=150&rate=1200&fps=60&wobble=0.3&blur=1.5&seed=4",
        "sim://line?frames=100&rate=1200&fps=25&seed=8",
        "sim://line?frames=200&rate=600&fps=50&drop=0.2&seed=6",
        "sim://line?frames=250&rate=300&fps=50&corrupt=0.02&drop=0.05&seed=9",
        "sim://line?frames=300&rate=240&fps=50&corrupt=0.05&drop=0.1&seed=3",
        "sim://line?frames=160&rate=240&fps=50&corrupt=0.05&drop=0.1&seed=6",
    ],
)
def test_each_simulated_part_is_due_once_and_where_it_is(uri: str) -> None:
    source = open_source(uri)
    assert isinstance(source, SimSource | FaultySource)
    scene = scene_of(source)
    look = PartFinder(PartSettings((50, 110)), *source.size)
    found: list[int] = []
    for frame in source:
        for part in look(Packet(frame)).parts:
            found.append(true_part(scene, part))
    wanted = [part.part for part in scene.parts()]
    assert len(wanted) > 10
    assert Counter(found) == Counter(wanted)


def true_part(scene: LineScene, part: Part) -> int:
    """The number of the true part at the place of the best view."""
    view = part.views[0]
    truth = scene.truth(view.frame)
    whole = truth[truth.class_id == 0]
    middle = np.array([(view.box[0] + view.box[2]) / 2, (view.box[1] + view.box[3]) / 2])
    away = np.abs(whole.centers - middle).max(axis=1)
    assert away.min() < 12
    return int(whole.track_id[away.argmin()])


# --- settings and small things -----------------------------------------------------------------


def test_a_picture_that_is_too_short_for_a_part_is_refused() -> None:
    with pytest.raises(UsageError, match="too short"):
        PartFinder(PartSettings((30, 300)), WIDTH, HEIGHT)


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"size_px": (60.0, 30.0)}, "size_px"),
        ({"station": 1.0}, "station"),
        ({"between": (0.5, 0.5)}, "between"),
        ({"contrast": 0.0}, "contrast"),
        ({"views": 0}, "views"),
        ({"crop_px": 4}, "crop_px"),
        ({"sightings": 0}, "sightings"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(wrong: dict[str, object], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        PartSettings(**wrong)  # type: ignore[arg-type]


def test_a_square_beyond_the_edge_of_the_picture_repeats_its_edge() -> None:
    image = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
    cut = cut_out(image, (0.0, 0.0), 4)
    padded = np.pad(image, ((2, 2), (2, 2), (0, 0)), mode="edge")
    np.testing.assert_array_equal(cut, padded[:4, :4])
    assert cut_out(image, (2.0, 2.0), 2).base is None
    with pytest.raises(ValueError, match="outside"):
        cut_out(image, (-90.0, 0.0), 4)


def test_a_belt_forgets_its_picture_when_the_size_changes() -> None:
    belt = Belt(PartSettings((30, 60)))
    assert len(belt.find(packet(picture([(100, 90)]), 0))) == 1
    assert len(belt.find(packet(picture([(100, 90)])[:170, :400].copy(), 1))) == 1
