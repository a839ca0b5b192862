"""Classifiers: one output 1 x C of logits or probabilities, and for some a map of each class."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgesdk.geometry import Placement
from edgesdk.preprocess import Preprocess
from edgesdk.tensors import Array, Floats
from edgesdk.vision.activations import softmax
from edgesdk.vision.classification import Classification
from edgesdk.vision.heat import over_picture
from edgesdk.vision.outputs import output


@dataclass(frozen=True)
class Settings:
    """Keys of [decoder] with type = "classes"."""

    softmax: bool = True
    """The output is logits and still needs the softmax; false: it is taken as it is."""
    output: str = ""
    """Name of the output; empty: the only one."""
    temperature: float = 1.0
    """Logits are divided by it, so that probabilities are as often right as they say; fitted on
    pictures that the model was not trained on (`edgesdk.accuracy.fit_temperature`). Above 1: the
    model is too sure of itself. It changes no order of classes."""
    heat: str = ""
    """Name of the output 1 x C x h x w that says the same by place; empty: there is none."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise ValueError(
                f"temperature should be a number above 0, found {self.temperature:g};"
                " 1 leaves the model's probabilities as they are"
            )
        if self.temperature != 1 and not self.softmax:
            raise ValueError(
                "temperature divides logits: it needs softmax = true, found probabilities"
            )


class Decoder:
    """Scores from a classifier's head."""

    task: Literal["classify"] = "classify"

    def __init__(self, settings: Settings, preprocess: Preprocess) -> None:
        self._settings = settings
        self._preprocess = preprocess

    def decode(self, outputs: Mapping[str, Array], placement: Placement) -> Classification:
        """Scores of all classes, and where they come from. Raises ModelError for other shapes."""
        name = self._settings.output or self._scores_of(outputs)
        scores = self._probable(output(outputs, name, (1, None))[0])
        if not self._settings.heat:
            return Classification(scores)
        heat = output(outputs, self._settings.heat, (1, len(scores), None, None))[0]
        maps = [over_picture(each, placement, self._preprocess) for each in self._probable(heat)]
        return Classification(scores, np.stack(maps))

    def _scores_of(self, outputs: Mapping[str, Array]) -> str:
        """The only output besides the heat map; empty where that is not one."""
        others = [name for name in outputs if name != self._settings.heat]
        return others[0] if self._settings.heat and len(others) == 1 else ""

    def _probable(self, evidence: Array) -> Floats:
        """Probabilities along the first axis, as a copy."""
        scores: Floats = evidence.astype(np.float32, copy=True)
        if self._settings.softmax:
            scores /= np.float32(self._settings.temperature)
            scores = np.moveaxis(softmax(np.moveaxis(scores, 0, -1)), -1, 0)
        return scores

    def groups(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """Each output as it is."""
        return dict(outputs)
