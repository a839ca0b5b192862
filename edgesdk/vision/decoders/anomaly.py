"""Models that score how far a picture is from good, such as `edgesdk fit` makes.

Two outputs: a score (N,), the higher the worse, and a heat map (N, 1, h, w) with the same by place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgesdk.geometry import Placement
from edgesdk.preprocess import Preprocess
from edgesdk.tensors import Array
from edgesdk.vision.heat import over_picture
from edgesdk.vision.inspected import Inspected
from edgesdk.vision.outputs import output


@dataclass(frozen=True)
class Settings:
    """Keys of [decoder] with type = "anomaly"."""

    threshold: float
    """A score from here on is a reject."""
    score: str = "score"
    """Name of the output with the score."""
    heat: str = "heat"
    """Name of the output with the map; empty: the model has none."""
    false_rejects: float = 0.0
    """Share of good parts, 0..1, that the threshold may turn down: `edgesdk build` sets it anew
    for the graph that is shipped. 0: the threshold was set by hand and stays."""

    def __post_init__(self) -> None:
        if not np.isfinite(self.threshold):
            raise ValueError(f"threshold should be a number, found {self.threshold}")
        if not 0 <= self.false_rejects < 1:
            raise ValueError(f"false_rejects should be 0 to below 1, found {self.false_rejects:g}")


class Decoder:
    """Score and heat of one picture."""

    task: Literal["inspect"] = "inspect"

    def __init__(self, settings: Settings, preprocess: Preprocess) -> None:
        self._settings = settings
        self._preprocess = preprocess

    @property
    def threshold(self) -> float:
        """A score from here on is a reject."""
        return self._settings.threshold

    @property
    def false_rejects(self) -> float:
        """Share of good parts that the threshold may turn down; 0: it was set by hand."""
        return self._settings.false_rejects

    def decode(self, outputs: Mapping[str, Array], placement: Placement) -> Inspected:
        """Score and heat. Raises ModelError when an output is absent or misshapen."""
        score = float(output(outputs, self._settings.score, (1,))[0])
        if not self._settings.heat:
            return Inspected(score)
        heat = output(outputs, self._settings.heat, (1, 1, None, None))[0, 0]
        return Inspected(score, over_picture(heat, placement, self._preprocess))

    def groups(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """Score and heat apart."""
        return dict(outputs)
