"""From pictures to what a model says of each as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgesdk.detections import Detections
from edgesdk.errors import ModelError
from edgesdk.geometry import Placement
from edgesdk.preprocess import Preprocess
from edgesdk.tensors import Array, PictureRunner, Runner
from edgesdk.vision.classification import Classification
from edgesdk.vision.decoders import ClassDecoder, DetectionDecoder
from edgesdk.vision.inspected import Inspected

COARSE = 4
"""Pixels of the picture for one of the heat map of boxes, both ways."""

Said = TypeVar("Said")
Said_co = TypeVar("Said_co", covariant=True)


class Reads(Protocol[Said_co]):
    """A decoder whose answer is about the whole picture: of the task "inspect" or "classify"."""

    def decode(self, outputs: Mapping[str, Array], placement: Placement) -> Said_co:
        """What the outputs for one picture say. Raises ModelError when they are not its head's."""
        ...


@dataclass(frozen=True)
class Good:
    """A classifier as an inspection model: the score is 1 - p(good)."""

    decoder: ClassDecoder
    good: int
    """Index of the class of parts that pass."""

    def decode(self, outputs: Mapping[str, Array], placement: Placement) -> Inspected:
        """A score 0..1 and no heat map. Raises ModelError as the classifier's decoder does."""
        classes: Classification = self.decoder.decode(outputs, placement)
        return Inspected(float(1 - classes.scores[self.good]))


@dataclass(frozen=True)
class Defects:
    """A detector as an inspection model: the score is that of the surest defect."""

    decoder: DetectionDecoder
    classes: tuple[int, ...]
    """Indices of those that are defects; the others are passed over."""

    def decode(self, outputs: Mapping[str, Array], placement: Placement) -> Inspected:
        """A score 0..1, 0 where no defect is found, and a heat map: in each box its score.

        Raises ModelError as the detector's decoder does.
        """
        found = self.decoder.decode(outputs, placement)
        found = found[np.isin(found.class_id, self.classes)]
        score = float(found.score.max()) if len(found) else 0.0
        return Inspected(score, _painted(found, placement.width, placement.height))


def _painted(found: Detections, width: int, height: int) -> NDArray[np.float32]:
    """The score of the best box over each place, 0 outside; shape (height / 4, width / 4)."""
    heat = np.zeros((-(-height // COARSE), -(-width // COARSE)), np.float32)
    for box, score in zip(found.xyxy / COARSE, found.score, strict=True):
        left, top = np.floor(box[:2]).astype(int)
        right, bottom = np.ceil(box[2:]).astype(int)
        inside = heat[top:bottom, left:right]
        np.maximum(inside, score, out=inside)
    return heat


@dataclass(frozen=True)
class Inspector(Generic[Said]):
    """A model with everything around it: `inspector(pictures)` says something of each."""

    preprocess: Preprocess
    runner: Runner
    """A session, opened and closed by whoever made it."""
    input_name: str
    """Of the model's only input."""
    decoder: Reads[Said]
    batch: int = 1
    """So many pictures go in at once, always: a batch that is not full repeats its last one."""
    pictures: PictureRunner | None = None
    """Does preprocessing and inference in one; None: the CPU preprocesses."""

    def __call__(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Said]:
        """What the model says of each picture, BGR uint8 of shape (h, w, 3), in their order."""
        found: list[Said] = []
        for start in range(0, len(pictures), self.batch):
            found += self._look(pictures[start : start + self.batch])
        return found

    def _look(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Said]:
        if self.pictures is not None and self.batch == 1:
            outputs, placement = self.pictures.run_picture(pictures[0])
            return [self.decoder.decode(outputs, placement)]
        prepared = [self.preprocess(picture) for picture in pictures]
        tensors = [tensor for tensor, _ in prepared]
        tensors += tensors[-1:] * (self.batch - len(tensors))
        outputs = self.runner.run({self.input_name: np.concatenate(tensors)})
        self._check(outputs)
        return [
            self.decoder.decode({name: o[i : i + 1] for name, o in outputs.items()}, placement)
            for i, (_, placement) in enumerate(prepared)
        ]

    def _check(self, outputs: Mapping[str, Array]) -> None:
        for name, output in outputs.items():
            if output.ndim == 0 or len(output) != self.batch:
                raise ModelError(
                    f"the model takes {self.batch} pictures at once, but its output {name!r} has"
                    f" the shape {'x'.join(map(str, output.shape))}",
                    f"export it so that every output begins with {self.batch}",
                )
