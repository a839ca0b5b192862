"""Whether a classifier is as often right as it says, and the temperature that makes it so."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgesdk.errors import DataError
from edgesdk.tensors import Array, Floats

BINS = 15
"""As in Guo et al.; each as wide."""
_LOW, _HIGH = 0.05, 20.0
"""Temperatures that are looked at."""


@dataclass(frozen=True, eq=False)
class Reliability:
    """Pictures by the confidence of their likeliest class; shapes (B,)."""

    counts: NDArray[np.int64]
    """So many pictures have their confidence in each bin."""
    confidence: NDArray[np.float64]
    """Mean of what the classifier says there, 0..1; NaN in an empty bin."""
    accuracy: NDArray[np.float64]
    """Share that is right there, 0..1; NaN in an empty bin."""

    @property
    def ece(self) -> float:
        """Expected calibration error, 0..1: the mean gap between the two, weighted by pictures."""
        gaps = np.nan_to_num(np.abs(self.confidence - self.accuracy))
        return float((self.counts * gaps).sum() / self.counts.sum())


def reliability(probabilities: Array, class_ids: Array, bins: int = BINS) -> Reliability:
    """Sort N pictures into bins of equal width (Guo et al., "On Calibration of Modern Neural
    Networks", ICML 2017). `probabilities` has shape (N, C), `class_ids` (N,) the true classes.

    A bin holds what is above its lower edge, up to its upper edge. Raises DataError for none.
    """
    probabilities, class_ids = _checked(probabilities, class_ids)
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == class_ids
    place = np.clip(np.ceil(confidence * bins) - 1, 0, bins - 1).astype(np.int64)
    counts = np.bincount(place, minlength=bins)
    some = np.where(counts > 0, counts, np.nan)
    return Reliability(
        counts,
        np.bincount(place, confidence, bins) / some,
        np.bincount(place, right, bins) / some,
    )


def fit_temperature(logits: Array, class_ids: Array) -> float:
    """The temperature that makes the true classes of N pictures likeliest: shapes (N, C), (N,).

    The pictures must be others than those that the model was trained on. The negative log
    likelihood is convex in 1/T (Guo et al.), so a golden-section search finds the least, in
    0.05 ... 20. Raises DataError for no pictures.
    """
    logits, class_ids = _checked(logits, class_ids)
    low, high, ratio = 1 / _HIGH, 1 / _LOW, (5**0.5 - 1) / 2
    for _ in range(80):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if log_loss(logits * left, class_ids) < log_loss(logits * right, class_ids):
            high = right
        else:
            low = left
    return 2 / (low + high)


def log_loss(logits: Array, class_ids: Array) -> float:
    """Mean negative log likelihood of the true classes, in nats: what `fit_temperature` makes
    small. Shapes (N, C), (N,)."""
    logits, class_ids = _checked(logits, class_ids)
    shifted = logits - logits.max(axis=1, keepdims=True)
    of_truth = np.take_along_axis(shifted, class_ids[:, None], axis=1)[:, 0]
    return float((np.log(np.exp(shifted).sum(axis=1)) - of_truth).mean())


def softmax(logits: Array, temperature: float = 1.0) -> Floats:
    """Probabilities of shape (N, C), as the decoder "classes" makes them."""
    powers = np.exp((logits - logits.max(axis=1, keepdims=True)) / temperature)
    found: Floats = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return found


def _checked(scores: Array, class_ids: Array) -> tuple[Array, Array]:
    scores, class_ids = np.asarray(scores, np.float64), np.asarray(class_ids, np.int64)
    if scores.ndim != 2 or class_ids.shape != scores.shape[:1] or not len(scores):
        raise DataError(
            "scores should have shape N x C and the classes N, with N at least 1;"
            f" found {scores.shape} and {class_ids.shape}"
        )
    return scores, class_ids
