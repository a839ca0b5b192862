"""Parts on a line, as pictures to inspect."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgesdk._optional import require
from edgesdk.vision.inspected import Inspected

Picture = NDArray[np.uint8]
Box = tuple[float, float, float, float]
"""left, top, right, bottom in pixels of the frame."""


@dataclass(frozen=True, eq=False)
class View:
    """A part in one frame."""

    picture: Picture
    """What the model is given: BGR, shape (h, w, 3), cut out of the frame. Not to be written to."""
    box: Box
    """Where the part is in the frame."""
    frame: int
    """0-based number of the frame."""
    time_ms: float
    """Media time of the frame."""
    inspected: Inspected | None = None
    """What the model says of it; None: it was not asked yet, or could not say."""


@dataclass(frozen=True, eq=False)
class Part:
    """One part that is due to be judged."""

    number: int
    """0-based, within the run; each comes in one packet only."""
    triggered_ns: int
    """Monotonic clock (time.monotonic_ns) when it was due."""
    views: tuple[View, ...]
    """The one nearest to the station first; empty: the trigger fired and no part was seen."""
    error: str = ""
    """Why it cannot be judged by its score, in a sentence; empty: it can."""
    untriggered: bool = False
    """It was seen to pass, and the trigger did not tell of it or could not be read: whatever its
    score, it does not pass."""


def cut_out(image: Picture, center: tuple[float, float], side_px: int) -> Picture:
    """A square of `image` (BGR) around `center` (x, y), with memory of its own.

    What lies beyond the picture repeats its edge. Shape (side_px, side_px, 3).
    """
    height, width = image.shape[:2]
    left, top = (round(place - side_px / 2) for place in center)
    right, bottom = left + side_px, top + side_px
    inside: Picture = image[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    if inside.shape[:2] == (side_px, side_px):
        own: Picture = inside.copy()
        return own
    if inside.size == 0:
        raise ValueError(f"the square around {center} is outside the picture, {width}x{height}")
    cv2 = require("cv2", "cut parts out of pictures")
    beyond = (max(-top, 0), max(bottom - height, 0), max(-left, 0), max(right - width, 0))
    framed: Picture = cv2.copyMakeBorder(inside, *beyond, cv2.BORDER_REPLICATE)
    return framed
