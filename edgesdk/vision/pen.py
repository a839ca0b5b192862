"""Strokes and letters on a picture, through OpenCV."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from edgesdk._optional import require

Picture = NDArray[np.uint8]
Color = tuple[int, int, int]
"""Blue, green, red."""
Pixel = tuple[int, int]

DARK: Color = (24, 24, 24)
LIGHT: Color = (250, 250, 250)


class Pen:
    """Strokes and letters whose size follows the picture's."""

    def __init__(self, image: Picture) -> None:
        self._cv2: ModuleType = require("cv2", "draw on pictures")
        self.image = image
        unit = max(min(image.shape[:2]) / 360, 0.75)
        self._scale = 0.4 * unit
        self._stroke = max(round(1.8 * unit), 1)
        self._pad = max(round(3 * unit), 2)

    def line(self, start: Pixel, end: Pixel, color: Color) -> None:
        """A bright line with a dark rim, to be seen on any ground."""
        for tint, width in ((DARK, self._stroke + 2), (color, self._stroke)):
            self._cv2.line(self.image, start, end, tint, width, self._cv2.LINE_AA)

    def arrow(self, start: Pixel, end: Pixel, color: Color) -> None:
        """The same with a head."""
        for tint, width in ((DARK, self._stroke + 2), (color, self._stroke)):
            self._cv2.arrowedLine(self.image, start, end, tint, width, self._cv2.LINE_AA, 0, 0.4)

    def area(self, points: Sequence[Pixel], color: Color, share: float) -> None:
        """A polygon with a rim, filled with `share` of the colour."""
        shape = [np.array(points, np.int32)]
        filled = self.image.copy()
        self._cv2.fillPoly(filled, shape, color)
        self._cv2.addWeighted(filled, share, self.image, 1 - share, 0, self.image)
        self._cv2.polylines(self.image, shape, True, color, self._stroke, self._cv2.LINE_AA)

    def dim_outside(self, polygons: Sequence[Sequence[Pixel]]) -> None:
        """Halve the brightness of all that lies in none of the polygons."""
        outside = np.ones(self.image.shape[:2], np.uint8)
        for points in polygons:
            self._cv2.fillPoly(outside, [np.array(points, np.int32)], 0)
        self._cv2.copyTo(self.image // 2, outside, self.image)

    def note(self, text: str, center: Pixel) -> None:
        """Light letters on dark, around a point and within the picture."""
        width, height = self._size(text)
        room = np.array(self.image.shape[1::-1]) - (width, height)
        left, top = np.clip((center[0] - width // 2, center[1] - height // 2), 0, room.clip(0))
        self._text(text, (int(left), int(top)), DARK, LIGHT)

    def path(self, points: list[Pixel], color: Color) -> None:
        """A thin polyline."""
        shape = np.array(points, np.int32).reshape(-1, 1, 2)
        self._cv2.polylines(self.image, [shape], False, color, 1, self._cv2.LINE_AA)

    def box(self, box: list[int], color: Color, thin: bool) -> None:
        """A rectangle."""
        width = 1 if thin else self._stroke
        self._cv2.rectangle(self.image, box[:2], box[2:], color, width)

    def label(self, texts: list[str], box: list[int], color: Color, ink: Color = DARK) -> None:
        """The first text that fits a box's width (or else the last), above it or inside."""
        room = 1.5 * (box[2] - box[0])
        fitting = (text for text in texts if self._size(text)[0] <= room)
        text = next(fitting, texts[-1])
        width, height = self._size(text)
        top = box[1] - height if box[1] >= height else box[1]
        left = min(max(box[0], 0), max(self.image.shape[1] - width, 0))
        self._text(text, (left, top), color, ink)

    def panel(self, lines: list[str]) -> None:
        """Lines of larger text in the upper left corner."""
        scale, self._scale = self._scale, self._scale * 1.5
        width = max(self._size(text)[0] for text in lines)
        top = self._pad
        for text in lines:
            self._text(text, (self._pad, top), DARK, LIGHT, width)
            top += self._size(text)[1]
        self._scale = scale

    def _size(self, text: str) -> Pixel:
        (width, height), below = self._cv2.getTextSize(text, self._font, self._scale, 1)
        return width + 2 * self._pad, height + below + self._pad

    def _text(self, text: str, corner: Pixel, ground: Color, ink: Color, width: int = 0) -> None:
        own, height = self._size(text)
        (_, above), _ = self._cv2.getTextSize(text, self._font, self._scale, 1)
        end = (corner[0] + (width or own), corner[1] + height)
        self._cv2.rectangle(self.image, corner, end, ground, -1)
        foot = (corner[0] + self._pad, corner[1] + above + self._pad // 2 + 1)
        self._cv2.putText(
            self.image, text, foot, self._font, self._scale, ink, 1, self._cv2.LINE_AA
        )

    @property
    def _font(self) -> int:
        return int(self._cv2.FONT_HERSHEY_SIMPLEX)


def pixel(point: tuple[float, float]) -> Pixel:
    """The nearest pixel."""
    return round(point[0]), round(point[1])
