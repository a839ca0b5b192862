"""Where tracked boxes are and will be: a Kalman filter of constant velocity for many at once.

Position and velocity of a centre along one axis are a state of two; the noise of both axes is
the same fraction of the box's size. So the covariance, in units of that size, is the same for x
and y: three numbers for a track instead of an 8 x 8 matrix. Width and height follow what is
measured with the position's gain and have no velocity: one that is learned while a box is half
hidden runs away. (Bar-Shalom, "Estimation with Applications to Tracking", 6.2; discrete white
noise acceleration.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgesdk.geometry import Boxes

Doubles = NDArray[np.float64]
Rows = NDArray[np.int64] | NDArray[np.bool_]


@dataclass(frozen=True)
class MotionSettings:
    """How restless boxes and detectors are, as fractions of the box's size sqrt(w * h)."""

    measured: float = 0.05
    """Standard deviation of a detected centre. 1/20 as in SORT and ByteTrack."""
    acceleration: float = 0.02
    """Standard deviation of the change of velocity from frame to frame. Greater follows turns
    and perspective faster, and coasts worse through an occlusion."""
    first_velocity: float = 0.5
    """Standard deviation of the unknown velocity of a new track, box sizes for each frame:
    how far from its first place its second one may be."""

    def __post_init__(self) -> None:
        if min(self.measured, self.acceleration, self.first_velocity) <= 0:
            raise ValueError("measured, acceleration and first_velocity should be positive")


@dataclass(frozen=True, eq=False)
class Motion:
    """Estimates for N boxes, in pixels and pixels for each frame. Never written to."""

    center: Doubles
    """x, y; shape (N, 2)."""
    size: Doubles
    """Width, height; shape (N, 2)."""
    velocity: Doubles
    """Of the centre; shape (N, 2)."""
    covariance: Doubles
    """Position variance, covariance, velocity variance in units of w * h; shape (N, 3)."""

    @classmethod
    def start(cls, boxes: Boxes, settings: MotionSettings) -> Motion:
        """Estimates from one sighting each: at rest, but that is only a guess."""
        center, size = _measured(boxes)
        variance = [settings.measured**2, 0.0, settings.first_velocity**2]
        return cls(center, size, np.zeros_like(center), np.tile(variance, (len(boxes), 1)))

    def predict(self, frames: int, settings: MotionSettings) -> Motion:
        """The estimates `frames` later."""
        t, q = float(frames), settings.acceleration**2
        pp, pv, vv = self.covariance.T
        grown = [
            pp + 2 * t * pv + t * t * vv + q * t**4 / 4,
            pv + t * vv + q * t**3 / 2,
            vv + q * t * t,
        ]
        center = self.center + self.velocity * t
        return replace(self, center=center, covariance=np.stack(grown, axis=1))

    def correct(self, rows: Rows, boxes: Boxes, settings: MotionSettings) -> Motion:
        """The estimates after the boxes of `rows` (each at most once) were seen at `boxes`."""
        center, size = _measured(boxes)
        pp, pv, vv = self.covariance[rows].T
        gain_p, gain_v = np.stack([pp, pv]) / (pp + settings.measured**2)
        residual = center - self.center[rows]
        out = replace(self, **{name: value.copy() for name, value in vars(self).items()})
        out.center[rows] += gain_p[:, None] * residual
        out.size[rows] += gain_p[:, None] * (size - self.size[rows])
        out.velocity[rows] += gain_v[:, None] * residual
        out.covariance[rows] = np.stack(
            [(1 - gain_p) * pp, (1 - gain_p) * pv, vv - gain_v * pv], axis=1
        )
        return out

    def select(self, rows: Rows) -> Motion:
        """Only these rows."""
        return Motion(
            self.center[rows], self.size[rows], self.velocity[rows], self.covariance[rows]
        )

    def join(self, other: Motion) -> Motion:
        """These rows, then those of `other`."""
        return Motion(
            np.concatenate([self.center, other.center]),
            np.concatenate([self.size, other.size]),
            np.concatenate([self.velocity, other.velocity]),
            np.concatenate([self.covariance, other.covariance]),
        )

    @property
    def boxes(self) -> Boxes:
        """left, top, right, bottom; shape (N, 4)."""
        half = self.size / 2
        return np.concatenate([self.center - half, self.center + half], axis=1).astype(np.float32)

    def surprise(self, boxes: Boxes, settings: MotionSettings) -> Doubles:
        """Distance of each centre to each of `boxes` in standard deviations; shape (N, M)."""
        center, _ = _measured(boxes)
        distance = np.linalg.norm(self.center[:, None] - center[None], axis=2)
        spread = np.sqrt(self.covariance[:, 0] + settings.measured**2) * self.scale
        ratio: Doubles = distance / spread[:, None]
        return ratio

    @property
    def scale(self) -> Doubles:
        """sqrt(w * h) in pixels, at least 1; shape (N,)."""
        scale: Doubles = np.sqrt(np.maximum(self.size.prod(axis=1), 1.0))
        return scale


def _measured(boxes: Boxes) -> tuple[Doubles, Doubles]:
    corners = boxes.astype(np.float64)
    return (corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]
