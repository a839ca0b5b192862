"""A threshold for scores of good parts, and what it promises.

Scores of n good parts that had no part in the fit, in order: s(1) <= ... <= s(n). With the
threshold just above s(j), the share of all good parts that it turns down follows the Beta
distribution with the parameters n + 1 - j and j, whatever the distribution of the scores is (the
coverage of an order statistic; Wilks, "Determination of sample sizes for setting tolerance
limits", 1941). Its mean is (n + 1 - j) / (n + 1), and its quantiles are bounds in the sense of
Clopper and Pearson.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgesdk.errors import DataError

LEVEL = 0.95
"""Of the interval: so often, the true rate lies inside."""
FEWEST = 10
"""Good parts, below which a threshold is a guess."""
STEPS = 60
"""Halvings of 0..1 that find a quantile to the last digit."""


@dataclass(frozen=True)
class Threshold:
    """From this score on a part is turned down."""

    value: float
    false_rejects: float
    """The share of good parts, 0..1, that was allowed."""
    pictures: int
    """Good ones that set it."""
    rejected: int
    """Of these, the good ones at or above it."""
    rate: float
    """The share of all good parts to expect above it."""
    rate_low: float
    """Interval of that share, at 95 %."""
    rate_high: float

    @property
    def promised(self) -> bool:
        """Whether the pictures suffice for the share that was allowed to be expected at most."""
        return self.rate <= self.false_rejects

    @property
    def note(self) -> str:
        """What the sample is too small for; empty: nothing."""
        if self.promised:
            return ""
        return (
            f"{self.pictures} good pictures cannot promise {self.false_rejects:.2%}: though none "
            f"of them is turned down, up to {self.rate_high:.2%} of good parts may be (rule of "
            f"three); {fewest_for(self.false_rejects)} or more are needed"
        )


def find_threshold(scores: Sequence[float], false_rejects: float) -> Threshold:
    """The lowest threshold that is expected to turn down at most this share of good parts.

    `scores` are those of good parts that were not fitted to. Where they are too few, it is the
    lowest above all of them, and `note` says so. Raises DataError for fewer than 10 scores and for
    scores that are no numbers.
    """
    ordered = np.sort(np.asarray(scores, np.float32))
    count = len(ordered)
    if count < FEWEST or not np.isfinite(ordered).all():
        raise DataError(
            f"a threshold needs the scores of {FEWEST} or more good pictures, found {count}"
            + ("" if np.isfinite(ordered).all() else ", some of them NaN or infinite"),
            "give more good pictures",
        )
    # (n + 1 - j) / (n + 1) <= rate, and 1e-9 for a product such as 200 * 0.005 that is not exact.
    below = min(count, max(1, math.ceil((count + 1) * (1 - false_rejects) - 1e-9)))
    value = float(np.nextafter(ordered[below - 1], np.float32(np.inf)))
    above = count + 1 - below
    tail = (1 - LEVEL) / 2
    return Threshold(
        value=value,
        false_rejects=false_rejects,
        pictures=count,
        rejected=int((ordered >= value).sum()),
        rate=above / (count + 1),
        rate_low=beta_quantile(tail, above, below),
        rate_high=beta_quantile(1 - tail, above, below),
    )


def fewest_for(false_rejects: float) -> int:
    """Good pictures that it takes to expect at most this share, 0..1, above a threshold."""
    return math.ceil(1 / false_rejects) - 1


def rate_interval(events: int, trials: int) -> tuple[float, float]:
    """Clopper and Pearson's interval, at 95 %, of a rate that gave `events` in `trials`."""
    tail = (1 - LEVEL) / 2
    low = beta_quantile(tail, events, trials - events + 1) if events else 0.0
    high = beta_quantile(1 - tail, events + 1, trials - events) if events < trials else 1.0
    return low, high


def beta_quantile(share: float, a: int, b: int) -> float:
    """The quantile of a Beta distribution with whole parameters, by bisection.

    P(Beta(a, b) <= x) is the chance of `a` or more successes in a + b - 1 trials of chance x.
    """
    low, high = 0.0, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        if _at_least(a, a + b - 1, middle) < share:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _at_least(successes: int, trials: int, chance: float) -> float:
    if not 0 < chance < 1:
        return float(chance >= 1 or successes == 0)
    k = np.arange(successes)
    ways = math.lgamma(trials + 1) - np.array(
        [math.lgamma(i + 1) + math.lgamma(trials - i + 1) for i in k]
    )
    fewer = np.exp(ways + k * math.log(chance) + (trials - k) * math.log1p(-chance)).sum()
    return float(1 - fewer)
