"""What a classifier says of one picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Classification:
    """A score for each class."""

    scores: NDArray[np.float32]
    """Shape (C,); probabilities if the decoder's `softmax` or the model made them so."""
    heat: NDArray[np.float32] | None = None
    """The same by place, shape (C, h, w), over the whole picture; coarser than it, and 0 for what
    the model was not shown. None: it does not say where."""

    def top(self, k: int = 1) -> NDArray[np.int64]:
        """Indices of the k best classes, best first; of equal scores the lower index first."""
        return np.argsort(-self.scores, kind="stable")[:k].astype(np.int64)
