"""YOLO label files: one line for each box, `class cx cy width height`, relative to the picture."""

from __future__ import annotations

import numpy as np

from edgesdk.detections import Detections
from edgesdk.errors import DataError


def parse_labels(text: str, width: int, height: int) -> Detections:
    """The boxes in pixels of a picture of `width` x `height`. Raises DataError for a bad line."""
    rows = [_row(line, number) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not rows:
        return Detections.empty()
    values = np.array(rows, np.float32)
    center, size = values[:, 1:3], values[:, 3:5]
    boxes = np.hstack([center - size / 2, center + size / 2])
    boxes *= np.array([width, height, width, height], np.float32)
    ones = np.ones(len(rows), np.float32)
    return Detections(boxes.astype(np.float32), ones, values[:, 0].astype(np.int64))


def _row(line: str, number: int) -> list[float]:
    try:
        values = [float(part) for part in line.split()]
    except ValueError:
        values = []
    if len(values) != 5 or values[0] < 0 or not all(np.isfinite(values)):
        raise DataError(
            f"line {number} of its label file should be 'class cx cy width height', found {line!r}"
        )
    return values
