"""Real pictures with vehicles marked: by a teacher on videos, by people on COCO's pictures.

The road clip is split by time. Its first part, with five of its eight vehicles, is only ever
measured on; training sees the last part, with the other three. No vehicle that drives through is
in both; the place, and the cars that are parked there, are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgesdk.detections import Detections
from edgesdk.errors import DataError
from edgesdk.geometry import iou
from edgesdk.pictures import open_pictures
from edgesdk.preprocess import Preprocess
from edgesdk.video import read_video
from edgesdk.vision.decoders import make_decoder
from edgesdk.vision.detector import Detector
from training.example import Example
from training.score import Onnx

TEACHER = "models/yolox_nano_416.onnx"
ROAD, SQUARE, BOTTLES = "video/road_8_vehicles.mp4", "video/vtest.avi", "video/bottle-detection.mp4"
COCO = "data/coco192.tar"
HELD_OUT_FRAMES = range(265)
"""Of the road clip: vehicles 1 to 5 come and go."""
TRAINED_FRAMES = range(300, 905)
"""Of the road clip: vehicles 6 to 8."""
SURE, UNSURE = 0.4, 0.15
"""The teacher's scores from which on a box is a vehicle, and may be one."""
SAME = 0.6
"""Boxes that overlap (IoU) by more are one vehicle, whatever their classes: the surer stays."""
OURS = {2: 0, 7: 1, 5: 2, 3: 3}
"""COCO's car, truck, bus, motorcycle -> index into edgesdk.sim.LABELS."""


@dataclass(frozen=True)
class Assets:
    """Where the third-party files lie. Raises DataError when one is absent."""

    folder: Path

    def __post_init__(self) -> None:
        for name in (TEACHER, ROAD, SQUARE, BOTTLES, COCO):
            if not (self.folder / name).is_file():
                raise DataError(
                    f"training on real pictures needs {name}, and {self.folder} has none",
                    "set EDGESDK_ASSETS to the folder with it, or train with --only-simulated",
                )

    def road(self, frames: range) -> list[Example]:
        """These frames of the road clip, as the teacher sees them."""
        return list(self._taught(ROAD, frames))

    def others(self) -> list[Example]:
        """Frames of the two clips that show hardly a vehicle: what is none."""
        square = self._taught(SQUARE, range(0, 795, 40))
        return [*square, *self._taught(BOTTLES, range(0, 1189, 60))]

    def coco(self, split: str) -> list[Example]:
        """COCO's pictures with the boxes that people drew."""
        pictures = open_pictures(f"{self.folder / COCO}#{split}")
        return [_example(p.image, p.truth or Detections.empty(), 1.0) for p in pictures]

    def _taught(self, name: str, frames: range) -> Iterator[Example]:
        teacher = _teacher(self.folder / TEACHER)
        for frame in read_video(self.folder / name):
            if frame.index in frames:
                yield _example(frame.image, teacher(frame.image), SURE)


def _teacher(path: Path) -> Detector:
    prepare = Preprocess(416, 416, resize="letterbox-top-left", color="bgr")
    decoder = make_decoder({"type": "yolox", "score_threshold": UNSURE}, "train.py", prepare)
    return Detector(prepare, Onnx(path), "images", decoder)  # type: ignore[arg-type]


def _example(image: NDArray[np.uint8], found: Detections, sure: float) -> Example:
    found = found[np.isin(found.class_id, list(OURS))]
    found = found[np.argsort(-found.score, kind="stable")]
    same = np.asarray(np.triu(iou(found.xyxy, found.xyxy) > SAME, 1).any(axis=0))
    found = found[~same]
    taken = np.asarray(found.score >= sure)
    classes = np.array([OURS[k] for k in found.class_id[taken].tolist()], np.int64)
    return Example(image, found.xyxy[taken], classes, found.xyxy[~taken])
