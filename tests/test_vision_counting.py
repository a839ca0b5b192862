"""What crosses the line is counted once, in its direction, under its name; nothing else is."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesdk.detections import Detections
from edgesdk.vision.counting import CountingSettings, Crossing, Line, LineCounter

ACROSS = Line((0, 220), (640, 220))
SIZE = 40.0
Sighting = tuple[int, float, float]
"""Track id, centre x, y of a box of 40 x 40 pixels."""


def seen(rows: Sequence[Sighting], classes: Sequence[int] | None = None) -> Detections:
    table = np.array([row[1:] for row in rows], np.float32).reshape(-1, 2)
    return Detections(
        np.concatenate([table - SIZE / 2, table + SIZE / 2], axis=1),
        np.full(len(rows), 0.9, np.float32),
        np.array(classes or [0] * len(rows), np.int64),
        np.array([row[0] for row in rows], np.int64),
    )


def count(frames: Iterable[Sequence[Sighting]], counter: LineCounter | None = None) -> str:
    """Totals as "down/up" after all frames."""
    counter = counter or LineCounter(ACROSS)
    for number, rows in enumerate(frames):
        counter.update(seen(rows), number)
    counter.finish()
    return "{down}/{up}".format(**counter.totals)


def at_once(line: Line = ACROSS) -> LineCounter:
    """One that believes the first sighting beyond the line."""
    return LineCounter(line, settings=CountingSettings(settle_sightings=1))


def walk(ys: Iterable[float], x: float = 300, track: int = 0) -> list[list[Sighting]]:
    return [[(track, x, y)] for y in ys]


@pytest.mark.parametrize(
    ("start", "end", "move", "direction"),
    [
        ((0, 220), (640, 220), (0, 60), "down"),
        ((0, 220), (640, 220), (0, -60), "up"),
        ((640, 220), (0, 220), (0, 60), "up"),
        ((384, 480), (384, 0), (60, 0), "down"),  # drawn upwards: forward is to the right
        ((384, 0), (384, 480), (60, 0), "up"),
        ((100, 100), (500, 400), (-60, 60), "down"),
    ],
)
def test_forward_is_from_the_lines_left_to_its_right(
    start: tuple[float, float], end: tuple[float, float], move: tuple[float, float], direction: str
) -> None:
    middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
    counter = LineCounter(Line(start, end))
    told = []
    for i, share in enumerate((-1.0, -0.5, 0.5, 1.0, 1.5)):
        spot = (0, middle[0] + share * move[0], middle[1] + share * move[1])
        told.append(len(counter.update(seen([spot]), i)))
    assert counter.totals == {"down": 0, "up": 0, direction: 1}
    assert told == [0, 0, 0, 1, 0]  # as soon as it was sure, and not again


def test_a_crossing_says_what_went_where_and_when() -> None:
    counter = LineCounter(Line((0, 220), (640, 220), "in", "out"), ("car", "truck"))
    events: list[Crossing] = []
    for i, y in enumerate([200, 210, 218, 222, 230, 240]):
        events += counter.update(seen([(5, 100 + 2 * i, y)], [1]), i)
    # From (104, 218) to (106, 222) it meets 220 half-way.
    met = Crossing(3, 5, 1, "truck", "in", pytest.approx(105), pytest.approx(220), path=0)
    assert events == [met]
    assert counter.by_class == {"truck": {"in": 1, "out": 0}}
    assert counter.totals == {"in": 1, "out": 0}


def test_trembling_on_the_line_is_no_crossing() -> None:
    # The band is a tenth of 40 px to both sides.
    tremble = [220 + 3.9 * math.sin(7 * i) for i in range(200)]
    assert count(walk([100, *tremble])) == "0/0"
    assert count(walk([100, *tremble, 230, 240])) == "1/0"
    assert count(walk([100, *tremble, 100])) == "0/0"


def test_going_back_and_forth_counts_each_way() -> None:
    assert count(walk([100, 300, 100, 300, 100]), at_once()) == "2/2"
    assert count(walk([y for y in [100, 300, 100, 300, 100] for _ in range(2)])) == "2/2"


def test_a_box_that_jumps_over_the_line_for_one_frame_crosses_nothing() -> None:
    # As when a track takes a neighbour's box and gives it back: PETS09-S2L1, frame 124.
    assert count(walk([190, 190, 190, 250, 190, 190])) == "0/0"
    assert count(walk([190, 190, 190, 250, 251, 190])) == "1/0"


def test_what_leaves_the_picture_right_behind_the_line_is_counted() -> None:
    # One sighting beyond is left, where its motion leads; a jump to a neighbour is believed less.
    assert count(walk([100, 140, 180, 226])) == "1/0"
    counter = LineCounter(ACROSS, settings=CountingSettings(forget_s=0.4))
    assert count([*walk([100, 140, 180, 226]), *[[]] * 12], counter) == "1/0"
    assert count(walk([180, 180, 180, 260])) == "0/0"


def test_passing_beside_the_lines_end_is_no_crossing() -> None:
    line = Line((100, 220), (200, 220))
    assert count(walk([180, 260, 270], x=99), LineCounter(line)) == "0/0"
    assert count(walk([180, 260, 270], x=101), LineCounter(line)) == "1/0"


def test_going_round_the_lines_end_is_no_crossing_in_either_direction() -> None:
    line = Line((100, 220), (200, 220))
    loop = [(150, 180), (250, 180), (250, 260), (150, 260), (50, 260), (50, 180), (150, 180)]
    assert count([[(0, x, y)] for x, y in loop], at_once(line)) == "0/0"
    assert count([[(0, x, y)] for x, y in [*loop, (150, 260)]], at_once(line)) == "1/0"


def test_many_without_identity_are_not_one_that_jumps_over_the_line() -> None:
    # roboflow/supervision#2578: 7 and 9 crossings became 97 and 95.
    assert count([[(-1, 100, 180), (-1, 300, 260)][:: 1 - 2 * (i % 2)] for i in range(50)]) == "0/0"


def test_it_is_called_what_most_frames_called_it() -> None:
    counter = LineCounter(ACROSS, ("car", "truck"))
    kinds = [(150, 0), (170, 1), (190, 1), (210, 0), (230, 1), (250, 1)]
    for i, (y, kind) in enumerate(kinds):
        found = counter.update(seen([(0, 300, y)], [kind]), i)
    assert [c.label for c in found] == ["truck"]


def test_a_class_without_a_label_goes_by_its_number() -> None:
    counter = LineCounter(ACROSS, ("car",))
    for i, y in enumerate([150, 250, 260]):
        counter.update(seen([(0, 300, y)], [7]), i)
    assert counter.by_class == {"7": {"down": 1, "up": 0}}


def test_who_is_long_gone_is_forgotten() -> None:
    counter = LineCounter(ACROSS, settings=CountingSettings(forget_s=0.4))
    for i in range(500):
        counter.update(seen([(i, 5 * i % 600, 20)]), i)
    assert counter.remembered <= 11


# An object gets a new identity near the line. However the two sightings lie, one crossing is one.
@pytest.mark.parametrize("gap", [0, 1, 4])
@pytest.mark.parametrize("at", [190, 205, 212, 219, 221, 228, 240, 250])
def test_a_new_identity_at_the_line_neither_loses_nor_doubles_a_crossing(at: int, gap: int) -> None:
    path = list(range(150, 300, 4))
    before = walk([y for y in path if y < at], track=3)
    after = walk([y for y in path if y >= at][gap:], track=4)
    assert count(before + [[]] * gap + after) == "1/0"


@pytest.mark.parametrize("jump", [-18, -12, -6, 6, 12, 18])
@pytest.mark.parametrize("at", [206, 214, 222, 230, 238])
def test_nor_does_it_when_the_new_box_lies_elsewhere_on_the_object(at: int, jump: int) -> None:
    path = list(range(150, 320, 4))
    before = walk([y for y in path if y < at], track=3)
    after = walk([y + jump for y in path if y >= at], track=4)
    assert count(before + after) == "1/0"


def test_identities_that_alternate_on_one_object_count_it_once() -> None:
    path = enumerate(range(150, 300, 4))
    assert count([[(i % 2, 300, y)] for i, y in path]) == "1/0"


def test_a_new_identity_does_not_inherit_from_one_that_is_still_there() -> None:
    # 1 waits before the line, 2 appears just behind it and moves on: it never crossed.
    waiting, frames = (1, 300.0, 212.0), []
    for i in range(20):
        frames.append([waiting] if i < 5 else [waiting, (2, 310.0, 222.0 + 4 * (i - 5))])
    assert count(frames) == "0/0"


def test_a_track_that_comes_back_after_another_went_on_in_its_place_is_a_second_object() -> None:
    # 0 is lost before the line and 1 goes on from there. Then 0 is seen again, before the line, and
    # both stand still: one object that jumped to and fro between them would cross in each frame.
    frames = walk(range(150, 214, 4)) + walk(range(214, 270, 4), track=1)
    frames += [[(0, 340.0, 190.0), (1, 300.0, 266.0)]] * 30
    assert count(frames) == "1/0"


def test_a_fast_one_that_leaves_the_picture_behind_the_line_may_be_off_by_more() -> None:
    # At four frames a second what comes nearer moves by two of its sizes, and by more each time.
    assert count(walk([20, 84, 156, 240])) == "1/0"
    assert count(walk([190, 192, 194, 240])) == "0/0"


def test_a_new_identity_far_from_the_line_or_long_after_is_somebody_else() -> None:
    came, late = walk([150, 170, 190, 210]), [[]] * 40
    assert count(came + late + walk([232, 250, 270], track=1)) == "0/0"
    assert count(came + walk([232, 250, 270], x=400, track=1)) == "0/0"


@pytest.mark.parametrize("fps", [5.0, 10.0, 50.0])
def test_how_long_one_may_be_hidden_does_not_depend_on_the_frame_rate(fps: float) -> None:
    waits = walk([206.0] * round(2 * fps))
    goes_on = walk([236 + 60 * i / fps for i in range(round(2 * fps))], track=1)
    for hidden_s, right in ((2.6, "1/0"), (3.6, "0/0")):
        counter = LineCounter(ACROSS, fps=fps)
        assert count([*waits, *[[]] * round(hidden_s * fps), *goes_on], counter) == right


def test_without_handover_the_same_switch_loses_the_crossing() -> None:
    settings = CountingSettings(handover_sizes=0)
    frames = walk(range(150, 220, 4)) + walk(range(222, 300, 4), track=1)
    assert count(frames, LineCounter(ACROSS, settings=settings)) == "0/0"
    assert count(frames) == "1/0"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (((5, 5), (5, 5)), "the line 5,5,5,5 has no length"),
        (((0, math.nan), (5, 5)), "finite"),
        (((0, 0), (5, 5), "a", "a"), "two names, found 'a' for both"),
    ],
)
def test_a_line_that_is_none_is_refused(line: tuple[object, ...], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Line(*line)  # type: ignore[arg-type]


def test_negative_distances_are_refused() -> None:
    with pytest.raises(ValueError, match="not be negative"):
        CountingSettings(band_px=-1)
    with pytest.raises(ValueError, match="1 or more"):
        CountingSettings(settle_sightings=0)


walks = st.lists(st.integers(0, 440).map(float), min_size=2, max_size=40)


@given(walks)
def test_crossings_add_up_to_where_it_ends(ys: list[float]) -> None:
    for settle in (1, 2, 3):
        counter = LineCounter(ACROSS, settings=CountingSettings(settle_sightings=settle))
        count(walk([100.0, *ys, *[300.0] * settle]), counter)
        assert counter.totals["down"] - counter.totals["up"] == 1
        counter = LineCounter(ACROSS, settings=CountingSettings(settle_sightings=settle))
        count(walk([100.0, *ys, *[50.0] * settle]), counter)
        assert counter.totals["down"] == counter.totals["up"]


@given(walks)
def test_the_line_drawn_the_other_way_counts_the_other_way(ys: list[float]) -> None:
    # Where it stands exactly on the line is left out: there left and right are not alike.
    frames = walk([y + 0.25 for y in ys])
    down, up = count(frames).split("/")
    assert count(frames, LineCounter(Line((640, 220), (0, 220)))) == f"{up}/{down}"


@given(walks, st.floats(0, 2 * math.pi), st.integers(-200, 200))
def test_turning_the_whole_scene_changes_nothing(ys: list[float], angle: float, by: int) -> None:
    def turn(x: float, y: float) -> tuple[float, float]:
        return (
            x * math.cos(angle) - y * math.sin(angle) + by,
            x * math.sin(angle) + y * math.cos(angle) + by,
        )

    # Quarter pixels keep clear of the band's edge, where rounding would decide.
    path = [y + 0.25 for y in ys]
    turned = LineCounter(Line(turn(0, 220), turn(640, 220)))
    assert count([[(0, *turn(300, y))] for y in path], turned) == count(walk(path))


def test_the_example_of_the_docs_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    page = Path(__file__).parent.parent / "docs/concepts/counting.md"
    match = re.search(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    assert match
    exec(compile(match[1], str(page), "exec"), {})
    assert capsys.readouterr().out.splitlines() == re.findall(r"print\(.*\)  # (.*)", match[1])
