"""YOLO label files: one line for each box, `class cx cy width height`, relative to the picture."""

from __future__ import annotations

import numpy as np

from edgesdk.detections import Detections
from edgesdk.errors import DataError

ROUNDING = 1e-3
"""By how much a label may leave the picture: tools write few digits. Pixels leave it by far."""


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
    if len(values) != 5 or not _is_class(values[0]) or not all(map(_is_share, values[1:])):
        raise DataError(
            f"line {number} of its label file should be 'class cx cy width height', "
            f"a whole number and four within 0..1, found {line!r}"
        )
    return values


def _is_class(value: float) -> bool:
    return value >= 0 and value.is_integer()


def _is_share(value: float) -> bool:
    return -ROUNDING <= value <= 1 + ROUNDING
