"""How sure a model is of its answers, without labels, so that a wrong input shows.

Confidence alone misleads: pixel values 255 times too large make many models surer than ever. So a
classifier has to be sure *and* to answer differently for different pictures, and a detector has to
find the same boxes in the mirrored picture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgesdk.detections import Detections
from edgesdk.geometry import Placement, iou
from edgesdk.preprocess import Preprocess
from edgesdk.tensors import Array
from edgesdk.vision.decoders import (
    ClassDecoder,
    DetectionDecoder,
    make_decoder,
    with_known,
)

Reals: TypeAlias = NDArray[np.float64]
Image: TypeAlias = NDArray[np.uint8]
Answer: TypeAlias = Callable[[Image], tuple[Mapping[str, Array], Placement]]
"""Runs the model on a picture, BGR uint8 of shape (H, W, 3)."""

BEST_BOXES = 10
"""Boxes of a picture that count, those with the highest scores."""
SAME_BOX_IOU = 0.5
TINY = 1e-12


JUDGING = {"score_threshold": 0.05, "max_detections": 50}
"""Settings of a detector's decoder: faint boxes count too, but not all of the noise."""


class Judge(Protocol):
    """Turns a model's answers into one score for each picture."""

    @property
    def measure(self) -> str:
        """What the score is, for people."""
        ...

    @property
    def least(self) -> float:
        """Scores below it mean nothing: the model finds too little in the pictures."""
        ...

    def scores(self, answer: Answer, images: Sequence[Image]) -> Reals:
        """Scores >= 0, shape (images,)."""
        ...


Judged: TypeAlias = ClassDecoder | DetectionDecoder


def judging_decoder(table: Mapping[str, Any], preprocess: Preprocess) -> Judged | None:
    """The decoder of a spec, set to judge with; None for a spec without one, and for one of
    inspection: its scores say nothing of how sure it is.

    Raises UnknownName or ConfigError for a decoder that does not exist or has wrong settings.
    """
    if not table:
        return None
    decoder = make_decoder(table, "the spec", preprocess)
    if decoder.task == "inspect":
        return None
    if decoder.task == "classify":
        return decoder
    found = make_decoder(with_known(table, JUDGING), "the spec", preprocess)
    return found if found.task == "detect" else None


def judge_of(decoder: Judged) -> Judge:
    """The judge for a decoder's task."""
    return ClassJudge(decoder) if decoder.task == "classify" else MirrorJudge(decoder)


@dataclass(frozen=True)
class ClassJudge:
    """Probability of the best class, times how far the answer is from the mean answer.

    The second factor is the Kullback-Leibler divergence, whose mean is the mutual information of
    picture and class: 0 for a model that always says the same, however sure it is.
    """

    decoder: ClassDecoder
    measure: str = "probability of the best class x divergence from the mean answer"
    least: float = 0.25
    """Two sure classes give .69. EfficientNet-Lite0 has 2.8 on ImageNet, .5 on CIFAR-10, and at
    most .15, with any preprocessing, on videos of one scene and on surfaces of tiles."""

    def scores(self, answer: Answer, images: Sequence[Image]) -> Reals:
        """See the class."""
        rows = [self.decoder.decode(*answer(image)).scores for image in images]
        chances = np.nan_to_num(np.array(rows, np.float64), posinf=0, neginf=0).clip(0, None)
        chances /= np.maximum(chances.sum(axis=1, keepdims=True), TINY)
        ratios = (chances + TINY) / (chances.mean(axis=0) + TINY)
        scores: Reals = chances.max(axis=1) * (chances * np.log(ratios)).sum(axis=1).clip(0, None)
        return scores


@dataclass(frozen=True)
class MirrorJudge:
    """Sum of the best scores of boxes that are found again, mirrored, in the mirrored picture.

    Boxes that are found again in another picture just as well do not count: a model that finds the
    whole frame everywhere is sure of nothing.
    """

    decoder: DetectionDecoder
    measure: str = "scores of the best 10 boxes that are found in the mirrored picture too"
    least: float = 0.08
    """Nearly one sure box a picture. NanoDet-m has .31 on COCO, .17 on ImageNet, and at most .06,
    with any preprocessing, on surfaces of tiles."""

    def scores(self, answer: Answer, images: Sequence[Image]) -> Reals:
        """See the class."""
        found, again = [], []
        for image in images:
            turned = np.ascontiguousarray(image[:, ::-1])
            found.append(_relative(self.decoder.decode(*answer(image)), image))
            again.append(_relative(self.decoder.decode(*answer(turned)), image))
        same = [confirmed(one, mirrored(two)) for one, two in zip(found, again, strict=True)]
        others = [*found[1:], *found[:1]] if len(found) > 1 else [Detections.empty()]
        chance = [confirmed(one, mirrored(two)) for one, two in zip(found, others, strict=True)]
        scores: Reals = np.maximum(np.array(same, np.float64) - np.array(chance, np.float64), 0)
        return scores


def confirmed(found: Detections, again: Detections) -> float:
    """Mean over BEST_BOXES of the lower score of two boxes of one class that overlap."""
    best = found[np.argsort(-found.score, kind="stable")[:BEST_BOXES]]
    if not len(best) or not len(again):
        return 0.0
    same = iou(best.xyxy, again.xyxy) > SAME_BOX_IOU
    same &= best.class_id[:, None] == again.class_id[None]
    scores = np.where(same, again.score[None], 0).max(axis=1)
    return float(np.minimum(scores, best.score).sum() / BEST_BOXES)


def mirrored(boxes: Detections) -> Detections:
    """Left and right exchanged, of boxes in shares of the picture's size."""
    left, top, right, bottom = boxes.xyxy.T
    return replace(boxes, xyxy=np.stack([1 - right, top, 1 - left, bottom], axis=1))


def _relative(boxes: Detections, image: Image) -> Detections:
    """In shares of the picture's size."""
    height, width = image.shape[:2]
    size = np.array([width, height, width, height], np.float32)
    return replace(boxes, xyxy=boxes.xyxy / size)
