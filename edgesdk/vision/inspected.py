"""What an inspection model says of one picture of a part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Inspected:
    """How far one picture is from good, and where."""

    score: float
    """The higher the worse; comparable with the model's threshold only."""
    heat: NDArray[np.float32] | None = None
    """The same by place, shape (h, w), over the part's picture from its left top to its right
    bottom; coarser than the picture. None: the model does not say where."""
