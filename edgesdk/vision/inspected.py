"""What an inspection model says of one picture of a part."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Inspected:
    """How far one picture is from good, and where."""

    score: float
    """The higher the worse; comparable with the model's threshold only."""
    heat: NDArray[np.float32] | None = None
    """The same by place, shape (h, w), over the part's picture from its left top to its right
    bottom; coarser than the picture. None: the model does not say where."""


@dataclass(frozen=True)
class LimitSettings:
    """Keys of [decoder] that all decoders of inspection have.

    Raises ValueError for a value out of range.
    """

    threshold: float = math.inf
    """A score from here on is a reject; infinite: the app's settings have to say."""
    false_rejects: float = 0.0
    """Share of good parts, 0..1, that the threshold may turn down: `edgesdk build` sets it anew
    for the graph that is shipped. 0: the threshold was set by hand and stays."""

    def __post_init__(self) -> None:
        if math.isnan(self.threshold):
            raise ValueError("threshold should be a number, found nan")
        if not 0 <= self.false_rejects < 1:
            raise ValueError(f"false_rejects should be 0 to below 1, found {self.false_rejects:g}")
