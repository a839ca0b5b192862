"""A few pictures to ask the float model about, in bounded memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgesdk._optional import require
from edgesdk.checkup.preprocessing import MOST
from edgesdk.pictures import PictureSet
from edgesdk.preprocess import Preprocess

TIMES_INPUT = 2
"""Larger pictures are made smaller first, to so many times the model's input: 64 of them then take
100 MB at 416 pixels, 240 MB at 640."""


def sample_images(
    pictures: PictureSet, preprocess: Preprocess, most: int = MOST
) -> list[NDArray[np.uint8]]:
    """At most `most` pictures, evenly spread, BGR uint8 of shape (H, W, 3).

    Raises DataError when none can be read.
    """
    side = TIMES_INPUT * max(preprocess.width, preprocess.height, preprocess.short_side)
    return [_smaller(picture.image, side) for picture in pictures.thinned(most)]


def _smaller(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    ratio = side / max(height, width)
    if ratio >= 1:
        return image
    cv2 = require("cv2", "resize pictures")
    size = max(round(width * ratio), 1), max(round(height * ratio), 1)
    small: NDArray[np.uint8] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return small
