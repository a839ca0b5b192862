"""The measuring loop: one picture at a time through the stages, each timed by one clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_ITERATIONS = 200_000
"""Bounds the memory of a long run: 8 bytes for each stage of each iteration, allocated at once."""
_TICK_NS = 250_000_000

Clock = Callable[[], int]
"""Monotonic time in ns; `time.perf_counter_ns`, or a test's own."""
Stages = Mapping[str, Callable[[Any], Any]]
"""Name -> what turns the previous stage's result (first: the input) into the next one's."""


@dataclass(frozen=True)
class MeasureSettings:
    """How long to measure."""

    warmup: int = 20
    """Iterations before the measurement; timed apart and in no statistic."""
    iterations: int = 400
    """Most iterations; 400 are enough for p99, which needs 368."""
    duration_s: float | None = None
    """Stop after this time even if `iterations` are not done (but measure at least two)."""

    def __post_init__(self) -> None:
        if self.warmup < 0:
            raise ValueError(f"warmup should not be negative, found {self.warmup}")
        if not 2 <= self.iterations <= MAX_ITERATIONS:
            raise ValueError(f"iterations should be 2..{MAX_ITERATIONS}, found {self.iterations}")
        if self.duration_s is not None and not self.duration_s > 0:
            raise ValueError(f"duration_s should be positive, found {self.duration_s}")


@dataclass(frozen=True, eq=False)
class Samples:
    """What the loop measured."""

    stages: tuple[str, ...]
    ns: NDArray[np.int64]
    """Time of each stage of each iteration, in order; shape (iterations, stages)."""
    warmup_ns: NDArray[np.int64]
    """Time of each warm-up iteration, all stages together; shape (warmup,)."""

    @property
    def total_ms(self) -> NDArray[np.float64]:
        """Latency of each iteration, all stages together; shape (iterations,)."""
        total: NDArray[np.float64] = self.ns.sum(axis=1) / 1e6
        return total

    def stage_ms(self, name: str) -> NDArray[np.float64]:
        """Latency of one stage; shape (iterations,)."""
        column: NDArray[np.float64] = self.ns[:, self.stages.index(name)] / 1e6
        return column


def measure(
    stages: Stages,
    inputs: Sequence[Any],
    settings: MeasureSettings,
    *,
    clock: Clock = time.perf_counter_ns,
    progress: Callable[[int], None] | None = None,
) -> Samples:
    """Time the stages on the inputs, taken in turn.

    One reading of the clock ends a stage and starts the next, so the stages add up to the total
    exactly. `progress` is told the iterations done, at most four times a second and outside what
    is timed. Whatever a stage raises passes through.
    """
    if not inputs or not stages:
        raise ValueError("measure needs at least one input and one stage")
    limit_ns = None if settings.duration_s is None else int(settings.duration_s * 1e9)
    warmup = _run(stages, inputs, settings.warmup, clock=clock)
    ns = _run(
        stages, inputs, settings.iterations, clock=clock, limit_ns=limit_ns, progress=progress
    )
    return Samples(tuple(stages), ns, warmup.sum(axis=1))


def _run(
    stages: Stages,
    inputs: Sequence[Any],
    count: int,
    *,
    clock: Clock,
    limit_ns: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> NDArray[np.int64]:
    calls = tuple(stages.values())
    ns = np.zeros((count, len(calls)), np.int64)
    began = told = clock()
    for done in range(count):
        mark = clock()
        if limit_ns is not None and done >= 2 and mark - began >= limit_ns:
            taken: NDArray[np.int64] = ns[:done].copy()
            return taken
        value = inputs[done % len(inputs)]
        for column, call in enumerate(calls):
            value = call(value)
            now = clock()
            ns[done, column] = now - mark
            mark = now
        if progress is not None and mark - told >= _TICK_NS:
            progress(done + 1)
            told = mark
    return ns
