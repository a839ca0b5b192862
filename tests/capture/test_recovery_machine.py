"""When a camera is opened, given up and tried again: properties of the state machine alone."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesdk.capture import Recovery
from edgesdk.capture.recovery import Machine

SECOND = 1_000_000_000


class Clock:
    def __init__(self) -> None:
        self.ns = 5 * SECOND

    def __call__(self) -> int:
        return self.ns

    def go(self, seconds: float) -> None:
        self.ns += round(seconds * 1e9)


def machine(recovery: Recovery, chance: float = 0.5) -> tuple[Machine, Clock]:
    clock = Clock()
    return Machine(recovery, clock, lambda: chance), clock


def wait_and_open(one: Machine, clock: Clock) -> None:
    clock.go(one.wake_s() + 1e-6)
    assert one.tick() == "open"


def test_waits_double_up_to_the_cap() -> None:
    one, clock = machine(Recovery(first_s=0.5, factor=2, cap_s=30))
    waits = []
    for _ in range(9):
        wait_and_open(one, clock)
        waits.append(one.lost("refused"))
    assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


@given(
    st.floats(0.01, 100),
    st.floats(1, 100),
    st.floats(0.01, 1000),
    st.floats(0, 1),
    st.lists(st.floats(0, 1), min_size=1, max_size=100),
)
def test_no_wait_is_ever_longer_than_the_cap_or_further_off_than_the_jitter(
    first_s: float, factor: float, cap_s: float, jitter: float, chances: list[float]
) -> None:
    recovery = Recovery(first_s=first_s, factor=factor, cap_s=cap_s, jitter=jitter)
    clock = Clock()
    drawn = iter(chances)
    one = Machine(recovery, clock, lambda: next(drawn))
    for number in range(len(chances)):
        wait_and_open(one, clock)
        wait_s = one.lost("refused")
        plain_s = min(cap_s, first_s * factor ** min(number, 64))
        assert 0 <= wait_s <= cap_s
        assert plain_s * (1 - jitter) * 0.999 <= wait_s <= plain_s * (1 + jitter) * 1.001


def test_many_cameras_do_not_come_back_at_once() -> None:
    waits = []
    for chance in (0.0, 0.25, 0.5, 0.75, 1.0):
        one, clock = machine(Recovery(first_s=1, jitter=0.2), chance)
        wait_and_open(one, clock)
        waits.append(round(one.lost("refused"), 3))
    assert waits == [0.8, 0.9, 1.0, 1.1, 1.2]


@pytest.mark.parametrize(("streamed_s", "wait_s"), [(9.0, 4.0), (11.0, 0.5)])
def test_the_back_off_starts_anew_only_after_steady_frames(
    streamed_s: float, wait_s: float
) -> None:
    one, clock = machine(Recovery(first_s=0.5, steady_s=10, freeze_s=100))
    for _ in range(3):
        wait_and_open(one, clock)
        one.lost("refused")
    wait_and_open(one, clock)
    one.frame()
    clock.go(streamed_s)
    one.frame()
    assert one.lost("dropped") == wait_s


def test_silence_is_a_freeze_exactly_when_the_time_is_up() -> None:
    one, clock = machine(Recovery(freeze_s=5))
    wait_and_open(one, clock)
    for _ in range(10):
        one.frame()
        clock.go(4.999)
        assert one.tick() == "none"
    one.frame()
    clock.go(5.001)
    assert one.tick() == "kill"
    assert one.state == "frozen"


def test_frames_that_nobody_takes_are_no_freeze() -> None:
    one, clock = machine(Recovery(freeze_s=5))
    wait_and_open(one, clock)
    one.frame()
    for _ in range(10):
        clock.go(4)
        assert one.tick(held=True) == "none"
    clock.go(4.9)
    assert one.tick() == "none"
    clock.go(0.2)
    assert one.tick() == "kill"


def test_a_first_frame_is_no_reconnection_and_a_later_one_is() -> None:
    one, clock = machine(Recovery())
    wait_and_open(one, clock)
    one.lost("refused")
    wait_and_open(one, clock)
    one.frame()
    assert one.reconnects == 0
    one.lost("dropped")
    wait_and_open(one, clock)
    assert one.reconnects == 0
    one.frame()
    one.frame()
    assert one.reconnects == 1


FOLLOWS = {
    "waiting": {"connecting", "ended", "failed"},
    "connecting": {"streaming", "frozen", "waiting", "ended", "failed"},
    "streaming": {"frozen", "waiting", "ended", "failed"},
    "frozen": {"waiting", "ended", "failed"},
    "ended": set[str](),
    "failed": set[str](),
}


@given(
    st.lists(
        st.one_of(
            st.sampled_from(["tick", "frame", "lost", "again", "end", "fail"]), st.floats(0, 100)
        ),
        max_size=200,
    )
)
def test_whatever_happens_the_states_follow_the_drawing(events: list[str | float]) -> None:
    one, clock = machine(Recovery(kept_changes=1000))
    running = False
    for event in events:
        if isinstance(event, float):
            clock.go(event)
        elif event == "tick":
            action = one.tick()
            assert (action == "open") <= (not running)
            running = running or action == "open"
            if action == "kill":
                one.lost("silent")
                running = False
        elif event == "frame":
            one.frame()
        else:
            getattr(one, event)("because")
            running = False
        assert one.over or one.wake_s() <= 36
    states = ["waiting", *(change.state for change in one.history)]
    for before, after in pairwise(states):
        assert after in FOLLOWS[before] | ({"waiting"} if before == "waiting" else set())
    times = [change.at_ns for change in one.history]
    assert times == sorted(times)


def test_the_history_is_bounded_and_keeps_the_newest() -> None:
    one, clock = machine(Recovery(kept_changes=10))
    for number in range(500):
        wait_and_open(one, clock)
        one.lost(f"refused {number}")
    assert len(one.history) == 10
    assert "refused 499" in one.history[-1].reason


def test_a_year_of_failures_does_no_harm() -> None:
    one, clock = machine(Recovery(first_s=0.5, factor=10, cap_s=30))
    for _ in range(5000):
        wait_and_open(one, clock)
        assert one.lost("refused") <= 30


@pytest.mark.parametrize(
    ("field", "value"),
    [("first_s", 0), ("factor", 0.5), ("cap_s", -1), ("jitter", 1.5), ("freeze_s", 0)],
)
def test_a_setting_out_of_range_is_named(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        Recovery(**{field: value})  # type: ignore[arg-type]
