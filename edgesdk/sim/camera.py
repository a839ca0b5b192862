"""A pinhole camera that looks obliquely down on a straight road.

World: x metres to the right of the road's middle, v metres ahead of the camera's foot, z metres up.
Picture: x to the right and y down in pixels, (0, 0) is the outer corner of the first pixel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgesdk.sim.settings import TrafficSettings

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Camera:
    """Where the camera hangs and how it looks."""

    width: int
    """Picture width in pixels."""
    height: int
    """Picture height in pixels."""
    x_m: float
    """Sideways from the road's middle."""
    up_m: float
    """Height over the road."""
    pitch: float
    """Angle below the horizon in radians."""
    focal_px: float
    """Focal length in pixels."""

    @classmethod
    def of(cls, settings: TrafficSettings) -> Camera:
        """The camera that a scene's seed chooses."""
        rng = np.random.default_rng((settings.seed, 1))
        return cls(
            settings.width,
            settings.height,
            x_m=rng.uniform(-1.5, 1.5),
            up_m=rng.uniform(11.5, 13.0) + 0.5 * settings.lanes,
            pitch=math.radians(rng.uniform(34, 42)),
            focal_px=rng.uniform(0.83, 0.95) * settings.width,
        )

    @property
    def near_m(self) -> float:
        """v where the road leaves the picture at its lower edge."""
        return self.up_m / math.tan(self.pitch + self._half_angle)

    @property
    def far_m(self) -> float:
        """v where the road leaves the picture at its upper edge."""
        return self.up_m / math.tan(self.pitch - self._half_angle)

    @property
    def _half_angle(self) -> float:
        return math.atan(self.height / 2 / self.focal_px)

    def project(self, points: Points) -> Points:
        """World points (..., 3) to picture points (..., 2).

        Points nearer than 0.45 `near_m` are moved ahead to there: the edges of a vehicle run
        along the road, so this cuts it where it is out of sight and moves nothing in sight.
        """
        x, v, z = np.moveaxis(points, -1, 0)
        v = np.maximum(v, 0.45 * self.near_m)
        sin, cos = math.sin(self.pitch), math.cos(self.pitch)
        depth = v * cos + (self.up_m - z) * sin
        down = (self.up_m - z) * cos - v * sin
        return np.stack(
            [
                self.width / 2 + self.focal_px * (x - self.x_m) / depth,
                self.height / 2 + self.focal_px * down / depth,
            ],
            axis=-1,
        )
