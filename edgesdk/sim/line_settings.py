"""What the simulated inspection line is asked to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LINE_LABELS = ("part", "scratch", "chip", "dent", "missing")
"""Classes of the truth: the part itself, and what is wrong with it."""

Shape = Literal["disc", "plate"]
Defect = Literal["", "scratch", "chip", "dent", "missing"]
"""Empty: none. "missing": there is no bolt in the hole in the middle."""
BeltLight = Literal["steady", "drift"]


@dataclass(frozen=True)
class LineSettings:
    """Everything the line depends on: two equal settings give equal pixels.

    Raises ValueError for a value out of range.
    """

    seed: int = 0
    """Chooses parts, defects and noise; 0 or more."""
    width: int = 640
    """Picture width in pixels, 64 or more."""
    height: int = 360
    """Picture height in pixels, 64 or more; a part measures a quarter of it."""
    fps: float = 25.0
    """Frames for each second of simulated time."""
    frames: int = 500
    """How many frames there are."""
    rate: float = 60.0
    """Parts a minute; the belt is as fast as that needs. Two parts are two of their sizes apart:
    to follow them from frame to frame, let fps be more than rate / 30."""
    defects: float = 0.15
    """Share 0..1 of parts that are damaged."""
    noise: float = 3.0
    """Standard deviation of the sensor's noise in grey levels."""
    light: BeltLight = "steady"
    """"drift": it grows and fades by 15 % in 20 s."""
    blur: float = 0.6
    """Standard deviation of the lens's blur in pixels."""
    wobble: float = 0.0
    """Share 0..0.5 by which the belt's speed goes up and down."""

    def __post_init__(self) -> None:
        ranges = {
            "seed": (0, 2**63 - 1),
            "width": (64, 4096),
            "height": (64, 4096),
            "fps": (1, 1000),
            "frames": (1, 10**9),
            "rate": (1, 1200),
            "defects": (0, 1),
            "noise": (0, 50),
            "blur": (0.3, 10),
            "wobble": (0, 0.5),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} should be from {low} to {high}, found {value}")
