"""How bright it is, what casts shadows, and which lamps are on."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgesdk.sim.settings import TrafficSettings

_DARKNESS = {"day": 0.0, "overcast": 0.0, "dusk": 0.55, "night": 1.0}
_STEPS = (0.0, 0.55, 1.0)
_GAINS = ((1.0, 0.7, 0.3), (1.0, 0.6, 0.24), (1.0, 0.64, 0.23))
"""Blue, green and red at each of these steps of darkness."""


@dataclass(frozen=True, eq=False)
class Light:
    """The light at one moment."""

    gain: NDArray[np.float64]
    """What the sky lets through of blue, green and red; 1 at noon."""
    sun: float
    """How much the sun adds, 0..1: the strength of shadows."""
    lamps: float
    """How much of their light street lamps and headlights give, 0..1."""
    noise: float
    """Standard deviation of the sensor's noise in grey levels."""


class Daylight:
    """The light of a scene over time."""

    def __init__(self, settings: TrafficSettings) -> None:
        rng = np.random.default_rng((settings.seed, 4))
        self._settings = settings
        self._phases = rng.uniform(0, 2 * math.pi, 3)
        self._tint = rng.normal(1.0, 0.03, 3)
        azimuth, steep = rng.uniform(0, 2 * math.pi), rng.uniform(0.35, 0.9)
        self.shadow_m = (steep * math.cos(azimuth), steep * math.sin(azimuth))
        """How far (x, v) the shadow of a point 1 m high falls."""
        self.towards_sun = np.array([-self.shadow_m[0], -self.shadow_m[1], 1.0])
        self.towards_sun /= np.linalg.norm(self.towards_sun)

    def at(self, time_s: float) -> Light:
        """The light at a time: the setting's own, with a slow drift as of thin clouds."""
        dark = self._darkness(time_s)
        drift = 1 + 0.06 * math.sin(time_s / 5 + self._phases[0])
        gain = [
            np.interp(dark, _STEPS, row) for row in ((1, 0.7, 0.3), (1, 0.6, 0.24), (1, 0.64, 0.23))
        ]
        cloud = 0.85 + 0.15 * math.sin(time_s / 7 + self._phases[1])
        sun = float(np.interp(dark, _STEPS, (0.5, 0.12, 0.0))) * cloud
        overcast = self._settings.light == "overcast"
        return Light(
            gain=np.array(gain) * self._tint * drift * (0.82 if overcast else 1.0),
            sun=0.0 if overcast else sun,
            lamps=float(np.interp(dark, (0.2, *_STEPS[1:]), (0, 0.6, 1))),
            noise=self._settings.noise * (1 + dark),
        )

    def _darkness(self, time_s: float) -> float:
        if self._settings.light == "varying":
            return 0.5 - 0.5 * math.cos(2 * math.pi * time_s / 40 + self._phases[2])
        return _DARKNESS[self._settings.light]
