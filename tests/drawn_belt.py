"""A belt drawn by hand: grey, with bright squares on it whose places the test chooses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from edgesdk.frames import Frame
from edgesdk.inspection import PartFinder, PartSettings
from edgesdk.inspection.ears import Fired
from edgesdk.pipeline import Packet
from edgesdk.vision.parts import Part

WIDTH, HEIGHT, SIDE, BELT, METAL = 480, 180, 40, 60, 170
Place = tuple[float, float]
"""Middle of a part, x and y in pixels."""


def picture(places: Iterable[Place], gain: float = 1.0, side: int = SIDE) -> NDArray[np.uint8]:
    """BGR, HEIGHT x WIDTH x 3."""
    image = np.full((HEIGHT, WIDTH, 3), BELT, np.float64)
    for x, y in places:
        left, top = round(x - side / 2), round(y - side / 2)
        image[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)] = METAL
    drawn: NDArray[np.uint8] = np.clip(image * gain, 0, 255).astype(np.uint8)
    return drawn


def packet(image: NDArray[np.uint8], index: int, fps: float = 25.0) -> Packet:
    """A frame of this number, captured at its own media time."""
    time_ns = round(index * 1e9 / fps)
    return Packet(Frame(image, index, time_ns, time_ns))


def finder(fired: Fired | None = None, **given: object) -> PartFinder:
    chosen = {"size_px": (30.0, 60.0), "crop_px": 64, **given}
    return PartFinder(PartSettings(**chosen), WIDTH, HEIGHT, fired)  # type: ignore[arg-type]


def due(
    finder: PartFinder, frames: Sequence[Sequence[Place]], first: int = 0
) -> list[tuple[int, Part]]:
    """All parts that are due, with the number of the frame in which they were."""
    found: list[tuple[int, Part]] = []
    for index, places in enumerate(frames, first):
        found += [(index, part) for part in finder(packet(picture(places), index)).parts]
    return found


def moving(speed_px: float, count: int, starts: Sequence[Place]) -> list[list[Place]]:
    """Parts that go to the right by `speed_px` a frame, from where they start."""
    return [[(x + i * speed_px, y) for x, y in starts] for i in range(count)]
