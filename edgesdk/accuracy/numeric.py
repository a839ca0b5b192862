"""How far a model's numbers are from those of the float model it was made from.

    SQNR   = 10 log10( sum reference^2 / sum (reference - other)^2 )      in dB
    cosine = sum reference * other / sqrt( sum reference^2 * sum other^2 )

Both are taken over all values of all pictures together, so a picture in which little happens
weighs little. As a rule of thumb a net at INT8 keeps its task's accuracy from 20 dB on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgesdk.errors import DataError, ModelError
from edgesdk.tensors import Array

LIMIT_DB = 200.0
"""SQNR is cut at +-this: equal outputs would be infinite, which JSON cannot say. float32's own
rounding is near 150 dB."""


@dataclass(frozen=True)
class Similarity:
    """The comparison of one output over all pictures that were added."""

    sqnr_db: float
    """Signal to noise in dB; 200 when all values are equal, -200 when the other has NaN or
    infinities, or noise where the reference is all zero."""
    cosine: float
    """-1..1; 1 when both are all zero, 0 when only one is or the other is not finite."""
    max_error: float | None
    """Greatest absolute difference; None when the other has NaN or infinities."""
    not_finite: int
    """How many values of the other are NaN or infinite, as after an overflow of FP16."""
    pictures: int


class OutputError:
    """Compares one output, picture by picture, in constant memory."""

    def __init__(self) -> None:
        self._signal = self._noise = self._dot = self._other = self._max = 0.0
        self._not_finite = self._pictures = 0

    def add(self, reference: Array, other: Array) -> None:
        """Take in one picture's output of both models; any shape, the same for both.

        Raises DataError when the shapes differ, ModelError when the reference is not finite.
        """
        if reference.shape != other.shape:
            raise DataError(
                f"outputs to compare should have one shape, found {reference.shape} and"
                f" {other.shape}"
            )
        a, b = reference.ravel().astype(np.float64), other.ravel().astype(np.float64)
        if not np.isfinite(a).all():
            raise ModelError(
                "the float model's own output has NaN or infinite values",
                "run the model on this picture where it was trained; its weights or its"
                " preprocessing are wrong",
            )
        self._pictures += 1
        self._not_finite += int(np.count_nonzero(~np.isfinite(b)))
        if self._not_finite:
            return
        self._signal += float(a @ a)
        self._other += float(b @ b)
        self._dot += float(a @ b)
        self._noise += float((a - b) @ (a - b))
        self._max = max(self._max, float(np.abs(a - b).max(initial=0.0)))

    def result(self) -> Similarity:
        """Over all that was added. Raises DataError when that is nothing."""
        if not self._pictures:
            raise DataError("no outputs were compared", "add at least one picture")
        return Similarity(
            sqnr_db=self._sqnr_db(),
            cosine=self._cosine(),
            max_error=None if self._not_finite else self._max,
            not_finite=self._not_finite,
            pictures=self._pictures,
        )

    def _sqnr_db(self) -> float:
        if self._not_finite:
            return -LIMIT_DB
        if self._noise == 0:
            return LIMIT_DB
        if self._signal == 0:
            return -LIMIT_DB
        # Logarithms are subtracted since the ratio of two tiny energies may overflow.
        ratio_db = 10 * (math.log10(self._signal) - math.log10(self._noise))
        return min(max(ratio_db, -LIMIT_DB), LIMIT_DB)

    def _cosine(self) -> float:
        if self._not_finite:
            return 0.0
        if self._noise == 0:
            return 1.0
        length = math.sqrt(self._signal) * math.sqrt(self._other)
        return min(max(self._dot / length, -1.0), 1.0) if length else 0.0


class OutputErrors:
    """Compares all outputs of two models by name."""

    def __init__(self) -> None:
        self._errors: dict[str, OutputError] = {}

    def add(self, reference: Mapping[str, Array], other: Mapping[str, Array]) -> None:
        """Take in one picture. Raises DataError when the names differ."""
        if reference.keys() != other.keys():
            raise DataError(
                f"the models to compare should have the same outputs, found"
                f" {', '.join(reference)} and {', '.join(other)}"
            )
        for name, value in reference.items():
            self._errors.setdefault(name, OutputError()).add(value, other[name])

    def result(self) -> dict[str, Similarity]:
        """By name of the output, in the order of the model."""
        return {name: error.result() for name, error in self._errors.items()}


def sqnr_db(reference: Array, other: Array) -> float:
    """Signal to quantization noise of one pair of arrays in dB, -200..200."""
    return _compared(reference, other).sqnr_db


def cosine(reference: Array, other: Array) -> float:
    """Cosine of the angle between one pair of arrays, -1..1."""
    return _compared(reference, other).cosine


def _compared(reference: Array, other: Array) -> Similarity:
    error = OutputError()
    error.add(reference, other)
    return error.result()
