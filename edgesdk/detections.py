"""What a detector found in one picture, as a struct of arrays."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_] | NDArray[np.int64] | slice


@dataclass(frozen=True, eq=False)
class Detections:
    """N boxes with score, class and, after tracking, an id. Arrays are not to be written to."""

    xyxy: NDArray[np.float32]
    """Left, top, right, bottom in pixels of the original picture; shape (N, 4)."""
    score: NDArray[np.float32]
    """Confidence 0..1; shape (N,)."""
    class_id: NDArray[np.int64]
    """Index into the labels; shape (N,)."""
    track_id: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """Identity over time, -1 for none; shape (N,). Left out, it is all -1."""

    def __post_init__(self) -> None:
        count = len(self.xyxy)
        if len(self.track_id) == 0 and count:
            object.__setattr__(self, "track_id", np.full(count, -1, np.int64))
        for name in ("xyxy", "score", "class_id", "track_id"):
            shape = (count, 4) if name == "xyxy" else (count,)
            found = getattr(self, name).shape
            if found != shape:
                raise ValueError(f"Detections.{name} should have shape {shape}, found {found}")

    @classmethod
    def empty(cls) -> Detections:
        """No boxes at all."""
        zero = np.zeros(0, np.float32)
        return cls(np.zeros((0, 4), np.float32), zero, np.zeros(0, np.int64))

    def __len__(self) -> int:
        return len(self.xyxy)

    def __getitem__(self, which: Mask) -> Detections:
        """The rows that a mask, an index array or a slice selects."""
        return Detections(
            self.xyxy[which], self.score[which], self.class_id[which], self.track_id[which]
        )

    @property
    def centers(self) -> NDArray[np.float32]:
        """Box centres (x, y) in pixels; shape (N, 2)."""
        centers: NDArray[np.float32] = (self.xyxy[:, :2] + self.xyxy[:, 2:]) / np.float32(2)
        return centers

    def with_tracks(self, track_id: NDArray[np.int64]) -> Detections:
        """The same boxes with these identities."""
        return replace(self, track_id=track_id)
