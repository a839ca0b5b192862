"""Tells parts from the belt they lie on, whatever the light does."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from edgesdk._optional import require
from edgesdk.inspection.settings import PartSettings
from edgesdk.pipeline import Packet
from edgesdk.vision.parts import Box, Picture

Floats = NDArray[np.floating]
Corner = tuple[int, int, int, int]
"""left, top, width, height in pixels of the smaller picture."""

_ACROSS_PX = 180
"""About so many rows of the picture are looked at: enough for a box to be right to 2 pixels."""
_LEARNS = 0.02
"""Share of each new picture in what is remembered of the belt: a change is learned in 2 s."""
_NEAR = 0.4
"""Pixels that the light's change is read from differ from the remembered belt by less than this."""
_SPARSE = 6
"""One pixel in so many, both ways, is enough to see the light change."""
_SEED = 0.6
"""Of the greatest distance to the rim; what lies deeper is the core of a part."""


@dataclass(frozen=True)
class Sighting:
    """Something that may be a part, in one picture."""

    box: Box
    crowd: Box | None = None
    """Of an outline that is larger than a part: this is one of several that touch, as far as can be
    told. None: it stands alone."""


class Belt:
    """The empty belt, learned from pictures with parts on it.

    What it remembers is a picture of the belt; of each new picture it first finds how much lighter
    or darker it is as a whole, by the median over pixels that look like the belt. In the very
    first picture more than half should be belt.
    """

    def __init__(self, settings: PartSettings) -> None:
        self._settings = settings
        self._cv2: ModuleType = require("cv2", "find parts on a belt")
        self._seen: Floats | None = None
        self._gain: Floats = np.ones(3)
        self.left_out_px = 0.0
        """The longest of what was too small to be a part in the last picture; 0: nothing was."""

    def find(self, packet: Packet) -> list[Sighting]:
        """What lies on the belt in this frame, from the smallest part's size on."""
        image = packet.frame.image
        shrink = max(1, min(image.shape[:2]) // _ACROSS_PX)
        size = (image.shape[1] // shrink, image.shape[0] // shrink)
        small = self._cv2.resize(image, size, interpolation=self._cv2.INTER_AREA)
        mask = self._mask(small)
        outlines, _ = self._cv2.findContours(
            mask, self._cv2.RETR_EXTERNAL, self._cv2.CHAIN_APPROX_SIMPLE
        )
        found: list[Sighting] = []
        self.left_out_px = 0.0
        for outline in outlines:
            box = self._cv2.boundingRect(outline)
            longest, least = max(box[2:]) * shrink, min(box[2:]) * shrink
            if longest < self._settings.size_px[0] or least < self._settings.size_px[0] / 2:
                self.left_out_px = max(self.left_out_px, longest)
            elif longest <= self._settings.size_px[1]:
                found.append(Sighting(_scaled(box, shrink)))
            else:
                found += self._apart(outline, box, shrink)
        return found

    def _mask(self, picture: Picture) -> Picture:
        """255 where there is something, else 0; and the belt is learned from the rest."""
        cv2 = self._cv2
        if self._seen is None or self._seen.shape != picture.shape:
            self._seen = np.empty(picture.shape, np.float32)
            self._seen[:] = np.maximum(np.median(picture[::4, ::4], axis=(0, 1)), 1)
            self._gain = np.ones(3)
        self._gain = self._light(picture)
        expected = cv2.multiply(self._seen, _scalar(self._gain), dtype=cv2.CV_8U)
        channels = cv2.split(cv2.absdiff(picture, expected))
        difference = cv2.max(cv2.max(channels[0], channels[1]), channels[2])
        _, mask = cv2.threshold(difference, self._settings.contrast, 255, cv2.THRESH_BINARY)
        kernel = np.ones((3, 3), np.uint8)
        closed = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, kernel)
        whole: Picture = cv2.morphologyEx(closed, cv2.MORPH_OPEN, kernel)
        even = cv2.multiply(picture, _scalar(1 / self._gain), dtype=cv2.CV_32F)
        near = cv2.dilate(whole, np.ones((5, 5), np.uint8))
        cv2.accumulateWeighted(even, self._seen, _LEARNS, mask=cv2.bitwise_not(near))
        self._cover(whole)
        return whole

    def _light(self, picture: Picture) -> Floats:
        """How much lighter the belt is than remembered, by channel."""
        assert self._seen is not None
        seen = self._seen[::_SPARSE, ::_SPARSE]
        ratio = (picture[::_SPARSE, ::_SPARSE] / np.maximum(seen, 1)).reshape(-1, 3)
        near: NDArray[np.bool_] = np.all(np.abs(ratio / self._gain - 1) < _NEAR, axis=1)
        if near.sum() < 20:  # The light went on or off: begin again.
            near = np.ones_like(near)
        gain: Floats = np.maximum(np.median(ratio[near], axis=0), 0.05)
        return gain

    def _cover(self, mask: Picture) -> None:
        """Take out what is not to be looked at."""
        first, last = self._settings.between
        across = mask if self._settings.moves in ("right", "left") else mask.T
        across[: round(first * len(across))] = 0
        across[round(last * len(across)) :] = 0

    def _apart(self, outline: NDArray[np.int32], box: Corner, shrink: int) -> list[Sighting]:
        """The parts of a crowd: a part's core lies deep within the outline.

        Where there are fewer cores than the crowd's length needs, as of squares side by side, it is
        cut into equal pieces.
        """
        cores = self._cores(outline, box)
        needed = math.ceil(max(box[2:]) * shrink / self._settings.size_px[1])
        pieces = cores if len(cores) >= needed else _pieces(box, needed)
        return [Sighting(_scaled(piece, shrink), _scaled(box, shrink)) for piece in pieces]

    def _cores(self, outline: NDArray[np.int32], box: Corner) -> list[Corner]:
        """The core of each part, grown to about the part's size."""
        left, top, width, height = box
        filled = np.zeros((height + 2, width + 2), np.uint8)
        self._cv2.drawContours(filled, [outline - np.array([left - 1, top - 1])], -1, 255, -1)
        depth = self._cv2.distanceTransform(filled, self._cv2.DIST_L2, 3)
        deep = (depth > _SEED * depth.max()).astype(np.uint8)
        cores, _ = self._cv2.findContours(
            deep, self._cv2.RETR_EXTERNAL, self._cv2.CHAIN_APPROX_SIMPLE
        )
        rim = round(_SEED * float(depth.max()))
        grown = []
        for core in cores:
            x, y, w, h = self._cv2.boundingRect(core)
            grown.append((left - 1 + x - rim, top - 1 + y - rim, w + 2 * rim, h + 2 * rim))
        return grown


def _pieces(box: Corner, count: int) -> list[Corner]:
    """A box cut into equal pieces along its longer side."""
    left, top, width, height = box
    if width >= height:
        return [(left + width * i // count, top, width // count, height) for i in range(count)]
    return [(left, top + height * i // count, width, height // count) for i in range(count)]


def _scalar(gain: Floats) -> tuple[float, ...]:
    """As OpenCV takes a number for each channel."""
    return (*gain.tolist(), 0.0)


def _scaled(box: Corner, by: int) -> Box:
    left, top, width, height = (float(edge * by) for edge in box)
    return left, top, left + width, top + height
