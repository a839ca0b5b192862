"""From a picture to boxes, in three steps that can be timed apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgesdk.detections import Detections
from edgesdk.geometry import Placement
from edgesdk.preprocess import Preprocess
from edgesdk.tensors import Array, Floats, PictureRunner, Runner
from edgesdk.vision.decoders import DetectionDecoder


@dataclass(frozen=True)
class Detector:
    """A detection model with everything around it: `detector(image)` gives boxes."""

    preprocess: Preprocess
    runner: Runner
    """A session, opened and closed by whoever made it."""
    input_name: str
    """Of the model's only input."""
    decoder: DetectionDecoder
    pictures: PictureRunner | None = None
    """Does the first two steps in one; None: the CPU preprocesses."""

    def __call__(self, image: NDArray[np.uint8]) -> Detections:
        """Boxes in one picture, BGR uint8 of shape (H, W, 3), in its pixels."""
        return self.decode(*self.look(image))

    def look(self, image: NDArray[np.uint8]) -> tuple[dict[str, Array], Placement]:
        """The first two steps: outputs by name, and where the picture lies in the input."""
        if self.pictures is not None:
            return self.pictures.run_picture(image)
        tensor, placement = self.prepare(image)
        return self.infer(tensor), placement

    def prepare(self, image: NDArray[np.uint8]) -> tuple[Floats, Placement]:
        """First step: the model's input, and where the picture lies in it."""
        return self.preprocess(image)

    def infer(self, tensor: Floats) -> dict[str, Array]:
        """Second step: the model's outputs by name; the runner may own their memory."""
        return self.runner.run({self.input_name: tensor})

    def decode(self, outputs: dict[str, Array], placement: Placement) -> Detections:
        """Third step: boxes in pixels of the picture."""
        return self.decoder.decode(outputs, placement)
