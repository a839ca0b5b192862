"""The measuring loop, with a clock that only the stages move."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from edgesdk.report import MeasureSettings, measure

MS = 1_000_000


class Bench:
    """A fake clock and stages that take a known time of it."""

    def __init__(self) -> None:
        self.now = 5_000
        self.seen: list[Any] = []

    def clock(self) -> int:
        return self.now

    def takes(self, *times_ms: float) -> Callable[[Any], Any]:
        calls = iter(range(10**9))

        def stage(value: Any) -> Any:
            self.now += int(times_ms[min(next(calls), len(times_ms) - 1)] * MS)
            self.seen.append(value)
            return f"{value}+"

        return stage


def test_each_stage_has_its_time_and_they_add_up() -> None:
    bench = Bench()
    stages = {"preprocess": bench.takes(2), "inference": bench.takes(20), "decode": bench.takes(3)}
    found = measure(stages, ["a"], MeasureSettings(0, 5), clock=bench.clock)
    assert found.stages == ("preprocess", "inference", "decode")
    assert found.stage_ms("inference").tolist() == [20] * 5
    assert found.total_ms.tolist() == [25] * 5


def test_warm_up_is_timed_apart() -> None:
    bench = Bench()
    stages = {"inference": bench.takes(100, 50, 10)}
    found = measure(stages, ["a"], MeasureSettings(2, 4), clock=bench.clock)
    assert (found.warmup_ns / MS).tolist() == [100, 50]
    assert found.total_ms.tolist() == [10] * 4


def test_inputs_come_in_turn_and_each_stage_gets_what_the_last_one_made() -> None:
    bench = Bench()
    stages = {"first": bench.takes(1), "second": bench.takes(1)}
    measure(stages, ["a", "b"], MeasureSettings(0, 3), clock=bench.clock)
    assert bench.seen == ["a", "a+", "b", "b+", "a", "a+"]


def test_a_duration_ends_the_run() -> None:
    bench = Bench()
    settings = MeasureSettings(0, 1000, duration_s=0.1)
    found = measure({"inference": bench.takes(20)}, ["a"], settings, clock=bench.clock)
    assert len(found.ns) == 5


def test_even_the_shortest_duration_measures_twice() -> None:
    bench = Bench()
    settings = MeasureSettings(0, 1000, duration_s=0.001)
    found = measure({"inference": bench.takes(20)}, ["a"], settings, clock=bench.clock)
    assert len(found.ns) == 2


def test_iterations_end_a_run_before_its_duration() -> None:
    bench = Bench()
    settings = MeasureSettings(0, 3, duration_s=60)
    found = measure({"inference": bench.takes(20)}, ["a"], settings, clock=bench.clock)
    assert len(found.ns) == 3


def test_progress_is_told_rarely_and_outside_what_is_timed() -> None:
    bench = Bench()
    told: list[tuple[int, int]] = []

    def slow_progress(done: int) -> None:
        told.append((done, bench.now))
        bench.now += 77 * MS

    found = measure(
        {"inference": bench.takes(10)},
        ["a"],
        MeasureSettings(0, 200),
        clock=bench.clock,
        progress=slow_progress,
    )
    assert found.total_ms.tolist() == [10] * 200
    assert told
    assert all(late - early >= 250 * MS for (_, early), (_, late) in pairwise(told))


def test_what_a_stage_raises_passes_through() -> None:
    def broken(value: Any) -> Any:
        raise ArithmeticError("in the stage")

    with pytest.raises(ArithmeticError, match="in the stage"):
        measure({"inference": broken}, [1], MeasureSettings(0, 2))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"warmup": -1}, "warmup should not be negative"),
        ({"iterations": 1}, "iterations should be 2"),
        ({"iterations": 10**9}, "iterations should be 2..200000"),
        ({"duration_s": 0.0}, "duration_s should be positive"),
        ({"duration_s": float("nan")}, "duration_s should be positive"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        MeasureSettings(**settings)


def test_nothing_to_measure_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one input and one stage"):
        measure({"inference": str}, [], MeasureSettings())


def test_the_real_clock_is_monotonic_and_sees_work() -> None:
    found = measure({"sum": lambda n: np.arange(n).sum()}, [1000], MeasureSettings(1, 20))
    assert (found.ns > 0).all()
