"""What the simulated road is asked to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Daylight = Literal["day", "overcast", "dusk", "night", "varying"]


@dataclass(frozen=True)
class TrafficSettings:
    """Everything a scene depends on: two equal settings give equal pixels.

    Raises ValueError for a value out of range.
    """

    seed: int = 0
    """Chooses camera, road, vehicles and noise; 0 or more."""
    width: int = 640
    """Picture width in pixels, 64 or more."""
    height: int = 360
    """Picture height in pixels, 64 up to the width: a taller picture would show the horizon."""
    fps: float = 24.0
    """Frames for each second of simulated time."""
    frames: int = 480
    """How many frames the scene has."""
    lanes: int = 4
    """2, 4 or 6: half of them down (towards the camera, on the left), half up."""
    density: float = 0.7
    """Share 0..1 of the places for a vehicle that are taken; 0 is the empty road."""
    noise: float = 3.0
    """Standard deviation of the sensor's noise in grey levels by day; twice that by night."""
    light: Daylight = "day"
    """"overcast" casts no shadows; "varying" goes from day to night and back in 40 s."""

    def __post_init__(self) -> None:
        ranges = {
            "seed": (0, 2**63 - 1),
            "width": (64, 4096),
            "height": (64, self.width),
            "fps": (1, 1000),
            "frames": (1, 10**9),
            "density": (0, 1),
            "noise": (0, 50),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} should be from {low} to {high}, found {value}")
        if self.lanes not in (2, 4, 6):
            raise ValueError(f"lanes should be 2, 4 or 6, found {self.lanes}")
