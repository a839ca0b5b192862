"""How much the pictures of a calibration set differ, in one pass and in bounded memory."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from edgesdk._optional import require
from edgesdk.bundle import Variety

SIDE = 16
"""Of the miniatures, in pixels."""
REMEMBERED = 100_000
"""Contents that are told apart exactly, 16 bytes each; later pictures count as distinct."""


class VarietyMeter:
    """Counts equal pictures and measures how different the others are."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()
        self._distinct = 0
        self._pictures = 0
        self._sum = np.zeros((SIDE, SIDE))
        self._squares = np.zeros((SIDE, SIDE))

    def add(self, image: NDArray[np.uint8]) -> None:
        """One picture, BGR uint8 of shape (H, W, 3)."""
        self._pictures += 1
        shape = repr(image.shape).encode()
        key = blake2b(image.tobytes(), digest_size=16, key=shape).digest()
        if key not in self._seen:
            self._distinct += 1
            if len(self._seen) < REMEMBERED:
                self._seen.add(key)
        cv2 = require("cv2", "compare pictures")
        small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA).mean(axis=2)
        self._sum += small
        self._squares += small * small

    def result(self) -> Variety:
        """What was found. Two pictures at random differ by twice the variance of each cell."""
        count = max(self._pictures, 1)
        variance = np.maximum(self._squares / count - (self._sum / count) ** 2, 0)
        pairs = count / (count - 1) if count > 1 else 1.0
        difference = float(np.sqrt(2 * pairs * variance.mean()))
        return Variety(self._pictures, self._distinct, round(difference, 3))
