"""How far a model agrees with the float model: a figure that needs no labels.

The float model's answer stands in for the truth, so its own figure is 1 by definition. What both
models get wrong alike does not blur it, so it is far less noisy than a figure against labels:
candidates are ranked by it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgesdk.accuracy.detection import Card, CardTable
from edgesdk.accuracy.output_error import COUNT, ERROR, REFERENCE, REFERENCE_SUM, Row
from edgesdk.detections import Detections
from edgesdk.tensors import Array

NAME = "agreement"
SURE = 0.3
"""The float model's boxes from this score on count as truth: the decoders' own threshold."""


def sure_boxes(found: Detections) -> Detections:
    """The boxes that the float model is sure of."""
    return found[found.score >= SURE]


class Itself:
    """The float model against itself: 1 in whatever multiset."""

    names = (NAME,)

    def figures(self, weights: Array) -> Array:
        """Ones; shape (R, N) to (R, 1)."""
        return np.ones((len(weights), 1))

    def unseen(self) -> float:
        """Nothing hides."""
        return 0.0


class BoxAgreement:
    """Average precision (50-95) with the float model's sure boxes as truth, all classes as one.

    A box counts only where its class is right too, but all classes share one ranking: with some
    boxes for each class, the mean over classes depends on how many pictures there are (.85 on
    192, .87 on 64 of them), and no interval would hold.
    """

    names = (NAME,)

    def __init__(self, cards: Sequence[Card]) -> None:
        self._table = CardTable([card.pooled() for card in cards])

    def figures(self, weights: Array) -> Array:
        """0..1, NaN where the float model is sure of no box; shape (R, N) to (R, 1)."""
        return self._table.figures(weights)[:, :1]

    def unseen(self) -> float:
        """As for any average precision."""
        return self._table.unseen()


class OutputAgreement:
    """1 - energy of the error / energy of what varies in the float output (R squared).

    The mean over output groups, each at least 0. A group's mean is taken out, since a constant
    would agree without saying anything. Groups that are constant in the float model do not count.
    """

    names = (NAME,)

    def __init__(self, rows: Sequence[Sequence[Row]]) -> None:
        """`rows`: for each of N pictures, the row of each of G groups."""
        self._rows = np.array(rows, np.float64)

    def figures(self, weights: Array) -> Array:
        """0..1, NaN where no group varies; shape (R, N) to (R, 1)."""
        columns = self._rows[:, :, [COUNT, REFERENCE, ERROR, REFERENCE_SUM]]
        sums = np.einsum("rn,ngc->rgc", np.asarray(weights, np.float64), columns)
        count, energy, error, total = np.moveaxis(sums, 2, 0)
        varying = energy - total * total / count
        usable = varying > 1e-12 * energy
        shares = 1 - np.divide(error, varying, out=np.zeros_like(error), where=usable)
        groups = usable.sum(axis=1)
        with np.errstate(invalid="ignore"):
            mean = np.where(usable, np.clip(shares, 0, 1), 0).sum(axis=1) / groups
        return np.asarray(mean[:, None], np.float64)

    def unseen(self) -> float:
        """Nothing: any error at all lowers it."""
        return 0.0
