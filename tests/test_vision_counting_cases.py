"""The truth table of counting: what happens at a line, and what is to be counted.

By hand with boxes of 40 x 40 pixels that go through our own tracker, and on simulated roads whose
true crossings are known, with boxes that tremble, are missed, are hidden and change identity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from benchmarks.crossings import Matching, Passed, match
from edgesdk.detections import Detections
from edgesdk.sim import TrafficScene, TrafficSettings
from edgesdk.vision.counting import Line, LineCounter
from edgesdk.vision.tracker import Confirmed, Tracker

ACROSS = Line((0, 220), (640, 220))
SIZE = 40.0
Place = tuple[float, float]
Frames = list[list[Place]]


def boxes(places: Sequence[Place]) -> Detections:
    centers = np.array(places, np.float32).reshape(-1, 2)
    return Detections(
        np.concatenate([centers - SIZE / 2, centers + SIZE / 2], axis=1),
        np.full(len(places), 0.8, np.float32),
        np.zeros(len(places), np.int64),
    )


def count(frames: Iterable[Sequence[Place]], line: Line = ACROSS) -> str:
    """As "down/up", through the tracker."""
    tracker, counter = Tracker(), LineCounter(line)
    for i, places in enumerate(frames):
        tracked = tracker.update(boxes(places), i)
        counter.update(tracked, i, tracker.confirmed_now)
    counter.finish()
    return "{down}/{up}".format(**counter.totals)


def path(*ys: float, x: float = 300, step: float = 4) -> list[Place]:
    """From each y to the next at so many pixels a frame."""
    out = [(x, ys[0])]
    for start, end in pairwise(ys):
        steps = max(round(abs(end - start) / step), 1)
        out += [(x, start + (end - start) * (k + 1) / steps) for k in range(steps)]
    return out


def alone(places: list[Place]) -> Frames:
    return [[place] for place in places]


def together(*paths: list[Place]) -> Frames:
    return [[p[i] for p in paths if i < len(p)] for i in range(max(len(each) for each in paths))]


def hidden(frames: Frames, first: int, frames_long: int) -> Frames:
    """Nothing is seen for so long."""
    return [[] if first <= i < first + frames_long else f for i, f in enumerate(frames)]


def stopped(at: float, frames: int, tremble: float = 0.0) -> list[Place]:
    return [(300, at + tremble * (-1) ** i) for i in range(frames)]


CASES: dict[str, tuple[Frames, str]] = {
    "goes over": (alone(path(150, 300)), "1/0"),
    "goes over the other way": (alone(path(300, 150)), "0/1"),
    "turns round before the line": (alone(path(150, 210, 150)), "0/0"),
    "turns round on the line": (alone(path(150, 221, 150)), "0/0"),
    "turns round clear behind the line": (alone(path(150, 260, 150)), "1/1"),
    "stops on the line, trembles, goes on": (
        alone([*path(150, 220), *stopped(220, 200, 3), *path(220, 300)]),
        "1/0",
    ),
    "stops on the line, trembles, goes back": (
        alone([*path(150, 220), *stopped(220, 200, 3), *path(220, 150)]),
        "0/0",
    ),
    "stops just behind the line for long, goes on": (
        alone([*path(150, 222), *stopped(222, 300, 3), *path(222, 300)]),
        "1/0",
    ),
    "stops clear behind the line": (alone([*path(150, 240), *stopped(240, 100, 3)]), "1/0"),
    "is hidden at the line for a moment": (hidden(alone(path(150, 300)), 12, 8), "1/0"),
    "is hidden at the line until the tracker gives it up": (
        hidden(alone(path(150, 300, step=1)), 55, 40),
        "1/0",
    ),
    "is hidden at the line and turns round behind what hides it": (
        hidden(alone(path(150, 210, 150)), 10, 8),
        "0/0",
    ),
    "comes out from behind a pole right before the line": (alone(path(206, 300)), "1/0"),
    "is over the line before its track is confirmed": (
        alone(path(212, 320, step=10)),
        "1/0",
    ),
    "comes out from behind a pole behind the line": (alone(path(240, 300)), "0/0"),
    "two side by side": (together(path(150, 300, x=300), path(150, 300, x=345)), "2/0"),
    "two behind each other": (together(path(150, 300), path(100, 300)), "2/0"),
    "two in opposite directions, side by side": (
        together(path(150, 300, x=300), path(300, 150, x=342)),
        "1/1",
    ),
    "two in opposite directions through each other": (
        together(path(150, 300, x=300), path(300, 150, x=310)),
        "1/1",
    ),
    "one leaves at the line as another comes from there": (
        [*alone(path(150, 216)), *alone(path(212, 150))],
        "0/0",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_happens_at_the_line_is_counted_as_what_it_is(case: str) -> None:
    frames, right = CASES[case]
    assert count(frames) == right


@pytest.mark.parametrize("case", CASES)
def test_so_it_is_at_a_line_in_any_direction(case: str) -> None:
    frames, right = CASES[case]
    turned = [[(y, 640 - x) for x, y in places] for places in frames]
    assert count(turned, Line((220, 640), (220, 0))) == right


def test_two_that_meet_behind_a_van_are_not_handed_over_to_each_other() -> None:
    # Both vanish at the line and come out on their own far sides, under new identities.
    down, up = path(150, 300, x=300, step=5), path(300, 150, x=312, step=5)
    frames = hidden(together(down, up), 12, 7)
    assert count_switched(frames, at=12) == "1/1"


def test_a_lost_one_is_not_taken_over_by_who_comes_the_other_way_out_of_the_same_place() -> None:
    # One goes behind a van for good, on the line; another comes out from there, and it crosses.
    gone, other = alone(path(150, 222)), alone(path(226, 150))
    assert count_switched([*gone, *other], at=len(gone)) == "0/1"


def count_switched(frames: Frames, at: int) -> str:
    """With tracks given by hand: new ones from frame `at` on, confirmed by their third sighting."""
    counter, early = LineCounter(ACROSS), dict[int, list[tuple[int, Detections]]]()
    for i, places in enumerate(frames):
        found, ids, fresh = boxes(places), np.arange(len(places), dtype=np.int64), []
        for row in range(len(places) if i >= at else 0):
            past = early.setdefault(row, [])
            ids[row] = 10 + row if len(past) >= 2 else -1
            if len(past) == 2:
                earlier = np.concatenate([seen.xyxy for _, seen in past])
                numbers = tuple(frame for frame, _ in past)
                fresh.append(Confirmed(10 + row, numbers, earlier, np.zeros(2, np.int64)))
            past.append((i, found[row : row + 1]))
        counter.update(found.with_tracks(ids), i, fresh)
    counter.finish()
    return "{down}/{up}".format(**counter.totals)


# -- Simulated roads --------------------------------------------------------------------------


Harm = Callable[[Detections, int, np.random.Generator], Detections]


def nothing(found: Detections, frame: int, chance: np.random.Generator) -> Detections:
    return found


def tremble(found: Detections, frame: int, chance: np.random.Generator) -> Detections:
    """Every edge by 4 % of the box."""
    size = np.tile(found.xyxy[:, 2:] - found.xyxy[:, :2], 2)
    moved = found.xyxy + chance.normal(0, 0.04, found.xyxy.shape) * size
    return Detections(moved.astype(np.float32), found.score, found.class_id, found.track_id)


def miss(found: Detections, frame: int, chance: np.random.Generator) -> Detections:
    """Two boxes in ten."""
    return found[chance.random(len(found)) > 0.2]


def hide(found: Detections, frame: int, chance: np.random.Generator) -> Detections:
    """A pole along the line: nothing within 12 pixels of it is seen."""
    y = (found.xyxy[:, 1] + found.xyxy[:, 3]) / 2
    return found[np.abs(y - 216) > 12]


@cache
def simulated(seed: int) -> tuple[TrafficScene, list[Detections]]:
    """30 s of a road, and its true boxes."""
    scene = TrafficScene(TrafficSettings(seed=seed, frames=360, fps=12))
    return scene, [scene.truth(i) for i in range(360)]


def passed(scene: TrafficScene) -> list[Passed]:
    out = []
    for crossing in scene.crossings():
        truth = scene.truth(crossing.frame)
        row = int(np.flatnonzero(truth.track_id == crossing.vehicle)[0])
        x, y = truth.centers[row].tolist()
        out.append(Passed(crossing.frame, crossing.direction == "down", x, y))
    return out


def matched(seed: int, harm: Harm, switch: bool) -> Matching:
    """Our counting of a scene against its truth, one by one."""
    scene, truth = simulated(seed)
    chance, tracker = np.random.default_rng(seed), Tracker(fps=12)
    counter, found = LineCounter(Line(*scene.line)), []
    for i, shown in enumerate(truth):
        tracked = tracker.update(harm(shown, i, chance), i)
        fresh = tracker.confirmed_now
        if switch:  # Whoever is near the line has a new identity in every fourth frame.
            near = np.abs(tracked.centers[:, 1] - 216) < 20
            new = tracked.track_id + 1000 * (1 + i // 4)
            ids = np.where(near & (tracked.track_id >= 0), new, tracked.track_id)
            renamed = dict(zip(tracked.track_id.tolist(), ids.tolist(), strict=True))
            fresh = tuple(replace(one, track_id=renamed[one.track_id]) for one in fresh)
            tracked = tracked.with_tracks(ids)
        found += counter.update(tracked, i, fresh)
    found += counter.finish()
    told = [Passed(c.frame_index, c.direction == "down", c.x_px, c.y_px) for c in found]
    return match(passed(scene), told, frames=6, distance_px=60)


@pytest.mark.parametrize("switch", [False, True], ids=["own ids", "switched ids"])
@pytest.mark.parametrize("harm", [nothing, tremble, miss, hide])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_vehicle_of_a_simulated_road_is_counted_once(
    seed: int, harm: Harm, switch: bool
) -> None:
    result = matched(seed, harm, switch)
    assert len(result.matched) >= 20
    assert (result.missed, result.extra) == ((), ())
