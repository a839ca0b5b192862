"""Statistical process control: is the line still what it was when it was set up?

Two Shewhart charts over groups of parts that follow each other: the share of rejects (a p chart)
and the median score, which a few rejects do not move (its spread is that of the medians themselves,
since parts that follow each other are alike). A light that fades or a lens that gets dirty moves
the scores long before it moves the rejects. (Montgomery, "Introduction to Statistical Quality
Control", 7.2 and 6.2; the runs rule is that of the Western Electric handbook.)
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from dataclasses import dataclass, field

from edgesdk.inspection.verdict import Verdict

RUN_LENGTH = 8
"""So many groups in a row on one side of the middle are no chance: 2 * 0.5**8 is 0.8 %."""


@dataclass(frozen=True)
class ControlSettings:
    """How parts are grouped, and what they are held against."""

    group: int = 50
    """Parts in a group: with a usual reject rate of 2 %, one reject each."""
    baseline: int = 20
    """The first so many groups say what is usual; until then nothing is out of control."""
    sigmas: float = 3.0
    """Distance of the limits from the middle, in standard deviations."""
    kept: int = 200
    """Groups that are remembered for the chart."""

    def __post_init__(self) -> None:
        if self.group < 2 or self.baseline < 2 or self.sigmas <= 0 or self.kept < 1:
            raise ValueError(
                "group and baseline should be 2 or more, sigmas and kept positive; found"
                f" {self.group}, {self.baseline}, {self.sigmas:g} and {self.kept}"
            )


@dataclass(frozen=True)
class Group:
    """Parts that followed each other."""

    number: int
    """0-based, since the start."""
    last_part: int
    rejects: int
    """Whatever their reason: the score or the fail-safe."""
    share: float
    """Of rejects, 0..1."""
    median_score: float
    """Of those that have one; NaN where none has."""


@dataclass(frozen=True)
class Limits:
    """What is usual."""

    low: float
    middle: float
    high: float

    def beyond(self, value: float) -> bool:
        """True outside; NaN is not."""
        return value < self.low or value > self.high


@dataclass(frozen=True)
class Chart:
    """One of the two."""

    limits: Limits | None
    """None: the baseline is not complete."""
    alarm: str
    """One sentence; empty: in control."""


class ProcessControl:
    """Takes verdicts in their order. Memory does not grow with the parts."""

    def __init__(self, settings: ControlSettings | None = None) -> None:
        self.settings = settings or ControlSettings()
        self.groups: deque[Group] = deque(maxlen=self.settings.kept)
        """Complete ones, the oldest first."""
        self._baseline: list[Group] = []
        self._open = _Open()
        self._sides = {"share": 0, "score": 0}
        self.parts = 0
        self.rejects = 0

    def add(self, verdict: Verdict) -> Group | None:
        """Take in one part; the group that it completes, if it does."""
        rejected = verdict.outcome == "reject"
        self.parts += 1
        self.rejects += rejected
        self._open.add(rejected, verdict.score)
        if self._open.parts < self.settings.group:
            return None
        number = self.groups[-1].number + 1 if self.groups else 0
        group = self._open.closed(number, verdict.part)
        self._open = _Open()
        self.groups.append(group)
        if len(self._baseline) < self.settings.baseline:
            self._baseline.append(group)
        else:
            self._run("share", group.share, self.share.limits)
            self._run("score", group.median_score, self.score.limits)
        return group

    @property
    def share(self) -> Chart:
        """The p chart of rejects."""
        return self._chart("share", "reject rate", self._share_limits())

    @property
    def score(self) -> Chart:
        """The chart of scores."""
        return self._chart("score", "median score", self._score_limits())

    def _chart(self, what: str, title: str, limits: Limits | None) -> Chart:
        if limits is None or not self.groups or len(self.groups) <= len(self._baseline):
            return Chart(limits, "")
        last = self.groups[-1]
        value = last.share if what == "share" else last.median_score
        if limits.beyond(value):
            side = "above" if value > limits.high else "below"
            return Chart(
                limits, f"{title} of the last {self.settings.group} parts is {side} the limit"
            )
        if abs(self._sides[what]) >= RUN_LENGTH:
            side = "above" if self._sides[what] > 0 else "below"
            run = abs(self._sides[what])
            return Chart(limits, f"{title} has been {side} the middle for {run} groups")
        return Chart(limits, "")

    def _run(self, what: str, value: float, limits: Limits | None) -> None:
        """Groups in a row on one side: positive above, negative below."""
        if limits is None or math.isnan(value):
            return
        side, run = (value > limits.middle) - (value < limits.middle), self._sides[what]
        self._sides[what] = run + side if side and run * side >= 0 else side

    def _share_limits(self) -> Limits | None:
        if len(self._baseline) < self.settings.baseline:
            return None
        size = self.settings.group
        middle = sum(group.rejects for group in self._baseline) / (size * len(self._baseline))
        reach = self.settings.sigmas * math.sqrt(middle * (1 - middle) / size)
        return Limits(max(middle - reach, 0.0), middle, min(middle + reach, 1.0))

    def _score_limits(self) -> Limits | None:
        medians = [g.median_score for g in self._baseline if not math.isnan(g.median_score)]
        if len(self._baseline) < self.settings.baseline or len(medians) < 2:
            return None
        middle = statistics.fmean(medians)
        reach = self.settings.sigmas * statistics.stdev(medians)
        return Limits(middle - reach, middle, middle + reach)


@dataclass
class _Open:
    """The group that is not complete."""

    parts: int = 0
    rejects: int = 0
    scores: list[float] = field(default_factory=list)

    def add(self, rejected: bool, score: float) -> None:
        self.parts += 1
        self.rejects += rejected
        if not math.isnan(score):
            self.scores.append(score)

    def closed(self, number: int, last_part: int) -> Group:
        median = statistics.median(self.scores) if self.scores else math.nan
        return Group(number, last_part, self.rejects, self.rejects / self.parts, median)
