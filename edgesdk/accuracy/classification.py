"""How often a classifier is right."""

from __future__ import annotations

from edgesdk.errors import DataError
from edgesdk.vision.classification import Classification


class ClassificationMetric:
    """Top-1 accuracy, picture by picture."""

    def __init__(self) -> None:
        self._right = self._pictures = 0

    def add(self, found: Classification, truth: int) -> None:
        """Take in one picture with its true class. Raises DataError for a class out of range."""
        if not 0 <= truth < len(found.scores):
            raise DataError(
                f"the true class should be 0..{len(found.scores) - 1}, found {truth}",
                "check that the data's labels are those of the model",
            )
        self._pictures += 1
        self._right += int(found.top(1)[0]) == truth

    def result(self) -> dict[str, float]:
        """`top1`, 0..1. Raises DataError when no picture was added."""
        if not self._pictures:
            raise DataError("accuracy cannot be measured: no labelled picture was added")
        return {"top1": self._right / self._pictures}
