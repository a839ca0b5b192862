"""How far a figure can be trusted: the paired bootstrap over pictures.

Pictures are drawn with replacement, as many as there are, and both models are scored on the same
draw; what the pictures have in common (hard ones, easy ones) then cancels in the difference.
The interval is cut from the draws' percentiles. Tried on 250 sets of 64 out of 192 COCO pictures
(YOLOX-nano, float against INT8), the interval of 95 % held the drop on all 192 in 95 % of the
cases for mAP50-95, in 88 % for mAP50 and in 92 % for agreement. Efron's BCa held the first two in
85 % and 83 %: the correction for bias is itself too noisy here.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Protocol

import numpy as np

from edgesdk.bundle import TaskMetric
from edgesdk.tensors import Array

LEVEL = 0.95
"""Of the intervals: so often, the true figure should lie inside."""
DRAWS = 1000
FEWEST_DRAWS = 200
WORK = 5_000_000
"""Pictures scored in all draws together, at most (unless FEWEST_DRAWS ask for more)."""
CELLS = 2_000_000
"""Numbers of a block of draws: 16 MB."""
SEED = 20
"""Any would do; a fixed one makes a build repeatable."""


class Scores(Protocol):
    """Figures of one model on N pictures, for any multiset of them."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the figures, in the order of the columns."""
        ...

    def figures(self, weights: Array) -> Array:
        """One row of figures for each row of `weights`; shape (R, N) to (R, len(names)).

        NaN where a multiset has no such figure.
        """
        ...

    def unseen(self) -> float:
        """How large a difference may hide where not one picture shows any."""
        ...


def draw_weights(pictures: int, draws: int, seed: int = SEED) -> Iterator[Array]:
    """How often each picture is in each draw: blocks of integers, shape (some draws, pictures)."""
    rng = np.random.default_rng(seed)
    block = max(1, CELLS // pictures)
    for start in range(0, draws, block):
        size = min(block, draws - start)
        yield rng.multinomial(pictures, np.full(pictures, 1 / pictures), size=size)


def compare(
    reference: Scores, other: Scores, pictures: int, draws: int = DRAWS, *, exact: bool = False
) -> tuple[TaskMetric, ...]:
    """All figures of two models on the same pictures, with intervals where `draws` is not 0.

    A figure that cannot be computed on all pictures together is left out. Of very many pictures
    fewer draws are taken. `exact`: the outputs of both are the same but for rounding, so that no
    difference can hide.
    """
    draws = min(draws, max(FEWEST_DRAWS, WORK // max(pictures, 1))) if pictures > 1 else 0
    rows = []
    for weights in chain([np.ones((1, pictures))], draw_weights(pictures, draws)):
        rows.append((reference.figures(weights), other.figures(weights)))
    one, two = (np.concatenate(blocks) for blocks in zip(*rows, strict=True))
    found = []
    for column, name in enumerate(reference.names):
        a, b = one[:, column], two[:, column]
        if not np.isfinite(a[0] + b[0]):
            continue
        metric = TaskMetric(name, float(a[0]), float(b[0]))
        usable = np.isfinite(a + b)
        usable[0] = False  # what all pictures gave is no draw
        if usable.any():
            hidden = 0.0 if exact else other.unseen()
            metric = _with_intervals(metric, a[usable], b[usable], hidden)
        found.append(metric)
    return tuple(found)


def _with_intervals(metric: TaskMetric, before: Array, after: Array, hidden: float) -> TaskMetric:
    low, high = _interval(before - after)
    if low == high == 0:
        low, high = -hidden, hidden
    return TaskMetric(
        metric.name,
        metric.float_model,
        metric.bundle,
        low,
        high,
        _interval(before),
        _interval(after),
        LEVEL,
        len(before),
    )


def _interval(drawn: Array) -> tuple[float, float]:
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
