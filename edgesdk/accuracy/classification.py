"""Share of right answers, from one answer for each picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgesdk.tensors import Array


class AnswerTable:
    """Whether each of N pictures was answered right."""

    def __init__(self, right: Sequence[bool], name: str = "top-1") -> None:
        self.names = (name,)
        self._right = np.array(right, np.float64)

    def figures(self, weights: Array) -> Array:
        """Share of right answers in each multiset, 0..1; shape (R, N) to (R, 1)."""
        weights = np.asarray(weights, np.float64)
        share: Array = (weights @ self._right) / weights.sum(axis=1)
        return share[:, None]

    def unseen(self) -> float:
        """See `unseen_share`."""
        return unseen_share(len(self._right))


class TopOne:
    """Share of pictures whose highest score is that of the right class."""

    def __init__(self) -> None:
        self._right: list[bool] = []

    def add(self, scores: Array, class_id: int) -> None:
        """One picture: scores of all classes, shape (C,), and the right class."""
        self._right.append(int(np.argmax(scores)) == class_id)

    def result(self) -> dict[str, float]:
        """{"top-1": ...}, 0..1; empty before the first picture."""
        return {"top-1": sum(self._right) / len(self._right)} if self._right else {}


def unseen_share(pictures: int) -> float:
    """Share of pictures that could differ without one of N showing it (at 95 %, two-sided).

    Clopper and Pearson's bound for none of N: 1 - .025^(1/N). Resampling cannot find it.
    """
    return float(1 - 0.025 ** (1 / max(pictures, 1)))
