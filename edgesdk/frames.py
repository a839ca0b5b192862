"""One picture with where and when it comes from."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Frame:
    """A picture as it came from a source."""

    image: NDArray[np.uint8]
    """Pixels, height x width x 3, BGR, 0..255. Not to be written to."""
    index: int
    """0-based number within the source."""
    time_ns: int
    """Media time: since the source's first frame."""
    captured_ns: int
    """Monotonic clock (time.monotonic_ns) at capture or decoding."""
    source: str = ""

    def wall_s(self) -> float:
        """When it was captured by the wall clock as it is now, in seconds since 1970 (UTC).

        It carries no such time itself: a board's clock is set, often long after it was started.
        """
        return time.time() - (time.monotonic_ns() - self.captured_ns) / 1e9

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.image.shape[0])

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.image.shape[1])
