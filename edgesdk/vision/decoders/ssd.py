"""SSD and its kin: an output with N boxes and one with the scores of their classes.

Boxes 1 x N x 4, decoded by the graph or, with [decoder.priors], offsets from the default boxes;
scores 1 x N x C, of which one column may be the background.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgesdk.detections import Detections
from edgesdk.errors import ModelError
from edgesdk.geometry import Boxes, Placement
from edgesdk.preprocess import Preprocess
from edgesdk.tensors import Array, Floats
from edgesdk.vision.activations import sigmoid, softmax
from edgesdk.vision.boxes import BoxForm, corners, in_pixels
from edgesdk.vision.nms import NmsSettings, best_detections
from edgesdk.vision.outputs import boxes_and_other
from edgesdk.vision.priors import Priors

SLACK = 1e-3
"""Logits are compared this much more leniently than their scores, which decide."""


@dataclass(frozen=True)
class Settings(NmsSettings):
    """Keys of [decoder] with type = "ssd"."""

    boxes: str = ""
    """Name of the boxes' output; empty: the one with 4 columns."""
    scores: str = ""
    """Name of the scores' output; empty: the other one."""
    box_form: BoxForm = "xyxy"
    """Order of a box's numbers. Of no meaning with `priors`."""
    normalized: bool = True
    """The boxes are shares 0..1 of the input; false: pixels. Of no meaning with `priors`."""
    activation: Literal["none", "softmax", "sigmoid"] = "none"
    """What makes scores of the output; "none": it is scores already."""
    background: Literal["first", "last", "none"] = "first"
    """Which column is no class: labels count the others."""
    priors: Priors | None = None
    """The boxes are offsets from these default boxes; left out: they are boxes."""


class Decoder:
    """Boxes from an SSD head."""

    task: Literal["detect"] = "detect"

    def __init__(self, settings: Settings, preprocess: Preprocess) -> None:
        self._settings = settings
        self._width, self._height = preprocess.width, preprocess.height
        told = settings.priors
        self._priors = told.boxes(self._width, self._height) if told else None

    def decode(self, outputs: Mapping[str, Array], placement: Placement) -> Detections:
        """Boxes in pixels of the picture. Raises ModelError when the outputs are not these."""
        boxes, raw = self._parts(outputs)
        likely = self._likely(raw)
        scores = self._scores(raw.take(likely, axis=0).astype(np.float32, copy=False))
        class_id = scores.argmax(axis=1)
        score = scores[np.arange(len(scores)), class_id]
        return best_detections(
            self._boxes(boxes, likely), score, class_id, placement, self._settings
        )

    def groups(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """Boxes and scores apart: their sizes differ too much to share one figure."""
        boxes, raw = self._parts(outputs)
        return {"boxes": boxes, "scores": raw}

    def _parts(self, outputs: Mapping[str, Array]) -> tuple[Array, Array]:
        told = self._settings
        boxes, raw = boxes_and_other(outputs, told.boxes, told.scores, "scores")
        if self._priors is not None and len(boxes) != len(self._priors):
            raise ModelError(
                f"the priors are {len(self._priors)} boxes, the model's output has {len(boxes)}",
                "check steps and ratios in [decoder.priors], and the input's size",
            )
        if raw.shape[1] < (1 if told.background == "none" else 2):
            raise ModelError(
                "the scores have no column beside the background",
                'set background = "none" in the spec\'s [decoder]',
            )
        return boxes, raw

    def _likely(self, raw: Array) -> NDArray[np.int64]:
        """Rows that may pass the threshold; never fewer than do."""
        told, least = self._settings, self._settings.score_threshold
        best = self._classes(raw).max(axis=1)
        if told.activation == "none":
            return np.flatnonzero(best >= least)
        if not 0 < least < 1:
            return np.arange(len(raw))
        if told.activation == "sigmoid":
            return np.flatnonzero(best >= log(least / (1 - least)) - SLACK)
        if told.background == "none":
            return np.arange(len(raw))
        # A class's share is at most its ratio to the background.
        behind = raw[:, 0] if told.background == "first" else raw[:, -1]
        return np.flatnonzero(best - behind >= log(least) - SLACK)

    def _classes(self, columns: Array) -> Array:
        parts = {"first": slice(1, None), "last": slice(None, -1), "none": slice(None)}
        return columns[:, parts[self._settings.background]]

    def _scores(self, raw: Floats) -> Floats:
        if self._settings.activation == "softmax":
            raw = softmax(raw)
        classes: Floats = self._classes(raw)
        return sigmoid(classes) if self._settings.activation == "sigmoid" else classes

    def _boxes(self, boxes: Array, which: NDArray[np.int64]) -> Boxes:
        told, chosen = self._settings, boxes.take(which, axis=0).astype(np.float32, copy=False)
        if told.priors is not None and self._priors is not None:
            return told.priors.decode(chosen, self._priors.take(which, axis=0))
        found = corners(chosen, told.box_form)
        return in_pixels(found, self._width, self._height) if told.normalized else found
