"""Models fitted on good parts: one score a picture, and the same by place."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgesdk.geometry import Placement
from edgesdk.preprocess import Preprocess
from edgesdk.tensors import Array
from edgesdk.vision.inspected import Inspected
from edgesdk.vision.outputs import output


@dataclass(frozen=True)
class Settings:
    """Keys of [decoder] with type = "anomaly"."""

    score: str = "score"
    """Name of the output (N,), float32: the higher the worse."""
    heat: str = "heat"
    """Name of the output (N, 1, h, w), float32: the same by place."""
    threshold: float = math.inf
    """A score from here on is a reject."""


class Decoder:
    """Score and heat map of a picture."""

    task: Literal["inspect"] = "inspect"

    def __init__(self, settings: Settings, preprocess: Preprocess) -> None:
        del preprocess  # pictures of parts fill the model's input
        self._settings = settings

    def decode(self, outputs: Mapping[str, Array], placement: Placement) -> Inspected:
        """Of one picture; the heat map is a copy. Raises ModelError for other shapes."""
        del placement
        score = output(outputs, self._settings.score, (1,))
        heat = output(outputs, self._settings.heat, (1, 1, None, None))
        return Inspected(float(score[0]), heat[0, 0].astype(np.float32, copy=True))

    def groups(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """Each output as it is."""
        return dict(outputs)
