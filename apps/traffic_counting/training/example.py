"""What a net is shown: a picture in the size of its input, and what is in it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgesdk.preprocess import Preprocess

WIDTH, HEIGHT = 416, 256
PREPARE = Preprocess(WIDTH, HEIGHT, resize="letterbox-top-left", color="bgr")
PAD = (114, 114, 114)


def no_boxes() -> NDArray[np.float32]:
    """(0, 4)."""
    return np.zeros((0, 4), np.float32)


@dataclass(frozen=True, eq=False)
class Example:
    """A picture and what is in it; boxes are x1, y1, x2, y2 in its pixels."""

    image: NDArray[np.uint8]
    """BGR (H, W, 3)."""
    boxes: NDArray[np.float32]
    """(N, 4)."""
    classes: NDArray[np.int64]
    """(N,), indices into edgesdk.sim.LABELS."""
    unsure: NDArray[np.float32] = field(default_factory=no_boxes)
    """(M, 4): there may be a vehicle here or not; the net is not told either."""


def moved(
    example: Example,
    scale: tuple[float, float],
    shift: tuple[float, float],
    image: NDArray[np.uint8],
) -> Example:
    """`image` with the boxes of `example`, each x and y scaled (mirrored: below 0), then shifted.

    A box of which too little is left in the picture is left out.
    """
    size = np.array([image.shape[1], image.shape[0]] * 2)
    wholes = [_move(boxes, scale, shift) for boxes in (example.boxes, example.unsure)]
    insides = [np.clip(whole, 0, size) for whole in wholes]
    keep = _mostly_inside(wholes[0], insides[0])
    rest = np.concatenate([insides[0][~keep], insides[1]])
    rest = rest[np.ptp(rest.reshape(-1, 2, 2), 1).min(1, initial=np.inf) > 0]
    return Example(
        image,
        insides[0][keep].astype(np.float32),
        example.classes[keep],
        rest.astype(np.float32),
    )


def _move(
    boxes: NDArray[np.float32], scale: tuple[float, float], shift: tuple[float, float]
) -> NDArray[np.float64]:
    x = np.sort(boxes[:, 0::2] * scale[0] + shift[0], axis=1)
    y = boxes[:, 1::2] * scale[1] + shift[1]
    return np.stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1]], axis=1)


def _mostly_inside(whole: NDArray[np.float64], inside: NDArray[np.float64]) -> NDArray[np.bool_]:
    size, kept = np.ptp(whole.reshape(-1, 2, 2), 1), np.ptp(inside.reshape(-1, 2, 2), 1)
    return np.asarray((kept.prod(1) > 0.35 * size.prod(1)) & (kept.min(1) > 3))
