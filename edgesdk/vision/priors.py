"""SSD's default boxes, and boxes given as offsets from them.

Liu et al., "SSD: Single Shot MultiBox Detector", arXiv:1512.02325, section 2.2, with the variances
of its code: for a prior (x, y, w, h) by centre and size, and offsets (a, b, c, d)

    cx = x + a * v0 * w    cy = y + b * v0 * h    w' = w * exp(c * v1)    h' = h * exp(d * v1)
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np

from edgesdk.geometry import Boxes, Floats

LOG_SIZE_LIMIT = 10.0
"""exp(10) priors is wider than any picture; more would only overflow."""
CUT_CELL = 0.01
"""A last cell narrower than this is rounding of a step, not a cell."""


@dataclass(frozen=True)
class Priors:
    """Keys of [decoder.priors]. In each cell: a square of the level's size, a larger one, and two
    boxes for each ratio, first the wide one."""

    steps: tuple[float, ...]
    """Pixels of the input for each cell, one for each level, e.g. [8, 16, 32, 64, 100, 300]."""
    sizes: tuple[float, ...]
    """Pixels of each level's square, and one more: the larger square is the geometric mean of a
    level's size and the next, e.g. [30, 60, 111, 162, 213, 264, 315]."""
    ratios: tuple[tuple[float, ...], ...]
    """Width over height of the wide boxes of each level, e.g. [[2], [2, 3], [2, 3], ...]."""
    variances: tuple[float, float] = (0.1, 0.2)
    """Of centre and size: what the offsets are multiplied by."""

    def __post_init__(self) -> None:
        levels = len(self.steps)
        if len(self.sizes) != levels + 1 or len(self.ratios) != levels:
            raise ValueError(
                f"priors with {levels} steps need {levels + 1} sizes and {levels} lists of ratios, "
                f"found {len(self.sizes)} and {len(self.ratios)}"
            )

    def boxes(self, width: int, height: int) -> Floats:
        """cx, cy, w, h of all priors in pixels of the input, level by level, row by row."""
        levels = []
        for step, size, larger, ratios in zip(
            self.steps, self.sizes[:-1], self.sizes[1:], self.ratios, strict=True
        ):
            middle = sqrt(size * larger)
            shapes = [(size, size), (middle, middle)]
            for ratio in ratios:
                wide, narrow = size * sqrt(ratio), size / sqrt(ratio)
                shapes += [(wide, narrow), (narrow, wide)]
            across, down = (ceil(side / step - CUT_CELL) for side in (width, height))
            gy, gx = np.divmod(np.arange(across * down), across)
            points = (np.stack([gx, gy], axis=1) + 0.5) * step
            sides = np.tile(np.array(shapes), (len(points), 1))
            levels.append(np.concatenate([points.repeat(len(shapes), axis=0), sides], axis=1))
        return np.concatenate(levels, dtype=np.float32)

    def decode(self, offsets: Floats, priors: Floats) -> Boxes:
        """left, top, right, bottom in pixels of offsets (N, 4) from priors (N, 4)."""
        place, scale = (np.float32(variance) for variance in self.variances)
        center = priors[:, :2] + offsets[:, :2] * place * priors[:, 2:]
        grown = np.exp(np.minimum(offsets[:, 2:] * scale, np.float32(LOG_SIZE_LIMIT)))
        half = priors[:, 2:] * grown / np.float32(2)
        return np.concatenate([center - half, center + half], axis=1)
