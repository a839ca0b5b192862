"""Where tracked boxes are and will be: a Kalman filter of constant velocity for many at once.

Position and velocity of a centre along one axis are a state of two; the noise of both axes is
the same fraction of the box's size. So the covariance, in units of that size, is the same for x
and y: three numbers for a track instead of an 8 x 8 matrix. They follow linear equations as the
state does, so that one product with a 9 x 9 matrix moves all tracks on. Width and height follow
what is measured with the position's gain and have no velocity: one that is learned while a box is
half hidden runs away. (Bar-Shalom, "Estimation with Applications to Tracking", 6.2.2: continuous
white noise acceleration, for which two steps of half the time are one step.)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from edgesdk.geometry import Boxes

Doubles = NDArray[np.float64]
Rows = NDArray[np.int64] | NDArray[np.bool_]

_TO_CENTER = np.array([[0.5, 0, 0.5, 0], [0, 0.5, 0, 0.5], [-1, 0, 1, 0], [0, -1, 0, 1]])
"""From left, top, right, bottom to centre x, y, width, height."""


@dataclass(frozen=True)
class MotionSettings:
    """How restless boxes and detectors are, as fractions of the box's size sqrt(w * h)."""

    measured: float = 0.1
    """Standard deviation of a detected centre. It is greater than the 1/20 of SORT and ByteTrack,
    because a box that is half hidden is cut."""
    acceleration: float = 0.3
    """How much the velocity, in sizes a second, changes in a second (standard deviation). Greater
    follows turns and perspective faster, and coasts worse through an occlusion."""
    brisk: float = 1.5
    """From this speed on, in sizes a second, the velocity changes in proportion to itself: what
    drives towards the camera gains speed in the picture with every metre. People walk below it."""
    first_velocity: float = 10.0
    """Standard deviation of the unknown velocity of a new track, in sizes a second: how far from
    its first place its second one may be."""

    def __post_init__(self) -> None:
        settings = (self.measured, self.acceleration, self.brisk, self.first_velocity)
        if min(settings) <= 0:
            raise ValueError("measured, acceleration, brisk and first_velocity should be positive")


class Motion:
    """Estimates for N boxes, which begin, are seen and end; in pixels and seconds."""

    def __init__(self, settings: MotionSettings) -> None:
        self._settings = settings
        self._state = np.zeros((9, 0))
        """Centre x, y; width, height; velocity x, y; then, in units of w * h, the position's
        variance, its covariance with the velocity and the velocity's variance."""

    def __len__(self) -> int:
        return self._state.shape[1]

    @property
    def center(self) -> Doubles:
        """x, y in pixels; shape (2, N)."""
        return self._state[:2]

    @property
    def velocity(self) -> Doubles:
        """Of the centre, in pixels a second; shape (2, N)."""
        return self._state[4:6]

    @property
    def covariance(self) -> Doubles:
        """Position variance, covariance, velocity variance in units of w * h; shape (3, N)."""
        return self._state[6:]

    @property
    def placed(self) -> Doubles:
        """Centre x, y, width, height in pixels; shape (4, N)."""
        return self._state[:4]

    def begin(self, placed: Doubles) -> None:
        """New ones after the others, from one sighting each (as of `measure`): at rest, but that
        is only a guess."""
        new = np.zeros((9, placed.shape[1]))
        new[:4] = placed
        new[6], new[8] = self._settings.measured**2, self._settings.first_velocity**2
        self._state = np.concatenate([self._state, new], axis=1)

    def predict(self, seconds: float) -> None:
        """Go on by so much time."""
        change, grown = _step(seconds, self._settings.acceleration)
        speed = np.hypot(*self.velocity) / scale(self.placed)
        self._state = change @ self._state
        self._state[6:] += grown * np.maximum(speed / self._settings.brisk, 1.0) ** 2

    def correct(self, rows: Rows, placed: Doubles) -> None:
        """The boxes of `rows` (each at most once) were seen there (as of `measure`)."""
        state = self._state[:, rows]
        gain = state[6:8] / (state[6] + self._settings.measured**2)
        residual = placed - state[:4]
        state[:4] += gain[0] * residual
        state[4:6] += gain[1] * residual[:2]
        state[8] -= gain[1] * state[7]
        state[6:8] *= 1 - gain[0]
        self._state[:, rows] = state

    def keep(self, rows: Rows) -> None:
        """Only these rows go on."""
        self._state = self._state[:, rows]

    def surprise(self, placed: Doubles) -> Doubles:
        """Distance of each centre to each of `placed` in standard deviations; shape (N, M)."""
        distance = np.hypot(*(self.center[:, :, None] - placed[:2, None]))
        spread = np.sqrt(self._state[6] + self._settings.measured**2) * scale(self.placed)
        ratio: Doubles = distance / spread[:, None]
        return ratio


def measure(boxes: Boxes) -> Doubles:
    """Centre x, y, width, height of boxes, a column for each; shape (4, N)."""
    placed: Doubles = _TO_CENTER @ boxes.T
    return placed


def scale(placed: Doubles) -> Doubles:
    """sqrt(w * h) in pixels, at least 1; shape (N,)."""
    size: Doubles = np.sqrt(np.maximum(placed[2] * placed[3], 1.0))
    return size


@lru_cache(maxsize=64)
def _step(seconds: float, acceleration: float) -> tuple[Doubles, Doubles]:
    """What `predict` multiplies the state with, and what it adds to the covariance."""
    t, q = seconds, acceleration**2
    change = np.eye(9)
    change[0, 4] = change[1, 5] = t
    change[6, 7:] = 2 * t, t * t
    change[7, 8] = t
    return change, q * np.array([[t**3 / 3], [t * t / 2], [t]])
