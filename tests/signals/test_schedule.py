"""When wires change: truth tables by hand, and what holds for any order of parts."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from edgesdk.signals.schedule import Due, Rule, Schedule

MS = 1_000_000


def schedule(pulse_ms: int = 50, idle: str = "pass", safe: str = "reject") -> Schedule:
    return Schedule(Rule(pulse_ms * MS, 20 * MS, idle == "reject", safe == "reject"))


def play(schedule: Schedule, dues: list[Due], moments_ms: list[int]) -> list[bool]:
    """What the reject wire says at each moment when all verdicts come early."""
    for due in dues:
        schedule.add(due)
    said = []
    for moment_ms in moments_ms:
        now_ns = moment_ms * MS
        while (due := schedule.take(now_ns)) is not None:
            schedule.give(due, due.at_ns)
        said.append(schedule.levels(now_ns).reject)
    return said


def due(at_ms: int, part: int, outcome: str) -> Due:
    return Due(at_ms * MS, part, outcome == "reject")


MOMENTS_MS = [0, 99, 100, 149, 150, 199, 200, 249, 250, 300]
PARTS = [due(100, 0, "pass"), due(200, 1, "reject")]


@pytest.mark.parametrize(
    ("pulse_ms", "idle", "safe", "said"),
    [
        (50, "pass", "reject", "RR....RR.."),
        (50, "reject", "reject", "RR..RRRRRR"),
        (50, "pass", "pass", "......RR.."),
        (0, "pass", "reject", "RR....RRRR"),
    ],
    ids=["ejector", "gate", "ejector that rests when nothing is known", "held until the next"],
)
def test_a_good_and_a_bad_part_go_by(pulse_ms: int, idle: str, safe: str, said: str) -> None:
    """R: reject. The safe state lasts until the first part is due, not until its verdict comes."""
    levels = play(schedule(pulse_ms, idle, safe), PARTS, MOMENTS_MS)
    assert "".join(".R"[level] for level in levels) == said


def test_where_pulses_overlap_a_reject_wins() -> None:
    parts = [due(100, 0, "pass"), due(120, 1, "reject"), due(140, 2, "pass")]
    moments_ms = [110, 125, 145, 169, 171, 189, 191]
    assert play(schedule(idle="reject"), parts, moments_ms) == [0, 1, 1, 1, 0, 0, 1]


def test_verdicts_that_come_out_of_order_are_given_in_the_order_of_the_parts() -> None:
    parts = [due(300, 2, "reject"), due(100, 0, "reject"), due(200, 1, "pass")]
    plan = schedule()
    for part in parts:
        plan.add(part)
    taken = [plan.take(400 * MS) for _ in range(4)]
    assert [part.part if part else None for part in taken] == [0, 1, 2, None]


def test_a_pair_is_never_both_and_ready_says_when_it_is_a_verdict() -> None:
    plan = schedule()
    plan.give(due(100, 6, "pass"), 100 * MS)
    levels = plan.levels(110 * MS)
    assert (levels.reject, levels.passed, levels.ready, levels.number) == (False, True, True, 7)
    levels = plan.levels(151 * MS)
    assert (levels.reject, levels.passed, levels.ready, levels.number) == (False, False, False, 7)


def test_the_number_of_a_part_fits_a_register() -> None:
    plan = schedule()
    plan.give(due(0, 65534, "pass"), 0 * MS)
    assert plan.levels(0).number == 65535
    plan.give(due(0, 65535, "pass"), 0 * MS)
    assert plan.levels(0).number == 1
    plan.distrust()
    assert plan.levels(0).number == 0


@pytest.mark.parametrize("pulse_ms", [10, 0], ids=["pulsed", "held"])
def test_a_verdict_that_is_late_within_the_tolerance_stands_as_long_as_any(pulse_ms: int) -> None:
    """19 ms late it is still given, and a pulse of 10 ms must not be over already."""
    plan = schedule(pulse_ms)
    part = due(100, 0, "reject")
    assert not plan.too_late(part, 119 * MS)
    plan.give(part, 119 * MS)
    assert plan.levels(119 * MS).reject
    assert plan.levels(119 * MS).ready
    assert plan.levels(128 * MS).reject
    assert plan.levels(128 * MS).ready


def test_the_safe_state_lasts_until_a_part_is_due_again() -> None:
    plan = schedule()
    plan.give(due(0, 0, "pass"), 0 * MS)
    assert not plan.levels(10 * MS).reject
    plan.distrust()
    assert plan.levels(10 * MS).reject
    assert not plan.levels(10 * MS).ready
    assert play(plan, [due(100, 1, "pass")], [50, 99, 100, 200]) == [1, 1, 0, 0]


def test_what_is_forgotten_is_returned_once() -> None:
    plan = schedule()
    for part in PARTS:
        plan.add(part)
    assert plan.waiting == 2
    assert plan.forget() == PARTS
    assert plan.forget() == []
    assert plan.waiting == 0


parts = st.lists(
    st.tuples(st.integers(0, 2000), st.booleans()), max_size=12, unique_by=lambda x: x[0]
)


@settings(deadline=None)
@given(parts, st.booleans(), st.booleans(), st.integers(1, 120))
def test_a_reject_stands_for_its_whole_pulse_and_a_pass_where_no_reject_does(
    parts: list[tuple[int, bool]], idle: bool, safe: bool, pulse_ms: int
) -> None:
    plan = Schedule(Rule(pulse_ms * MS, 20 * MS, idle, safe))
    dues = [Due(at_ms * MS, number, reject) for number, (at_ms, reject) in enumerate(parts)]
    moments_ms = list(range(0, 2200, 7))
    first_ms = min((at_ms for at_ms, _ in parts), default=9999)
    for moment_ms, said in zip(moments_ms, play(plan, dues, moments_ms), strict=True):
        over = [bad for at_ms, bad in parts if at_ms <= moment_ms < at_ms + pulse_ms]
        expected = safe if moment_ms < first_ms else any(over) if over else idle
        assert said == expected


@settings(deadline=None)
@given(parts, st.integers(0, 2500))
def test_nothing_changes_before_the_moment_that_is_told(
    parts: list[tuple[int, bool]], now_ms: int
) -> None:
    """Else the thread would sleep over a change."""
    plan = schedule()
    for number, (at_ms, reject) in enumerate(parts):
        plan.add(Due(at_ms * MS, number, reject))
    while (part := plan.take(now_ms * MS)) is not None:
        plan.give(part, part.at_ns)
    change_ns = plan.change_ns(now_ms * MS)
    end_ns = change_ns if change_ns is not None else (now_ms + 500) * MS
    assert end_ns > now_ms * MS
    before = plan.levels(now_ms * MS)
    assert plan.levels(end_ns - 1) == before
    assert plan.take(end_ns - 1) is None
