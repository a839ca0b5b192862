"""The parts of the simulated line: what each looks like and where its defect is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgesdk.sim.line_settings import Defect, LineSettings, Shape

Points = NDArray[np.float64]
Colour = tuple[int, int, int]
"""BGR, 0..255."""

SIZE = 0.25
"""Diameter of a part as a share of the picture's height."""
HOLE = 0.2
"""Radius of the hole in the middle, where the bolt sits, as a share of the part's."""
_JITTER = 0.25
_METALS: tuple[Colour, ...] = ((178, 182, 186), (150, 168, 184), (120, 150, 172))
_KINDS: tuple[Defect, ...] = ("scratch", "chip", "dent", "missing")


@dataclass(frozen=True)
class TruePart:
    """One part and what is wrong with it."""

    part: int
    """Its number, and its track_id in the truth."""
    frame: int
    """The first frame with its middle past the line."""
    shape: Shape
    defect: Defect
    """Empty: it is good."""


@dataclass(frozen=True)
class LinePart:
    """One part as it lies on the belt."""

    number: int
    shape: Shape
    defect: Defect
    radius_px: float
    aside_px: float
    """How far it lies from its place on the belt, along it."""
    across_px: float
    angle: float
    """Radians."""
    metal: Colour
    defect_angle: float
    defect_size: float
    """0..1."""

    @classmethod
    def of(cls, settings: LineSettings, number: int) -> LinePart:
        """The part of this number that a scene's seed chooses."""
        rng = np.random.default_rng((settings.seed, 11, number))
        bad, which, shape, aside, across, angle, metal, place, size = rng.random(9)
        radius_px = SIZE * settings.height / 2
        return cls(
            number,
            "disc" if shape < 0.5 else "plate",
            _KINDS[int(which * len(_KINDS))] if bad < settings.defects else "",
            radius_px,
            aside_px=(aside - 0.5) * 2 * _JITTER * radius_px,
            across_px=(across - 0.5) * settings.height * 0.3,
            angle=angle * math.pi / 2,
            metal=_METALS[int(metal * len(_METALS))],
            defect_angle=place * 2 * math.pi,
            defect_size=size,
        )

    def outline(self, middle: Points) -> Points:
        """Corners of a plate, or many points of a disc, (N, 2)."""
        if self.shape == "disc":
            turns = np.linspace(0, 2 * math.pi, 64, endpoint=False)
        else:
            turns = self.angle + np.arange(4) * math.pi / 2
        ring = np.column_stack([np.cos(turns), np.sin(turns)])
        outline: Points = middle + self.radius_px * ring
        return outline

    def scratch(self, middle: Points) -> Points:
        """Both ends of a scratch beside the hole, (2, 2)."""
        along = self._along
        beside = middle + 0.42 * self.radius_px * np.array([-along[1], along[0]])
        reach = self.radius_px * (0.25 + 0.25 * self.defect_size)
        return np.array([beside - reach * along, beside + reach * along])

    def spot(self, middle: Points) -> tuple[Points, float]:
        """Middle (x, y) and radius of a defect that is round: a chip, a dent or an empty hole."""
        if self.defect == "missing":
            return middle, HOLE * self.radius_px
        if self.defect == "dent":
            place = middle + 0.45 * self.radius_px * self._along
            return place, self.radius_px * (0.14 + 0.08 * self.defect_size)
        radius_px = 0.6 * self.radius_px * (0.25 + 0.25 * self.defect_size)
        if self.shape == "plate":  # Of a corner only a quarter of the circle is there to break off.
            return self.outline(middle)[int(self.defect_angle) % 4], 1.5 * radius_px
        return middle + self.radius_px * self._along, radius_px

    def defect_box(self, middle: Points, scratch_px: float) -> tuple[float, ...]:
        """left, top, right, bottom of what is wrong, within the part's own box."""
        if self.defect == "scratch":
            ends = self.scratch(middle)
            low, high = ends.min(axis=0) - scratch_px / 2, ends.max(axis=0) + scratch_px / 2
            return (*low, *high)
        place, radius = self.spot(middle)
        outline = self.outline(middle)
        low = np.maximum(place - radius, outline.min(axis=0))
        high = np.minimum(place + radius, outline.max(axis=0))
        return (*low, *high)

    @property
    def _along(self) -> Points:
        return np.array([math.cos(self.defect_angle), math.sin(self.defect_angle)])
