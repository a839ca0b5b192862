"""Classifiers: one output 1 x C of logits or probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgesdk.geometry import Placement
from edgesdk.preprocess import Preprocess
from edgesdk.tensors import Array
from edgesdk.vision.activations import softmax
from edgesdk.vision.classification import Classification
from edgesdk.vision.outputs import output


@dataclass(frozen=True)
class Settings:
    """Keys of [decoder] with type = "classes"."""

    softmax: bool = True
    """The output is logits and still needs the softmax; false: it is taken as it is."""
    output: str = ""
    """Name of the output; empty: the only one."""


class Decoder:
    """Scores from a classifier's head."""

    task: Literal["classify"] = "classify"

    def __init__(self, settings: Settings, preprocess: Preprocess) -> None:
        del preprocess  # a class has no place in the picture
        self._settings = settings

    def decode(self, outputs: Mapping[str, Array], placement: Placement) -> Classification:
        """Scores of all classes. Raises ModelError for another shape than 1xC."""
        del placement
        scores = output(outputs, self._settings.output, (1, None))[0].astype(np.float32)
        if self._settings.softmax:
            scores = softmax(scores)
        return Classification(scores)

    def groups(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """Each output as it is."""
        return dict(outputs)
