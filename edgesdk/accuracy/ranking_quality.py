"""How well scores tell bad from good, whatever the threshold: the area under the ROC curve."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgesdk.accuracy.classification import unseen_share
from edgesdk.tensors import Array

NAME = "AUROC"


class ScoreTable:
    """Scores of N pictures, some of good parts and some of bad ones.

    The area is the chance that a bad part has a higher score than a good one, ties counted half
    (Mann and Whitney's U; Hanley and McNeil, Radiology 143, 1982).
    """

    names = (NAME,)

    def __init__(self, scores: Sequence[float] | Array, bad: Sequence[bool] | Array) -> None:
        values = np.asarray(scores, np.float64)
        order = np.argsort(values, kind="stable")
        self._order = order
        self._bad = np.asarray(bad, np.bool_)[order]
        ordered = values[order]
        self._ties: NDArray[np.int64] = np.flatnonzero(
            np.concatenate([[True], ordered[1:] != ordered[:-1]])
        )

    def figures(self, weights: Array) -> Array:
        """0..1, NaN without a good or a bad one among them; shape (R, N) to (R, 1)."""
        drawn = np.asarray(weights, np.float64)[:, self._order]
        bad = np.add.reduceat(drawn * self._bad, self._ties, axis=1)
        good = np.add.reduceat(drawn * ~self._bad, self._ties, axis=1)
        lower = np.cumsum(good, axis=1) - good / 2
        pairs = bad.sum(axis=1) * good.sum(axis=1)
        with np.errstate(invalid="ignore"):
            area: Array = (bad * lower).sum(axis=1) / np.where(pairs > 0, pairs, np.nan)
        return area[:, None]

    def unseen(self) -> float:
        """A change of the order that none of the pictures shows."""
        return unseen_share(len(self._bad))


def auroc(scores: Sequence[float] | Array, bad: Sequence[bool] | Array) -> float:
    """The area of all scores together, 0..1; NaN without a good or a bad one."""
    return float(ScoreTable(scores, bad).figures(np.ones((1, len(bad))))[0, 0])
