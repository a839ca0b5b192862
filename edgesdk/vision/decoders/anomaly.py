"""Models that score how far a picture is from good, such as `edgesdk fit` makes.

Two outputs: a score (N,), the higher the worse, and a heat map (N, 1, h, w) with the same by place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from edgesdk.geometry import Placement
from edgesdk.preprocess import Preprocess
from edgesdk.tensors import Array
from edgesdk.vision.heat import over_picture
from edgesdk.vision.inspected import Inspected, LimitSettings
from edgesdk.vision.outputs import output


@dataclass(frozen=True)
class Settings(LimitSettings):
    """Keys of [decoder] with type = "anomaly"."""

    score: str = "score"
    """Name of the output with the score."""
    heat: str = "heat"
    """Name of the output with the map; empty: the model has none."""


class Decoder:
    """Score and heat of one picture."""

    task: Literal["inspect"] = "inspect"

    def __init__(self, settings: Settings, preprocess: Preprocess) -> None:
        self.limit: LimitSettings = settings
        self._settings = settings
        self._preprocess = preprocess

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
