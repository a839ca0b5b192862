"""Draws the simulated line: belt, parts, defects, light and the sensor's noise."""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from edgesdk._optional import require
from edgesdk.sim.line_parts import HOLE, Colour, LinePart, Points
from edgesdk.sim.line_settings import LineSettings

Picture = NDArray[np.uint8]

_SHIFT = 4
_LINK_PX = 64
_GRAIN = 42.0
_DRIFT, _DRIFT_S = 0.15, 20.0
_PIT: Colour = (44, 44, 44)
_BOLT: tuple[tuple[float, Colour], ...] = ((1.0, (60, 130, 175)), (0.75, (95, 180, 225)))
"""Share of the hole's radius and colour: brass, and its lighter head."""


class LinePainter:
    """The pixels of one line. What it draws depends on the settings and the frame alone."""

    def __init__(self, settings: LineSettings) -> None:
        self._settings = settings
        self._cv2: ModuleType = require("cv2", "draw simulated scenes")
        rng = np.random.default_rng((settings.seed, 10))
        link = np.clip(44 + rng.normal(0, 5, (settings.height, _LINK_PX)), 0, 255).astype(np.uint8)
        link[:, 0] = 30
        belt = np.tile(link, (1, settings.width // _LINK_PX + 2))
        size = (settings.height + 64, settings.width + 64, 3)
        self._grain = np.clip(rng.normal(0, _GRAIN, size), -127, 127).astype(np.int8)
        self._belt: Picture = np.repeat(belt[..., None], 3, axis=2)
        self._phase = rng.uniform(0, 2 * math.pi)

    @property
    def scratch_px(self) -> int:
        """How wide a scratch is."""
        return max(2, round(self._settings.height / 120))

    def belt(self, moved_px: float) -> Picture:
        """The empty belt, a new picture."""
        start = -round(moved_px) % _LINK_PX
        empty: Picture = self._belt[:, start : start + self._settings.width].copy()
        return empty

    def part(self, picture: Picture, part: LinePart, middle: Points) -> None:
        """Draw a part around its middle, with what is wrong with it."""
        outline = part.outline(middle)
        lighter: Colour = tuple(min(255, level + 25) for level in part.metal)  # type: ignore[assignment]
        self._fill(picture, outline + 2, (20, 20, 20))
        self._fill(picture, outline, part.metal)
        self._fill(picture, middle + 0.82 * (outline - middle), lighter)
        self._disc(picture, middle, HOLE * part.radius_px, _PIT)
        if part.defect != "missing":
            for share, colour in _BOLT:
                self._disc(picture, middle, share * HOLE * part.radius_px, colour)
        if part.defect == "scratch":
            ends = _fixed(part.scratch(middle))
            dark = (40, 44, 52)
            self._cv2.line(picture, ends[0], ends[1], dark, self.scratch_px, 16, _SHIFT)
        elif part.defect == "chip":
            self._disc(picture, *part.spot(middle), _PIT)
        elif part.defect == "dent":
            place, radius = part.spot(middle)
            shade: Colour = tuple(round(0.62 * level) for level in part.metal)  # type: ignore[assignment]
            self._disc(picture, place, radius, shade)
            self._disc(picture, place + 0.3 * radius, 0.5 * radius, (236, 238, 240))

    def seen(self, picture: Picture, index: int, time_s: float) -> Picture:
        """The drawn picture through the lens and the sensor: light, blur and noise."""
        blurred: Picture = self._cv2.GaussianBlur(picture, (0, 0), self._settings.blur)
        gain = self._gain(time_s)
        if self._settings.noise == 0 and gain == 1:
            return blurred
        # One large piece of grain, shifted by the frame's number.
        rng = np.random.default_rng((self._settings.seed, 12, index))
        top, left = rng.integers(0, 64, 2)
        high, wide = picture.shape[:2]
        grain = self._grain[top : top + high, left : left + wide]
        noise = self._settings.noise / _GRAIN
        noisy: Picture = self._cv2.addWeighted(
            blurred, gain, grain, noise, 0, dtype=self._cv2.CV_8U
        )
        return noisy

    def _gain(self, time_s: float) -> float:
        if self._settings.light == "steady":
            return 1.0
        return 1 + _DRIFT * math.sin(2 * math.pi * time_s / _DRIFT_S + self._phase)

    def _fill(self, picture: Picture, corners: Points, colour: Colour) -> None:
        self._cv2.fillConvexPoly(picture, _fixed(corners), colour, 16, _SHIFT)

    def _disc(self, picture: Picture, place: Points, radius: float, colour: Colour) -> None:
        whole = round(radius * 2**_SHIFT)
        self._cv2.circle(picture, _fixed(place[None])[0], whole, colour, -1, 16, _SHIFT)


def _fixed(points: Points) -> NDArray[np.int32]:
    """Coordinates with four binary places, as OpenCV draws them; its pixel middles are whole."""
    fixed: NDArray[np.int32] = np.round((points - 0.5) * 2**_SHIFT).astype(np.int32)
    return fixed
