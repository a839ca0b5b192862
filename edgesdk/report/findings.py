"""Whether a measurement may be quoted: what was seen, what it means and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgesdk.report.activity import Activity
from edgesdk.report.machine import ClockDomain, Machine
from edgesdk.report.measure import Samples
from edgesdk.report.statistics import Quantile, Samples1D, Summary, quantile

MAX_CV_PERCENT = 2.5
"""trtexec calls a run unstable above this coefficient of variation."""
MAX_SHIFT_PERCENT = 2.5
"""A median that moves by less is within what the spread above allows anyway."""
MAX_OTHERS_PERCENT = 5.0
"""Of all processors: a tenth of one of two."""
MAX_STEAL_PERCENT = 0.5
MAX_LOAD_PER_CORE = 0.25


@dataclass(frozen=True)
class Finding:
    """One reason to doubt a measurement, or one thing to know about it."""

    code: str
    """Short and stable, e.g. "drift"."""
    level: Literal["warning", "note"]
    """warning: mend it before you quote the numbers. note: quote it with them."""
    seen: str
    means: str
    do: str


def find(
    samples: Samples, total: Summary, machine: Machine, activity: Activity
) -> tuple[Finding, ...]:
    """All findings about one run, warnings first."""
    found = (
        _too_few(total),
        _unsteady(total),
        _drift(samples.total_ms),
        _warming(samples.total_ms, len(samples.warmup_ns)),
        _busy(activity, machine),
        _stolen(activity),
        _free_clocks(machine),
        _hidden_clocks(machine),
    )
    return tuple(sorted((f for f in found if f), key=lambda finding: finding.level != "warning"))


def _too_few(total: Summary) -> Finding | None:
    missing = [q for q in (total.median, total.p90, total.p95, total.p99) if q.ms is None]
    if not missing:
        return None
    names = ", ".join(name_of(q) for q in missing)
    return Finding(
        "too-few-samples",
        "warning",
        f"{total.count} samples; {names} cannot be stated from them",
        "The true percentile may lie above every sample, so any number would be a guess.",
        f"measure at least {max(q.needs for q in missing)} iterations",
    )


def _unsteady(total: Summary) -> Finding | None:
    if total.cv_percent <= MAX_CV_PERCENT:
        return None
    return Finding(
        "unsteady",
        "warning",
        f"the latency varies by {total.cv_percent:.1f} % (standard deviation / mean)",
        f"Above {MAX_CV_PERCENT} % trtexec calls a run unstable: another run may well give another "
        "mean, so compare medians and their intervals, not means.",
        "close other programs, lock the clocks, and measure for longer (--duration 60)",
    )


def _drift(ms: Samples1D) -> Finding | None:
    third = len(ms) // 3
    shift = _shift(ms[:third], ms[len(ms) - third :])
    if shift is None:
        return None
    return Finding(
        "drift",
        "warning",
        f"from the first to the last third of the run the median became {shift}",
        "The machine changed while it was measured: heat, clocks or other load. One number for the "
        "whole run describes neither state.",
        "let it run hot first (a larger --warmup), watch its clocks and temperature, measure again",
    )


def _warming(ms: Samples1D, warmup: int) -> Finding | None:
    third, tenth = len(ms) // 3, len(ms) // 10
    shift = _shift(ms[:tenth], ms[tenth:third])
    # Slower later is drift; only what becomes faster was still warming up.
    if shift is None or not shift.faster:
        return None
    return Finding(
        "warm-up",
        "warning",
        f"soon after the warm-up of {warmup} iterations the median became {shift}",
        "Caches, memory or clocks were not in their steady state when the measurement began.",
        f"a longer warm-up: --warmup {max(2 * (warmup + tenth), 50)}",
    )


@dataclass(frozen=True)
class _Shift:
    before_ms: float
    after_ms: float

    @property
    def faster(self) -> bool:
        return self.after_ms < self.before_ms

    def __str__(self) -> str:
        percent = abs(100 * (self.after_ms / self.before_ms - 1))
        word = "faster" if self.faster else "slower"
        return f"{percent:.1f} % {word} ({self.before_ms:.2f} ms to {self.after_ms:.2f} ms)"


def _shift(early: Samples1D, late: Samples1D) -> _Shift | None:
    """How the median moved, when that is neither small nor explained by the intervals."""
    before, after = quantile(np.sort(early), 50), quantile(np.sort(late), 50)
    if not (before.ms and after.ms and _apart(before, after)):
        return None
    small = abs(100 * (after.ms / before.ms - 1)) < MAX_SHIFT_PERCENT
    return None if small else _Shift(before.ms, after.ms)


def _apart(a: Quantile, b: Quantile) -> bool:
    if a.low_ms is None or a.high_ms is None or b.low_ms is None or b.high_ms is None:
        return False
    return a.high_ms < b.low_ms or b.high_ms < a.low_ms


def _busy(activity: Activity, machine: Machine) -> Finding | None:
    means = "Others took processor time and cache from the run; slow samples may be theirs."
    do = "stop other programs and measure again"
    others, load = activity.others_percent, activity.load_1min
    if others is not None:
        seen = f"other processes used {others:.1f} % of the processors during the run"
        busy = others > MAX_OTHERS_PERCENT
    else:
        seen = f"the load average was {load} before the run"
        busy = load is not None and load > MAX_LOAD_PER_CORE * max(machine.cores, 1)
    return Finding("busy-machine", "warning", seen, means, do) if busy else None


def _stolen(activity: Activity) -> Finding | None:
    steal = activity.steal_percent
    if steal is None or steal <= MAX_STEAL_PERCENT:
        return None
    return Finding(
        "stolen-time",
        "warning",
        f"the hypervisor took {steal:.1f} % of the processors' time away during the run",
        "Neighbours on the same host slowed it down; no statistic can take that out again.",
        "measure on a machine of its own, or at a quieter time",
    )


def _free_clocks(machine: Machine) -> Finding | None:
    free = [clock for clock in machine.clocks if not clock.locked]
    if not free:
        return None
    do = "sudo jetson_clocks" if machine.board else "sudo cpupower frequency-set -g performance"
    return Finding(
        "clocks-free",
        "warning",
        f"clocks that may move: {', '.join(map(_describe, free[:4]))}"
        + (f" and {len(free) - 4} more" if len(free) > 4 else ""),
        "A governor that saves power makes short work slow: the same engine took 4.7 ms or "
        "21.7 ms, depending on the clock it was left at.",
        f"{do}, then measure again; or quote the governor with the numbers",
    )


def _hidden_clocks(machine: Machine) -> Finding | None:
    if any(clock.unit == "cpu" for clock in machine.clocks):
        return None
    where = " (a virtual machine)" if machine.virtual else ""
    return Finding(
        "clocks-unknown",
        "note",
        f"no CPU clock can be read on this machine{where}",
        "Whether the clock stayed the same during the run is not known.",
        "compare these numbers only with others of this very machine",
    )


def _describe(clock: ClockDomain) -> str:
    return f"{clock.name} {clock.min_mhz:.0f} to {clock.max_mhz:.0f} MHz ({clock.governor})"


def name_of(q: Quantile) -> str:
    """ "median" or "p99"."""
    return "median" if q.percent == 50 else f"p{q.percent}"
