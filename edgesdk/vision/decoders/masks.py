"""Segmentation that inspects: one output 1 x C x h x w with a score of each class for each place.

The heat is the probability that a place belongs to any class but the good one (or the background).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgesdk.errors import ModelError
from edgesdk.geometry import Placement
from edgesdk.preprocess import Preprocess
from edgesdk.tensors import Array, Floats
from edgesdk.vision.heat import over_picture
from edgesdk.vision.inspected import Inspected, LimitSettings
from edgesdk.vision.outputs import output

LIKELY = 0.5
"""A place with this probability of a defect counts as defect for `measure = "share"`."""


@dataclass(frozen=True)
class Settings(LimitSettings):
    """Keys of [decoder] with type = "masks"."""

    good: int = 0
    """Index of the class of good places, background included."""
    measure: Literal["max", "share"] = "max"
    """What the score is: the largest probability of a defect, or the share of places, 0..1, that
    are more likely defect than not."""
    activation: Literal["softmax", "sigmoid", "none"] = "softmax"
    """What the output still needs: a softmax over the classes, a sigmoid for each (one channel is
    then that of the defect), or nothing."""
    output: str = ""
    """Name of the output; empty: the only one."""


class Decoder:
    """Where a defect is likely, and how likely."""

    task: Literal["inspect"] = "inspect"

    def __init__(self, settings: Settings, preprocess: Preprocess) -> None:
        self.limit: LimitSettings = settings
        self._settings = settings
        self._preprocess = preprocess

    def decode(self, outputs: Mapping[str, Array], placement: Placement) -> Inspected:
        """Score and heat, 0..1. Raises ModelError for another shape than 1xCxhxw."""
        scores = output(outputs, self._settings.output, (1, None, None, None))[0]
        heat = over_picture(self._defect(scores.astype(np.float32)), placement, self._preprocess)
        if self._settings.measure == "max":
            return Inspected(float(heat.max()), heat)
        return Inspected(float((heat >= LIKELY).mean()), heat)

    def groups(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """Each output as it is."""
        return dict(outputs)

    def _defect(self, scores: Floats) -> Floats:
        """Probability of a defect at each place, (C, h, w) to (h, w)."""
        kind = self._settings.activation
        if kind == "softmax":
            powers = np.exp(scores - scores.max(axis=0))
            scores = powers / powers.sum(axis=0)
        elif kind == "sigmoid":
            scores = 1 / (1 + np.exp(-scores.clip(-60, 60)))
        if len(scores) == 1:
            only: Floats = scores[0]
            return only
        if not 0 <= self._settings.good < len(scores):
            raise ModelError(
                f"the good class is {self._settings.good}, the output has {len(scores)} classes",
                "set `good` of [decoder] to the index of the good class or the background",
            )
        others = np.delete(scores, self._settings.good, axis=0)
        defect: Floats = others.sum(axis=0) if kind == "softmax" else others.max(axis=0)
        return defect
