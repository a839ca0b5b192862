"""Detectors with their suppression inside that give boxes, scores and classes apart.

TensorRT's EfficientNMS plugin, TensorFlow's detection graphs, torchvision's detectors and RT-DETR's
own export (labels, boxes, scores): boxes 1 x K x 4, scores 1 x K, classes 1 x K, and where K is
fixed often the number of those that count; each also without the leading 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgesdk.detections import Detections
from edgesdk.errors import ModelError
from edgesdk.geometry import Placement
from edgesdk.preprocess import Preprocess
from edgesdk.tensors import Array
from edgesdk.vision.boxes import BoxForm, corners, in_pixels
from edgesdk.vision.nms import BoxSettings, best_detections
from edgesdk.vision.outputs import by_word, falling, listed


@dataclass(frozen=True)
class Settings(BoxSettings):
    """Keys of [decoder] with type = "efficientnms"."""

    boxes: str = ""
    """Name of the boxes' output; empty: the one with "box" in its name."""
    scores: str = ""
    """Name of the scores' output; empty: the one with "score" in its name."""
    classes: str = ""
    """Name of the classes' output; empty: the one with "class" or "label" in its name."""
    count: str = ""
    """Name of the output with the number of boxes; empty: one with "num" in its name, if any."""
    box_form: BoxForm = "xyxy"
    """Order of a box's numbers; "yxyx" for TensorFlow's graphs."""
    normalized: bool = False
    """The boxes are shares 0..1 of the input, as TensorFlow's; false: pixels."""
    first_class: int = 0
    """Number that the graph gives to the first label; 1 where 0 is the background."""


class Decoder:
    """Boxes from outputs that are apart."""

    task: Literal["detect"] = "detect"

    def __init__(self, settings: Settings, preprocess: Preprocess) -> None:
        self._settings = settings
        self._width, self._height = preprocess.width, preprocess.height

    def decode(self, outputs: Mapping[str, Array], placement: Placement) -> Detections:
        """Boxes in pixels of the picture. Raises ModelError when the outputs are not these."""
        raw, score, class_id = self._parts(outputs)
        boxes = corners(raw, self._settings.box_form)
        if self._settings.normalized:
            boxes = in_pixels(boxes, self._width, self._height)
        numbers = np.nan_to_num(class_id).astype(np.int64) - self._settings.first_class
        labelled = numbers >= 0
        score = score.astype(np.float32, copy=False)
        return best_detections(
            boxes[labelled], score[labelled], numbers[labelled], placement, self._settings
        )

    def groups(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """The scores in falling order: a small change of one lets all rows change places."""
        return {"scores": falling(self._parts(outputs)[1], self._settings.max_detections)}

    def _parts(self, outputs: Mapping[str, Array]) -> tuple[Array, Array, Array]:
        """Boxes (K, 4), scores (K,) and classes (K,) of what was found."""
        told = self._settings
        boxes = by_word(outputs, told.boxes, "boxes", ("box",))
        score = by_word(outputs, told.scores, "scores", ("score",))
        classes = by_word(outputs, told.classes, "classes", ("class", "label"))
        found = score.size
        if told.count or any("num" in name.lower() for name in outputs):
            found = _number(by_word(outputs, told.count, "count", ("num",)))
        if boxes.size != 4 * score.size or classes.size != score.size or boxes.shape[-1:] != (4,):
            raise ModelError(
                "boxes, scores and classes should have shapes 1xKx4, 1xK and 1xK for one "
                f"picture; found {listed(outputs)}",
                "check the decoder's type, and its keys boxes, scores and classes",
            )
        if not 0 <= found <= score.size:
            raise ModelError(
                f"the graph says that {found} of its {score.size} boxes count",
                "check the decoder's key count",
            )
        return boxes.reshape(-1, 4)[:found], score.ravel()[:found], classes.ravel()[:found]


def _number(count: Array) -> int:
    """How many boxes count, by an output of one number; -1: it is none."""
    return int(count.ravel()[0]) if count.size == 1 and np.isfinite(count).all() else -1
