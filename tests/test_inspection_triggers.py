"""What fires from outside, and gaps in the frames: no part is forgotten, and none judged twice."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesdk.errors import DataError
from edgesdk.inspection import PartFinder
from edgesdk.pipeline import Packet
from edgesdk.vision.parts import Part
from tests.drawn_belt import Place, finder, moving, packet, picture

# --- an outside trigger ------------------------------------------------------------------------


class Barrier:
    """A trigger that fires when it is told to; `broken` raises as one that cannot be read."""

    def __init__(self, *times_ns: int) -> None:
        self.times_ns = list(times_ns)
        self.now_ns = 0
        self.broken = False

    def fired(self) -> tuple[int, ...]:
        if self.broken:
            raise DataError("the PLC does not answer")
        due = tuple(t for t in self.times_ns if t <= self.now_ns)
        self.times_ns = [t for t in self.times_ns if t > self.now_ns]
        return due


def run(look: PartFinder, barrier: Barrier, frames: list[list[Place]]) -> list[tuple[int, Part]]:
    found = []
    for index, now in enumerate(frames):
        barrier.now_ns = round(index * 1e9 / 25)
        found += [(index, part) for part in look(packet(picture(now), index)).parts]
    return found


def ns(frame: float) -> int:
    return round(frame * 1e9 / 25)


def test_a_trigger_makes_the_part_at_the_station_due_after_the_delay() -> None:
    # The barrier stands 100 px ahead: at 10 px a frame the part needs 10 frames, 400 ms.
    barrier = Barrier(ns(19.5), ns(29.5))
    look = finder(barrier.fired, delay_ms=400.0)
    found = run(look, barrier, moving(10, 60, [(-55, 90), (-155, 60)]))
    assert [(i, p.number, p.triggered_ns) for i, p in found] == [
        (30, 0, ns(29.5)),
        (40, 1, ns(39.5)),
    ]
    assert [round((p.views[0].box[1] + p.views[0].box[3]) / 2) for _, p in found] == [90, 60]


def test_a_trigger_without_a_part_is_due_without_a_view() -> None:
    barrier = Barrier(ns(10), ns(29.5))
    found = run(finder(barrier.fired), barrier, moving(10, 60, [(-55, 90)]))
    assert [(i, len(p.views)) for i, p in found] == [(10, 0), (30, 1)]


def test_a_trigger_that_fires_twice_for_a_part_does_not_judge_it_twice() -> None:
    barrier = Barrier(ns(29.5), ns(30.5))
    found = run(finder(barrier.fired), barrier, moving(10, 60, [(-55, 90)]))
    assert [len(p.views) for _, p in found] == [1, 0]


def test_while_a_trigger_cannot_be_read_parts_are_due_as_they_pass_and_none_is_good(
    caplog: pytest.LogCaptureFixture,
) -> None:
    barrier = Barrier()
    barrier.broken = True
    found = run(finder(barrier.fired), barrier, moving(10, 60, [(-55, 90), (-155, 60)]))
    assert [p.number for _, p in found] == [0, 1]
    assert all(p.untriggered for _, p in found)
    assert "the PLC does not answer" in caplog.text
    assert len([r for r in caplog.records if "cannot be read" in r.getMessage()]) == 1


def test_parts_behind_a_light_barrier_that_is_cut_fail_as_soon_as_no_firing_can_be_theirs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    barrier = Barrier(ns(29.5))  # It fires for the first part, and then no more.
    found = run(finder(barrier.fired), barrier, moving(10, 80, [(-55, 90), (-155, 60), (-255, 90)]))
    # The second is at the station in frame 39.5, and 60 px on, the size of a part, in 45.5.
    assert [(i, p.number, p.untriggered) for i, p in found] == [
        (30, 0, False),
        (46, 1, True),
        (56, 2, True),
    ]
    assert found[1][1].triggered_ns == pytest.approx(ns(39.5), abs=ns(1.3))
    assert [len(p.views) for _, p in found] == [1, 1, 1]
    assert caplog.text.count("no trigger fired") == 1


def test_a_firing_that_no_part_can_have_is_unseen() -> None:
    barrier = Barrier(ns(50))  # 800 ms after the only part.
    found = run(finder(barrier.fired), barrier, moving(10, 80, [(-55, 90)]))
    assert [(p.untriggered, len(p.views)) for _, p in found] == [(True, 1), (False, 0)]


def test_a_firing_that_comes_after_its_part_has_failed_makes_no_second_part_of_it() -> None:
    look, found = finder(lambda: (ns(29.5),) if index == 50 else ()), []
    for index, now in enumerate(moving(10, 80, [(-55, 90), (-255, 90)])):
        found += [(index, part.untriggered) for part in look(packet(picture(now), index)).parts]
    assert found == [(36, True), (56, True)]


def test_a_trigger_may_choose_the_parts_that_are_inspected() -> None:
    barrier = Barrier(ns(39.5))
    look = finder(barrier.fired, untriggered="ignore")
    found = run(look, barrier, moving(10, 80, [(-55, 90), (-155, 60), (-255, 90)]))
    assert [(i, p.untriggered) for i, p in found] == [(40, False)]


def test_while_a_trigger_cannot_be_read_it_is_told_when_parts_may_have_been_due() -> None:
    barrier, told = Barrier(), []
    look = finder(barrier.fired, delay_ms=400.0)
    for index in range(12):
        barrier.broken = index in {5, 6, 9}
        told.append(look(packet(picture([]), index)).unseen_ns)
    wanted = {i: (ns(i - 1 + 10), ns(i + 10)) for i in (5, 6, 9)}  # 400 ms are 10 frames
    assert told == [wanted.get(index) for index in range(12)]


def test_a_firing_that_was_heard_before_the_loss_still_counts() -> None:
    """The barrier stands 400 ms ahead; it is lost while the part is on its way to the station."""
    barrier = Barrier(ns(21.0))  # the part is at the station in 29.5, and due in 31
    look = finder(barrier.fired, delay_ms=400.0)
    found = []
    for index, now in enumerate(moving(10, 60, [(-55, 90), (-155, 60)])):
        barrier.now_ns, barrier.broken = ns(index), index > 25
        found += [(index, part) for part in look(packet(picture(now), index)).parts]
    assert [(i, p.number, p.untriggered) for i, p in found] == [(31, 0, False), (40, 1, True)]


# --- gaps in the frames -----------------------------------------------------------------------


def through_a_gap(first: int, last: int, **settings: object) -> tuple[list[Part], list[Packet]]:
    """Parts 100 px apart at 10 px a frame; no frame comes from `first` to `last`."""
    look, packets = finder(**settings), []  # type: ignore[arg-type]
    for index, places in enumerate(moving(10, 140, [(-55 - 100 * i, 90) for i in range(12)])):
        if not first <= index <= last:
            packets.append(look(packet(picture(places), index)))
    return [part for each in packets for part in each.parts], packets


def test_a_part_that_passes_in_a_gap_was_due_when_it_passed_and_not_when_it_is_seen() -> None:
    """So that its reject comes when it is at the ejector."""
    parts, packets = through_a_gap(35, 46)
    # They pass in the frames 29.5, 39.5, 49.5 ...; due in the first frame after, as there are any.
    wanted = [ns(30 + 10 * number) for number in range(len(parts))]
    assert [p.triggered_ns for p in parts] == pytest.approx(wanted, abs=ns(0.5))
    assert parts[1].views[0].frame == 34 or parts[1].views[0].frame == 47
    assert all(each.unseen_ns is None for each in packets)


def test_of_a_gap_in_which_parts_may_come_and_go_it_is_said_when_they_were_due() -> None:
    """60 px have to be in the picture of 480 as a whole, in two frames. So at 10 px a frame a part
    is never seen that passes the station at 240 more than 20 frames after the last one, and more
    than 20 before the next one."""
    parts, packets = through_a_gap(41, 100)
    (told,) = (each for each in packets if each.unseen_ns is not None)
    assert told.frame.index == 101
    assert told.unseen_ns == pytest.approx((ns(40 + 20), ns(101 - 20)), abs=ns(1.5))
    unseen = [n for n in range(11) if 60 < 29.5 + 10 * n < 81]
    seen = [n for n in range(11) if n not in unseen]
    assert len(unseen) == 2
    wanted = [ns(30 + 10 * number) for number in seen]
    assert [p.triggered_ns for p in parts] == pytest.approx(wanted, abs=ns(1.5))


@given(first=st.integers(14, 30), length=st.integers(1, 50), speed=st.integers(10, 24))
@settings(max_examples=10, deadline=None)
def test_every_part_is_due_once_or_at_a_time_that_is_told(
    first: int, length: int, speed: int
) -> None:
    look, told, parts = finder(), [], list[Part]()
    frames = moving(speed, first + length + 8, [(-55 - 110 * i, 90) for i in range(20)])
    for index, places in enumerate(frames):
        if not first <= index < first + length:
            made = look(packet(picture(places), index))
            parts += made.parts
            told += [made.unseen_ns] if made.unseen_ns else []
    passing = [(295 + 110 * i) / speed for i in range(20)]  # in frames
    due = [min(range(20), key=lambda i: abs(p.triggered_ns - ns(passing[i]))) for p in parts]
    assert len(set(due)) == len(due)
    for i, at in enumerate(passing):
        if at < len(frames) - 3 and i not in due:
            assert any(start - ns(1.5) <= ns(at) <= end + ns(1.5) for start, end in told)


def test_a_gap_in_which_parts_may_have_passed_unseen_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def gap(frames: int) -> str:
        caplog.clear()
        look = finder()
        for index, places in enumerate(moving(10, 121, [(-55 - 110 * i, 90) for i in range(12)])):
            if not 30 < index < 30 + frames:
                look(packet(picture(places), index))
        return caplog.text

    # At 10 px a frame and 25 fps a part of 60 px is wholly in the 480 px for 42 frames, 1.68 s.
    assert gap(40) == ""
    assert "no frame for 1.8 s: parts may have passed unseen" in gap(45)
